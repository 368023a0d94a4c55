"""Values of Binance's answers, read without the filters."""

from readers import candles

RECORDED = {"ticker-24h": "binance/ticker_24hr*.json"}
HISTORY = {"ticker-24h-ltcbtc": "binance/klines.*.json"}
PARAMETERS = {
    "ticker-24h": {
        "symbols": {
            "BTCUSDT": {"asset": "bitcoin", "quote": "usdt"},
            "BNBBTC": {"asset": "binancecoin", "quote": "btc"},
        }
    },
    "ticker-24h-ltcbtc": {"symbols": {"LTCBTC": {"asset": "litecoin", "quote": "btc"}}},
}


def ticker_24h(answer):
    pairs = {"BTCUSDT": ("bitcoin", "usdt"), "BNBBTC": ("binancecoin", "btc")}
    asset, quote = pairs[answer["symbol"]]
    yield {
        "asset": asset,
        "quote": quote,
        "price": answer["lastPrice"],
        "volume_24h": answer["quoteVolume"],
        "change_24h_percent": answer["priceChangePercent"],
        "at_us": int(answer["closeTime"]) * 1000,
    }


def ticker_24h_ltcbtc_history(answer):
    return candles.of_hours(answer, "litecoin", "btc", opened=0, close=4, milliseconds=True)
