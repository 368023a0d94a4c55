"""Values of OP Mainnet's answers, read without the filters."""
from decimal import Decimal

RECORDED = {
    "height": "optimism_public/eth_blockNumber.*.json",
    "base-fee": "optimism_public/eth_getBlockByNumber.*.json",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def _base_fee(answer, chain):
    block = answer["result"]
    wei = int(block["baseFeePerGas"], 16)
    return {
        "name": "gas.base-fee",
        "key": chain,
        "value": Decimal(wei) / 10**9,
        "unit": "gwei",
        "at_us": int(block["timestamp"], 16) * 1_000_000,
    }


def height(answer):
    yield _height(answer, "optimism")


def base_fee(answer):
    yield _base_fee(answer, "optimism")
