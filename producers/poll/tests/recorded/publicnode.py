"""Values of PublicNode's answers, read without the filters."""
from readers import json_rpc

RECORDED = {
    "height-base": "publicnode/eth_blockNumber.1.json",
    "height-ethereum": "publicnode/eth_blockNumber.2.json",
    "base-fee-gnosis": "publicnode/eth_getBlockByNumber.2.json",
}
FAULTS = {
    "publicnode/eth_getBalance.1.json": "height-ethereum",
}


def height_base(answer):
    yield json_rpc.height(answer, "base")


def height_ethereum(answer):
    yield json_rpc.height(answer, "ethereum")


def base_fee_gnosis(answer):
    yield json_rpc.base_fee(answer, "gnosis")
