"""Values of Crypto.com's answers, read without the filters."""

from readers import candles

RECORDED = {"open-interest": "crypto_com/get_tickers.*.json"}
HISTORY = {"tickers-bitcoin": "crypto_com/get_candlestick.*.json"}


def open_interest(answer):
    for row in answer["result"]["data"]:
        assert row["i"] == "BTCUSD-PERP"
        yield {
            "name": "market.open-interest",
            "key": "bitcoin-usd",
            "value": row["oi"],
            "unit": "coin",
            "at_us": int(row["t"]) * 1000,
        }


def tickers_bitcoin_history(answer):
    return candles.of_hours(answer["result"]["data"], "bitcoin", "usd", opened="t", close="c", milliseconds=True)
