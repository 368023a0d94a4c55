"""Values of Blockchair's answers, read without the filters."""
from datetime import datetime, timezone
from decimal import Decimal

RECORDED = {
    "stats-bitcoin": "blockchair/bitcoin_stats.1.json",
    "stats-ethereum": "blockchair/ethereum_stats.1.json",
    "stats-xrpl": "blockchair/ripple_stats.1.json",
    "stats-cardano": "blockchair/cardano_stats.1.json",
    "stats-stellar": "blockchair/stellar_stats.1.json",
    "large-bitcoin": "blockchair/bitcoin_transactions.1.json",
}


def _us(text):
    time = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return int(time.timestamp()) * 1_000_000


def _metric(chain, data, name, value, unit):
    time = data.get("best_block_time") or data["best_ledger_time"]
    return {"name": name, "key": chain, "value": value, "unit": unit, "at_us": _us(time)}


def stats_bitcoin(answer):
    data = answer["data"]
    yield _metric("bitcoin", data, "network.height", data["best_block_height"], "block")
    yield _metric("bitcoin", data, "network.transactions-24h", data["transactions_24h"], "transaction")
    yield _metric("bitcoin", data, "network.mempool-transactions", data["mempool_transactions"], "transaction")
    yield _metric("bitcoin", data, "network.mempool-bytes", data["mempool_size"], "byte")
    yield _metric("bitcoin", data, "network.hashrate", data["hashrate_24h"], "hash/s")
    yield _metric("bitcoin", data, "network.difficulty", data["difficulty"], "difficulty")
    yield _metric("bitcoin", data, "network.nodes", data["nodes"], "node")
    yield _metric("bitcoin", data, "network.supply", Decimal(data["circulation"]).scaleb(-8), "coin")


def stats_ethereum(answer):
    data = answer["data"]
    yield _metric("ethereum", data, "network.height", data["best_block_height"], "block")
    yield _metric("ethereum", data, "network.transactions-24h", data["transactions_24h"], "transaction")
    yield _metric("ethereum", data, "network.mempool-transactions", data["mempool_transactions"], "transaction")
    yield _metric("ethereum", data, "network.hashrate", data["hashrate_24h"], "hash/s")
    yield _metric("ethereum", data, "network.difficulty", data["difficulty"], "difficulty")
    yield _metric("ethereum", data, "network.supply", Decimal(data["circulation_approximate"]).scaleb(-18), "coin")


def stats_xrpl(answer):
    data = answer["data"]
    yield _metric("xrpl", data, "network.height", data["best_ledger_height"], "block")
    yield _metric("xrpl", data, "network.transactions-24h", data["transactions_24h"], "transaction")
    yield _metric("xrpl", data, "network.mempool-transactions", data["mempool_transactions"], "transaction")
    yield _metric("xrpl", data, "network.supply", Decimal(data["circulation"]).scaleb(-6), "coin")


def stats_cardano(answer):
    data = answer["data"]
    yield _metric("cardano", data, "network.height", data["best_block_height"], "block")
    yield _metric("cardano", data, "network.transactions-24h", data["transactions_24h"], "transaction")
    yield _metric("cardano", data, "network.supply", Decimal(data["circulation"]).scaleb(-6), "coin")


def stats_stellar(answer):
    data = answer["data"]
    yield _metric("stellar", data, "network.height", data["best_ledger_height"], "block")
    yield _metric("stellar", data, "network.transactions-24h", data["transactions_24h"], "transaction")
    yield _metric("stellar", data, "network.supply", Decimal(data["circulation"]).scaleb(-7), "coin")


def large_bitcoin(answer):
    for row in answer["data"]:
        yield {
            "chain": "bitcoin",
            "hash": row["hash"],
            "asset": "bitcoin",
            "symbol": "BTC",
            "amount": Decimal(row["output_total"]).scaleb(-8),
            "amount_usd": row["output_total_usd"],
            "at_us": _us(row["time"]),
        }
