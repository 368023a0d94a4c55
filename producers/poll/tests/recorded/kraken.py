"""Values of Kraken's answers, read without the filters. The longer one was asked for with names such as BTC/USD."""

from decimal import Decimal, localcontext

RECORDED = {"ticker": ["kraken/ticker.*.json", "kraken/ticker_all.*.json"]}
HISTORY = {"ticker-xxbtzusd": "kraken/ohlc.*.json"}
PAIRS = {"XXBTZUSD": "bitcoin", "BTC/USD": "bitcoin", "ETH/USD": "ethereum", "DOGE/USD": "dogecoin", "USDT/USD": "tether"}
PARAMETERS = {"ticker": {"pairs": PAIRS}, "ticker-xxbtzusd": {"pairs": {"XXBTZUSD": "bitcoin"}}}


def ticker(answer):
    for pair, row in answer["result"].items():
        if pair not in PAIRS:
            continue
        with localcontext() as context:
            context.prec = 60
            volume = Decimal(row["v"][1]) * Decimal(row["p"][1])
        yield {"asset": PAIRS[pair], "quote": "usd", "price": row["c"][0], "volume_24h": str(volume)}


def ticker_xxbtzusd_history(answer):
    for opened, _, _, _, close, average, volume, _ in answer["result"]["XXBTZUSD"]:
        with localcontext() as context:
            context.prec = 60
            in_dollars = Decimal(volume) * Decimal(average)
        at_us = (int(opened) + 86_400) * 1_000_000
        yield {"asset": "bitcoin", "quote": "usd", "price": close, "volume_24h": str(in_dollars), "at_us": at_us}
