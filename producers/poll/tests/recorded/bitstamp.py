"""Values of Bitstamp's answers, read without the filters. The recorded one is of 2013, before some fields."""

from decimal import Decimal, localcontext

RECORDED = {"ticker-bitcoin": "bitstamp/ticker.*.json"}


def ticker_bitcoin(answer):
    with localcontext() as context:
        context.prec = 60
        volume = Decimal(answer["volume"]) * Decimal(answer["vwap"])
    yield {
        "asset": "bitcoin",
        "quote": "usd",
        "price": answer["last"],
        "volume_24h": str(volume),
        "at_us": int(answer["timestamp"]) * 1_000_000,
    }
