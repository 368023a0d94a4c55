"""Values of CoinGecko's answers about the market, read without the filters."""

RECORDED = {
    "totals": "coingecko/global.*.json",
    "global-defi": "coingecko/global_defi.*.json",
    "trending": "coingecko/search_trending.*.json",
}


def totals(answer):
    data = answer["data"]
    at_us = int(data["updated_at"]) * 1_000_000
    yield {"name": "market.market-cap", "key": "total", "value": data["total_market_cap"]["usd"], "at_us": at_us}
    yield {"name": "market.volume-24h", "key": "total", "value": data["total_volume"]["usd"], "at_us": at_us}
    yield {"name": "market.active-assets", "key": "total", "value": data["active_cryptocurrencies"], "at_us": at_us}
    shares = {
        "btc": "bitcoin",
        "eth": "ethereum",
        "usdt": "tether",
        "xrp": "ripple",
        "bnb": "binancecoin",
        "sol": "solana",
        "usdc": "usd-coin",
    }
    for symbol, share in data["market_cap_percentage"].items():
        if symbol in shares:
            yield {"name": "market.dominance", "key": shares[symbol], "value": share, "unit": "percent"}


def global_defi(answer):
    data = answer["data"]
    yield {"name": "market.market-cap", "key": "defi", "value": data["defi_market_cap"], "unit": "usd"}
    yield {"name": "market.volume-24h", "key": "defi", "value": data["trading_volume_24h"], "unit": "usd"}
    yield {"name": "market.dominance", "key": "defi", "value": data["defi_dominance"], "unit": "percent"}


def trending(answer):
    for place, coin in enumerate(answer["coins"], start=1):
        yield {"name": "market.trending-rank", "key": coin["item"]["id"], "value": str(place), "unit": "rank"}
