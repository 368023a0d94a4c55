"""Values of DefiLlama's answers, read without the filters."""

from decimal import Decimal

RECORDED = {
    "chain-tvl": "defillama/v2_chains.*.json",
    "protocol-tvl": "defillama/protocols.*.json",
    "dex-volume": "defillama/overview_dexs.*.json",
    "fees": "defillama/overview_fees.*.json",
    "stablecoin-supply": "defillama/stablecoins.*.json",
    "yields": "defillama/yields_pools.*.json",
    "prices": ["defillama/coins_prices_current.2.json", "defillama/coins_prices_current.3.json"],
}
HISTORY = {
    "dex-volume": "defillama/overview_dexs.*.json",
    "fees": "defillama/overview_fees.*.json",
}


def chain_tvl(answer):
    for row in answer:
        if row["tvl"] is not None:
            yield {"name": "defi.tvl", "key": row["name"].lower(), "value": row["tvl"], "unit": "usd"}


def protocol_tvl(answer):
    for row in answer:
        yield {
            "name": "defi.tvl",
            "key": row["name"].lower(),
            "value": row["tvl"],
            "unit": "usd",
            "labels": {"of": "protocol", "category": row["category"].lower()},
        }


def of_protocols(answer, name):
    for row in answer["protocols"]:
        yield {"name": name, "key": row["name"].lower(), "value": row["total24h"], "unit": "usd"}


def dex_volume(answer):
    return of_protocols(answer, "defi.dex-volume-24h")


def fees(answer):
    return of_protocols(answer, "defi.fees-24h")


def stablecoin_supply(answer):
    for row in answer["peggedAssets"]:
        supply = row["circulating"].get("peggedUSD")
        if supply is None:
            continue
        key = row.get("name", row["symbol"]).lower()
        yield {"name": "defi.stablecoin-supply", "key": key, "value": supply, "unit": "usd"}
        if "price" in row:
            yield {"name": "market.stablecoin-price", "key": key, "value": row["price"], "unit": "usd"}


def yields(answer):
    for row in answer["data"]:
        if Decimal(row["tvlUsd"]) < 50_000_000:
            continue
        key = ":".join([row["project"], row["chain"].lower(), row["pool"]])
        yield {"name": "defi.apy", "key": key, "value": row["apy"], "unit": "percent", "labels": {"symbol": row["symbol"]}}
        yield {"name": "defi.pool-tvl", "key": key, "value": row["tvlUsd"], "unit": "usd"}


def prices(answer):
    for coin, row in answer["coins"].items():
        yield {
            "asset": coin.removeprefix("coingecko:"),
            "quote": "usd",
            "price": row["price"],
            "at_us": int(row["timestamp"]) * 1_000_000,
        }


def _days(answer, name):
    for begin, value in answer["totalDataChart"]:
        at_us = (int(begin) + 86_400) * 1_000_000
        yield {"name": name, "key": "total", "value": value, "unit": "usd", "labels": {"of": "total"}, "at_us": at_us}


def dex_volume_history(answer):
    return _days(answer, "defi.dex-volume-24h")


def fees_history(answer):
    return _days(answer, "defi.fees-24h")
