"""Values of Blockscout's answers, read without the filters."""

RECORDED = {
    "height-ethereum": "blockscout/eth_blockNumber.1.json",
}
FAULTS = {
    "blockscout/eth_call.1.json": "height-ethereum",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_ethereum(answer):
    yield _height(answer, "ethereum")
