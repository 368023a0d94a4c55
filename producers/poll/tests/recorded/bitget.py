"""Values of Bitget's answers, read without the filters."""

from decimal import Decimal

RECORDED = {"tickers": "bitget/tickers.*.json"}


def tickers(answer):
    for row in answer["data"]:
        assert row["symbol"] == "BTCUSDT"
        yield {
            "asset": "bitcoin",
            "quote": "usdt",
            "price": row["lastPr"],
            "volume_24h": row["quoteVolume"],
            "change_24h_percent": str(Decimal(row["change24h"]) * 100),
            "at_us": int(row["ts"]) * 1000,
        }
