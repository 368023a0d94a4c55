"""Values of Binance's answers about futures, read without the filters."""

RECORDED = {"premium-index": "binance/fapi_premium_index.*.json"}


def premium_index(answer):
    at_us = int(answer["time"]) * 1000
    for name, field, unit in (
        ("market.funding-rate", "lastFundingRate", "ratio"),
        ("market.mark-price", "markPrice", "usdt"),
        ("market.index-price", "indexPrice", "usdt"),
    ):
        yield {"name": name, "key": "bitcoin-usdt", "value": answer[field], "unit": unit, "at_us": at_us}
