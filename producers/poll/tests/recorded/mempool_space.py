"""Values of mempool.space's answers, read without the filters."""
from datetime import datetime, timezone
from decimal import Decimal

RECORDED = {
    "fees-precise": "mempool_space/v1_fees_precise.1.json",
    "height": "mempool_space/blocks_tip_height.1.json",
    "mempool": "mempool_space/mempool.1.json",
    "hashrate": "mempool_space/v1_mining_hashrate_timePeriod.1.json",
    "difficulty-adjustment": "mempool_space/v1_difficulty_adjustment.1.json",
    "prices": ["mempool_space/v1_prices.1.json", "mempool_space/prices.1.json"],
    "lightning": "mempool_space/v1_lightning_statistics_interval.1.json",
}
HISTORY = {"hashrate": "mempool_space/v1_mining_hashrate_timePeriod.1.json"}


def _of(key, name, value, unit, **more):
    return {"name": name, "key": key, "value": value, "unit": unit, **more}


def fees_precise(answer):
    fields = {
        "gas.fast": "fastestFee",
        "gas.standard": "halfHourFee",
        "gas.slow": "hourFee",
        "gas.economy": "economyFee",
        "gas.minimum": "minimumFee",
    }
    for name, field in fields.items():
        yield _of("bitcoin", name, answer[field], "sat/vb")


def height(answer):
    yield _of("bitcoin", "network.height", answer, "block")


def mempool(answer):
    yield _of("bitcoin", "network.mempool-transactions", answer["count"], "transaction")
    yield _of("bitcoin", "network.mempool-bytes", answer["vsize"], "vbyte")
    yield _of("bitcoin", "network.mempool-fees", Decimal(answer["total_fee"]) / 10**8, "coin")


def hashrate(answer):
    yield _of("bitcoin", "network.hashrate", answer["currentHashrate"], "hash/s")
    yield _of("bitcoin", "network.difficulty", answer["currentDifficulty"], "difficulty")


def difficulty_adjustment(answer):
    yield _of("bitcoin", "network.difficulty-change", answer["difficultyChange"], "percent")
    yield _of("bitcoin", "network.retarget-blocks", answer["remainingBlocks"], "block")
    yield _of("bitcoin", "network.block-time", Decimal(answer["timeAvg"]) / 1000, "s")


def prices(answer):
    for currency in ("USD", "EUR", "GBP", "CAD", "CHF", "AUD", "JPY"):
        yield {
            "asset": "bitcoin",
            "quote": currency.lower(),
            "price": answer[currency],
            "at_us": int(answer["time"]) * 1_000_000,
        }


def lightning(answer):
    latest = answer["latest"]
    time = datetime.strptime(latest["added"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    at_us = int(time.timestamp()) * 1_000_000
    yield _of("lightning", "network.capacity", Decimal(latest["total_capacity"]) / 10**8, "coin", at_us=at_us)
    yield _of("lightning", "network.nodes", latest["node_count"], "node", at_us=at_us)
    yield _of("lightning", "network.channels", latest["channel_count"], "channel", at_us=at_us)


def hashrate_history(answer):
    for day in answer["hashrates"]:
        at_us = int(day["timestamp"]) * 1_000_000
        yield _of("bitcoin", "network.hashrate", day["avgHashrate"], "hash/s", at_us=at_us)
    for change in answer["difficulty"]:
        at_us = int(change["timestamp"]) * 1_000_000
        yield _of("bitcoin", "network.difficulty", change["difficulty"], "difficulty", at_us=at_us)
