"""Values of HyperEVM's answers, read without the filters."""
from readers import json_rpc

RECORDED = {
    "height": "hyperliquid_evm/eth_blockNumber.*.json",
    "base-fee": "hyperliquid_evm/eth_getBlockByNumber.*.json",
}
FAULTS = {
    "hyperliquid_evm/eth_call.2.json": "height",
}


def height(answer):
    yield json_rpc.height(answer, "hyperevm")


def base_fee(answer):
    yield json_rpc.base_fee(answer, "hyperevm")
