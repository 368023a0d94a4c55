"""Values of answers that nodes of all EVM chains give alike."""
from decimal import Decimal


def height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def base_fee(answer, chain):
    block = answer["result"]
    wei = int(block["baseFeePerGas"], 16)
    return {
        "name": "gas.base-fee",
        "key": chain,
        "value": Decimal(wei) / 10**9,
        "unit": "gwei",
        "at_us": int(block["timestamp"], 16) * 1_000_000,
    }
