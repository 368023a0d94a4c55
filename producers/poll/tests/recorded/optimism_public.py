"""Values of OP Mainnet's answers, read without the filters."""
from readers import json_rpc

RECORDED = {
    "height": "optimism_public/eth_blockNumber.*.json",
    "base-fee": "optimism_public/eth_getBlockByNumber.*.json",
}


def height(answer):
    yield json_rpc.height(answer, "optimism")


def base_fee(answer):
    yield json_rpc.base_fee(answer, "optimism")
