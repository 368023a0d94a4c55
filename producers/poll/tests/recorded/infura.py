"""Values of Infura's answers, read without the filters."""
from readers import json_rpc

RECORDED = {
    "height-ethereum": "infura/eth_blockNumber.*.json",
    "base-fee-ethereum": "infura/eth_getBlockByNumber.*.json",
}
FAULTS = {
    "infura/eth_call.2.json": "height-ethereum",
}


def height_ethereum(answer):
    yield json_rpc.height(answer, "ethereum")


def base_fee_ethereum(answer):
    yield json_rpc.base_fee(answer, "ethereum")
