"""Values of Bybit's answers, read without the filters."""

from decimal import Decimal

from readers import candles

RECORDED = {
    "spot": "bybit/tickers_spot.*.json",
    "linear": "bybit/tickers_linear.2.json",
    "inverse": "bybit/tickers_linear.1.json",
}
HISTORY = {"spot-bitcoin": "bybit/kline.*.json"}


def spot(answer):
    for row in answer["result"]["list"]:
        assert row["symbol"] == "BTCUSDT"
        yield {
            "asset": "bitcoin",
            "quote": "usdt",
            "price": row["lastPrice"],
            "volume_24h": row["turnover24h"],
            "change_24h_percent": str(Decimal(row["price24hPcnt"]) * 100),
            "at_us": int(answer["time"]) * 1000,
        }


def perpetual(answer, key, quote, interest_unit):
    (row,) = answer["result"]["list"]
    values = {
        "market.funding-rate": (row["fundingRate"], "ratio"),
        "market.open-interest": (row["openInterest"], interest_unit),
        "market.mark-price": (row["markPrice"], quote),
        "market.index-price": (row["indexPrice"], quote),
    }
    for name, (value, unit) in values.items():
        yield {"name": name, "key": key, "value": value, "unit": unit, "at_us": int(answer["time"]) * 1000}


def linear(answer):
    return perpetual(answer, "bitcoin-usdt", "usdt", "coin")


def inverse(answer):
    return perpetual(answer, "bitcoin-usd", "usd", "usd")


def spot_bitcoin_history(answer):
    return candles.of_hours(answer["result"]["list"], "bitcoin", "usdt", opened=0, close=4, milliseconds=True)
