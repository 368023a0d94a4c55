"""Values of Crypto.com's answers, read without the filters."""

RECORDED = {"open-interest": "crypto_com/get_tickers.*.json"}


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
