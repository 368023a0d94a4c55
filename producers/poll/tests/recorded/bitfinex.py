"""Values of Bitfinex's answers, read without the filters. A funding ticker (f...) is no price."""

from decimal import Decimal

from readers import candles

RECORDED = {"tickers": "bitfinex/ticker.*.json"}
HISTORY = {"tickers-tbtcusd": "bitfinex/candles.*.json"}


def tickers(answer):
    for row in answer:
        if row[0] == "tBTCUSD":
            change = Decimal(row[6]) * 100
            yield {"asset": "bitcoin", "quote": "usd", "price": row[7], "change_24h_percent": str(change)}


def tickers_tbtcusd_history(answer):
    return candles.of_hours(answer, "bitcoin", "usd", opened=0, close=2, milliseconds=True)
