"""Values of MEXC's answers, read without the filters."""

from decimal import Decimal

from readers import candles

RECORDED = {"ticker-24h-bitcoin": "mexc/ticker_24hr.*.json"}
HISTORY = {"ticker-24h-bitcoin": "mexc/klines.*.json"}


def ticker_24h_bitcoin(answer):
    yield {
        "asset": "bitcoin",
        "quote": "usdt",
        "price": answer["lastPrice"],
        "change_24h_percent": str(Decimal(answer["priceChangePercent"]) * 100),
        "at_us": int(answer["closeTime"]) * 1000,
    }


def ticker_24h_bitcoin_history(answer):
    return candles.of_hours(answer, "bitcoin", "usdt", opened=0, close=4, milliseconds=True)
