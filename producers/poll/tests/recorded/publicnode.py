"""Values of PublicNode's answers, read without the filters."""
from decimal import Decimal

RECORDED = {
    "height-base": "publicnode/eth_blockNumber.1.json",
    "height-ethereum": "publicnode/eth_blockNumber.2.json",
    "base-fee-gnosis": "publicnode/eth_getBlockByNumber.2.json",
}
FAULTS = {
    "publicnode/eth_getBalance.1.json": "height-ethereum",
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


def height_base(answer):
    yield _height(answer, "base")


def height_ethereum(answer):
    yield _height(answer, "ethereum")


def base_fee_gnosis(answer):
    yield _base_fee(answer, "gnosis")
