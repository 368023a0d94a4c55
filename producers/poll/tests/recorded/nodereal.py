"""Values of NodeReal's answers, read without the filters."""

RECORDED = {
    "height-optimism": "nodereal/eth_blockNumber.1.json",
}
FAULTS = {
    "nodereal/eth_getBalance.1.json": "height-optimism",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_optimism(answer):
    yield _height(answer, "optimism")
