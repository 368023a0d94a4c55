"""Values of Hermes' answers, read without the filters."""

from decimal import Decimal

RECORDED = {"latest-bitcoin": "pyth_hermes/v2_updates_price_latest.*.json"}


def latest_bitcoin(answer):
    for feed in answer["parsed"]:
        price = feed["price"]
        yield {
            "asset": "bitcoin",
            "quote": "usd",
            "price": str(Decimal(price["price"]).scaleb(int(price["expo"]))),
            "at_us": int(price["publish_time"]) * 1_000_000,
        }
