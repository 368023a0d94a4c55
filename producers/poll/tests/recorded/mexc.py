"""Values of MEXC's answers, read without the filters."""

from decimal import Decimal

RECORDED = {"ticker-24h-bitcoin": "mexc/ticker_24hr.*.json"}


def ticker_24h_bitcoin(answer):
    yield {
        "asset": "bitcoin",
        "quote": "usdt",
        "price": answer["lastPrice"],
        "change_24h_percent": str(Decimal(answer["priceChangePercent"]) * 100),
        "at_us": int(answer["closeTime"]) * 1000,
    }
