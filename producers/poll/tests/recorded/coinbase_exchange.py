"""Values of Coinbase Exchange's answers, read without the filters."""

from datetime import datetime

from readers import candles

RECORDED = {"ticker-bitcoin": "coinbase_exchange/ticker.*.json"}
HISTORY = {"ticker-bitcoin": "coinbase_exchange/candles.*.json"}


def ticker_bitcoin(answer):
    at = datetime.fromisoformat(answer["time"])
    at_us = int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond
    yield {"asset": "bitcoin", "quote": "usd", "price": answer["price"], "at_us": at_us}


def ticker_bitcoin_history(answer):
    return candles.of_hours(answer, "bitcoin", "usd", opened=0, close=4)
