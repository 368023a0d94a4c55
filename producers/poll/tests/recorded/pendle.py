"""Values of Pendle's answers, read without the filters."""

RECORDED = {"token-prices-base": "pendle/assets_prices.*.json"}


def token_prices_base(answer):
    for address, price in answer["prices"].items():
        yield {"name": "market.token-price", "key": "base:" + address.lower(), "value": price, "unit": "usd"}
