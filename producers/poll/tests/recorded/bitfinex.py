"""Values of Bitfinex's answers, read without the filters. A funding ticker (f...) is no price."""

from decimal import Decimal

RECORDED = {"tickers": "bitfinex/ticker.*.json"}


def tickers(answer):
    for row in answer:
        if row[0] == "tBTCUSD":
            change = Decimal(row[6]) * 100
            yield {"asset": "bitcoin", "quote": "usd", "price": row[7], "change_24h_percent": str(change)}
