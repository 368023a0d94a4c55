"""Values of CryptoCompare's answers, read without the filters."""

RECORDED = {"prices": "coindesk_data/legacy_pricemulti.*.json"}


def prices(answer):
    names = {"DAI": "dai", "ETH": "ethereum", "BTC": "bitcoin"}
    for symbol, quotes in answer.items():
        yield {"asset": names[symbol], "quote": "usd", "price": quotes["USD"]}
