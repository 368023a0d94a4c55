"""Values of CoinGecko's answers to a paid key, which are those of its free ones, read without the filters."""

from datetime import datetime

RECORDED = {"markets": "coingecko/coins_markets.*.json", "totals": "coingecko/global.*.json"}


def markets(answer):
    for row in answer:
        at = datetime.fromisoformat(row["last_updated"])
        at_us = int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond
        yield {
            "asset": row["id"],
            "quote": "usd",
            "price": row["current_price"],
            "volume_24h": row["total_volume"],
            "market_cap": row["market_cap"],
            "change_24h_percent": row["price_change_percentage_24h"],
            "at_us": at_us,
        }


def totals(answer):
    data = answer["data"]
    yield {"name": "market.market-cap", "key": "total", "value": data["total_market_cap"]["usd"]}
    yield {"name": "market.volume-24h", "key": "total", "value": data["total_volume"]["usd"]}
    yield {"name": "market.dominance", "key": "bitcoin", "value": data["market_cap_percentage"]["btc"]}
    yield {"name": "market.dominance", "key": "ethereum", "value": data["market_cap_percentage"]["eth"]}
