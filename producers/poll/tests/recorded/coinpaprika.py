"""Values of Coinpaprika's answers, read without the filters."""

RECORDED = {"totals": "coinpaprika/global.*.json"}


def totals(answer):
    at_us = int(answer["last_updated"]) * 1_000_000
    yield {"name": "market.market-cap", "key": "total", "value": answer["market_cap_usd"], "at_us": at_us}
    yield {"name": "market.volume-24h", "key": "total", "value": answer["volume_24h_usd"], "at_us": at_us}
    yield {"name": "market.dominance", "key": "bitcoin", "value": answer["bitcoin_dominance_percentage"], "at_us": at_us}
    yield {"name": "market.active-assets", "key": "total", "value": answer["cryptocurrencies_number"], "at_us": at_us}
