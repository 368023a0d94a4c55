"""Values of GeckoTerminal's answers, read without the filters."""

from datetime import datetime
from decimal import Decimal

RECORDED = {
    "pools-ethereum": "geckoterminal/onchain_pool.*.json",
    "top-pools-solana": "geckoterminal/v2_pools.*.json",
    "trending-pools": "geckoterminal/onchain_trending_pools.*.json",
    "new-pools-ethereum": "geckoterminal/onchain_new_pools.*.json",
    "token-price-ethereum": "geckoterminal/onchain_token_price.*.json",
}
# The recorded pool is too young to hold anything.
PARAMETERS = {"new-pools-ethereum": {"min_new_reserve_usd": -1000}}


def pool(row, key):
    values = row["attributes"]
    labels = {"name": values["name"], "dex": row["relationships"]["dex"]["data"]["id"]}
    # Of base58 the case counts.
    if key.startswith("solana:"):
        labels["address"] = values["address"]
    for name, value in (
        ("market.pool-price", values["base_token_price_usd"]),
        ("market.pool-reserve", values["reserve_in_usd"]),
        ("market.pool-volume-24h", values["volume_usd"]["h24"]),
    ):
        yield {"name": name, "key": key, "value": value, "unit": "usd", "labels": labels}


def is_large(row, least):
    reserve = row["attributes"]["reserve_in_usd"]
    return reserve is not None and Decimal(reserve) >= least


def pools_ethereum(answer):
    row = answer["data"]
    if is_large(row, 100_000):
        yield from pool(row, "ethereum:" + row["attributes"]["address"].lower())


def trending_pools(answer):
    for place, row in enumerate(answer["data"], 1):
        if is_large(row, 100_000):
            yield {
                "name": "market.trending-rank",
                "key": "ethereum:" + row["attributes"]["address"].lower(),
                "value": str(place),
                "unit": "rank",
            }


def token_price_ethereum(answer):
    values = answer["data"]["attributes"]
    weth = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
    yield {
        "asset": "ethereum",
        "quote": "usd",
        "price": values["token_prices"][weth],
        "volume_24h": values["h24_volume_usd"][weth],
        "market_cap": values["market_cap_usd"][weth],
        "change_24h_percent": values["h24_price_change_percentage"][weth],
        "at_us": int(values["last_trade_timestamp"][weth]) * 1_000_000,
    }


def top_pools_solana(answer):
    for row in answer["data"]:
        if is_large(row, 100_000):
            yield from pool(row, "solana:" + row["attributes"]["address"].lower())


def new_pools_ethereum(answer):
    for row in answer["data"]:
        yield {
            "link": "https://www.geckoterminal.com/eth/pools/" + row["attributes"]["address"],
            "publisher": "GeckoTerminal",
            "tags": ["new-pool", "ethereum"],
            "at_us": int(datetime.fromisoformat(row["attributes"]["pool_created_at"].replace("Z", "+00:00")).timestamp()) * 1_000_000,
        }
