"""Values of OKX's answers, read without the filters."""

from readers import candles

RECORDED = {
    "funding-rate-bitcoin-usdt": "okx/funding_rate.1.json",
    "funding-rate-bitcoin-usd": "okx/funding_rate.2.json",
    "open-interest": "okx/open_interest.*.json",
}
# Neither of its candles is closed.
HISTORY = {"tickers-bitcoin": "okx/candles.*.json"}


def funding(answer, key):
    (row,) = answer["data"]
    hours = (int(row["nextFundingTime"]) - int(row["fundingTime"])) // 3_600_000
    yield {
        "name": "market.funding-rate",
        "key": key,
        "value": row["fundingRate"],
        "unit": "ratio",
        "labels": {"interval_hours": str(hours)},
        "at_us": int(row["ts"]) * 1000,
    }


def funding_rate_bitcoin_usdt(answer):
    return funding(answer, "bitcoin-usdt")


def funding_rate_bitcoin_usd(answer):
    return funding(answer, "bitcoin-usd")


def open_interest(answer):
    for row in answer["data"]:
        assert row["instId"] == "BTC-USD-SWAP"
        yield {
            "name": "market.open-interest",
            "key": "bitcoin-usd",
            "value": row["oiCcy"],
            "unit": "coin",
            "at_us": int(row["ts"]) * 1000,
        }


def tickers_bitcoin_history(answer):
    closed = [row for row in answer["data"] if row[8] == "1"]
    return candles.of_hours(closed, "bitcoin", "usdt", opened=0, close=4, milliseconds=True)
