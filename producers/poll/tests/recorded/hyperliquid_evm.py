"""Values of HyperEVM's answers, read without the filters."""
from decimal import Decimal

RECORDED = {
    "height": "hyperliquid_evm/eth_blockNumber.*.json",
    "base-fee": "hyperliquid_evm/eth_getBlockByNumber.*.json",
}
FAULTS = {
    "hyperliquid_evm/eth_call.2.json": "height",
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
    yield _height(answer, "hyperevm")


def base_fee(answer):
    yield _base_fee(answer, "hyperevm")
