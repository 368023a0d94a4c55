"""Values of Gate.io's answers, read without the filters. One has a leveraged token alone, which is not asked for."""

from readers import candles

RECORDED = {"tickers": "gateio/spot_tickers.*.json"}
HISTORY = {"tickers-bitcoin": "gateio/candlesticks.*.json"}
FAULTS = {"gateio/error_*.json": "tickers"}


def tickers(answer):
    names = {"BTC_USDT": "bitcoin", "ETH_USDT": "ethereum"}
    for row in answer:
        if row["currency_pair"] == "BTC3L_USDT":
            continue
        yield {
            "asset": names[row["currency_pair"]],
            "quote": "usdt",
            "price": row["last"],
            "volume_24h": row["quote_volume"],
            "change_24h_percent": row["change_percentage"],
        }


def tickers_bitcoin_history(answer):
    assert all(row[7] == "true" for row in answer)
    return candles.of_hours(answer, "bitcoin", "usdt", opened=0, close=2)
