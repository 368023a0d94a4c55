"""Values of CoinGecko's answers, read without the filters."""

RECORDED = {"simple-price": ["coingecko/simple_price.*.json", "coingecko/simple_price_missing_quote.*.json"]}
HISTORY = {"simple-price-bitcoin": "coingecko/market_chart.*.json"}
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


def simple_price_bitcoin_history(answer):
    for place, (at_ms, price) in enumerate(answer["prices"]):
        yield {
            "asset": "bitcoin",
            "quote": "usd",
            "price": price,
            "market_cap": answer["market_caps"][place][1],
            "volume_24h": answer["total_volumes"][place][1],
            "at_us": int(at_ms) * 1000,
        }
