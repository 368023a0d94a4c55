"""Values of Upbit's answers, read without the filters."""

RECORDED = {"ticker": "upbit/ticker.*.json"}


def ticker(answer):
    names = {"KRW-BTC": "bitcoin", "KRW-ETH": "ethereum"}
    for row in answer:
        yield {
            "asset": names[row["market"]],
            "quote": "krw",
            "price": row["trade_price"],
            "volume_24h": row["acc_trade_price_24h"],
            "at_us": int(row["timestamp"]) * 1000,
        }
