"""Values of Hyperliquid's answers, read without the filters. The recorded answers do not have all of the assets."""

from readers import candles

RECORDED = {"mids": "hyperliquid/allMids.*.json", "perpetuals": "hyperliquid/metaAndAssetCtxs.*.json"}
HISTORY = {"mids-bitcoin": "hyperliquid/candleSnapshot.*.json"}
ASSETS = {
    "BTC": "bitcoin",
    "ETH": "ethereum",
    "SOL": "solana",
    "XRP": "ripple",
    "DOGE": "dogecoin",
    "ADA": "cardano",
    "LINK": "chainlink",
    "AVAX": "avalanche-2",
    "LTC": "litecoin",
    "ARB": "arbitrum",
    "OP": "optimism",
    "UNI": "uniswap",
    "AAVE": "aave",
    "SUI": "sui",
    "BNB": "binancecoin",
    "HYPE": "hyperliquid",
}


def mids(answer):
    for symbol, price in answer.items():
        if symbol in ASSETS:
            yield {"asset": ASSETS[symbol], "quote": "usdc", "price": price}


def perpetuals(answer):
    names, contexts = answer
    for position, entry in enumerate(names["universe"]):
        if entry["name"] not in ASSETS:
            continue
        context = contexts[position]
        key = ASSETS[entry["name"]] + "-usdc"
        yield {"name": "market.funding-rate", "key": key, "value": context["funding"], "unit": "ratio"}
        yield {"name": "market.open-interest", "key": key, "value": context["openInterest"], "unit": "coin"}
        yield {"name": "market.mark-price", "key": key, "value": context["markPx"], "unit": "usdc"}
        yield {"name": "market.index-price", "key": key, "value": context["oraclePx"], "unit": "usdc"}


def mids_bitcoin_history(answer):
    return candles.of_hours(answer, "bitcoin", "usdc", opened="t", close="c", milliseconds=True)
