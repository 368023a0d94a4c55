"""Values of beaconcha.in's answers, read without the filters."""
from decimal import Decimal

RECORDED = {"block": "beaconchain/api_v2_ethereum_block.*.json"}


def block(answer):
    data = answer["data"]
    at_us = int(data["timestamp"]) * 1_000_000
    yield {"name": "network.height", "key": "ethereum", "value": data["block"], "unit": "block", "at_us": at_us}
    gwei = Decimal(data["transaction"]["gas"]["base_fee"]) / 10**9
    yield {"name": "gas.base-fee", "key": "ethereum", "value": gwei, "unit": "gwei", "at_us": at_us}
