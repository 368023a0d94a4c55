"""Values of CoinGecko's on-chain answers, read without the filters."""

from decimal import Decimal

RECORDED = {
    "pools-ethereum": "geckoterminal/onchain_pool.*.json",
    "trending-pools": "geckoterminal/onchain_trending_pools.*.json",
    "token-price-ethereum": "geckoterminal/onchain_token_price.*.json",
}


def pool(row, key):
    values = row["attributes"]
    labels = {"name": values["name"], "dex": row["relationships"]["dex"]["data"]["id"]}
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
