"""Values of DexScreener's answers, read without the filters."""

from decimal import Decimal

RECORDED = {"search-weth-usdc": "dexscreener/latest_dex_tokens_or_search.*.json"}


def search_weth_usdc(answer):
    for pair in answer["pairs"]:
        liquidity = pair.get("liquidity", {}).get("usd")
        if liquidity is None or Decimal(liquidity) < 100_000:
            continue
        key = (pair["chainId"] + ":" + pair["pairAddress"]).lower()
        labels = {"name": pair["baseToken"]["symbol"] + " / " + pair["quoteToken"]["symbol"], "dex": pair["dexId"]}
        # Of base58 the case counts.
        if pair["chainId"] == "solana":
            labels["address"] = pair["pairAddress"]
        for name, value in (
            ("market.pool-price", pair["priceUsd"]),
            ("market.pool-reserve", liquidity),
            ("market.pool-volume-24h", pair["volume"]["h24"]),
        ):
            yield {"name": name, "key": key, "value": value, "unit": "usd", "labels": labels}
