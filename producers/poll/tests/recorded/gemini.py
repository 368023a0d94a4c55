"""Values of Gemini's answers, read without the filters."""

RECORDED = {"ticker-bitcoin": "gemini/pubticker_v1.*.json"}


def ticker_bitcoin(answer):
    volume = answer["volume"]
    yield {
        "asset": "bitcoin",
        "quote": "usd",
        "price": answer["last"],
        "volume_24h": volume["USD"],
        "at_us": int(volume["timestamp"]) * 1000,
    }
