"""Values of KuCoin's answers, read without the filters. The second recorded answer is that of an older version."""

from decimal import Decimal

RECORDED = {"tickers": "kucoin/all_tickers.1.json"}


def tickers(answer):
    for row in answer["data"]["ticker"]:
        assert row["symbol"] == "BTC-USDT"
        yield {
            "asset": "bitcoin",
            "quote": "usdt",
            "price": row["last"],
            "volume_24h": row["volValue"],
            "change_24h_percent": str(Decimal(row["changeRate"]) * 100),
            "at_us": int(answer["data"]["time"]) * 1000,
        }
