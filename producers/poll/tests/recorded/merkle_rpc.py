"""Values of Merkle's answers, read without the filters."""
from readers import json_rpc

RECORDED = {
    "height": "merkle_rpc/eth_blockNumber.*.json",
    "base-fee": "merkle_rpc/eth_getBlockByNumber.*.json",
}


def height(answer):
    yield json_rpc.height(answer, "ethereum")


def base_fee(answer):
    yield json_rpc.base_fee(answer, "ethereum")
