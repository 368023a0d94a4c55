"""Values of CoinGecko's answers, read without the filters."""

RECORDED = {"simple-price": ["coingecko/simple_price.*.json", "coingecko/simple_price_missing_quote.*.json"]}
PARAMETERS = {"simple-price": {"assets": ["bitcoin", "usd-coin", "raiden-network"], "quotes": ["usd", "eur"]}}


def simple_price(answer):
    for asset, values in answer.items():
        for quote in ("usd", "eur"):
            if quote not in values:
                continue
            event = {"asset": asset, "quote": quote, "price": values[quote]}
            for ours, theirs in (("market_cap", "_market_cap"), ("volume_24h", "_24h_vol")):
                if quote + theirs in values:
                    event[ours] = values[quote + theirs]
            if "last_updated_at" in values:
                event["at_us"] = int(values["last_updated_at"]) * 1_000_000
            yield event
