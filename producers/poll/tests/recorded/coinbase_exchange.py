"""Values of Coinbase Exchange's answers, read without the filters."""

from datetime import datetime

RECORDED = {"ticker-bitcoin": "coinbase_exchange/ticker.*.json"}


def ticker_bitcoin(answer):
    at = datetime.fromisoformat(answer["time"])
    at_us = int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond
    yield {"asset": "bitcoin", "quote": "usd", "price": answer["price"], "at_us": at_us}
