"""Values of Merkl's answers, read without the filters."""

from decimal import Decimal

RECORDED = {"opportunities-ethereum": "merkl/opportunities.*.json"}


def opportunities_ethereum(answer):
    for row in answer:
        if row["status"] != "LIVE" or Decimal(row["tvl"]) < 1_000_000:
            continue
        key = ":".join([row["protocol"]["id"], "ethereum", row["identifier"].lower()])
        at_us = int(row["aprRecord"]["timestamp"]) * 1_000_000
        yield {"name": "defi.apy", "key": key, "value": row["apr"], "unit": "percent", "at_us": at_us}
        yield {"name": "defi.rewards-24h", "key": key, "value": row["dailyRewards"], "unit": "usd", "at_us": at_us}
