"""Values of 1RPC's answers, read without the filters."""

RECORDED = {
    "height-scroll": "onerpc/eth_blockNumber.1.json",
    "height-bsc": "onerpc/eth_blockNumber.2.json",
}
FAULTS = {
    "onerpc/eth_getBalance.2.json": "height-gnosis",
    "onerpc/eth_getLogs.2.json": "gas-price-bsc",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_scroll(answer):
    yield _height(answer, "scroll")


def height_bsc(answer):
    yield _height(answer, "bsc")
