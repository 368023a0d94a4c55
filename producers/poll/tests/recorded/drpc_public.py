"""Values of dRPC's answers, read without the filters."""

RECORDED = {
    "height-optimism": "drpc/eth_blockNumber.1.json",
    "height-polygon": "drpc/eth_blockNumber.2.json",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_optimism(answer):
    yield _height(answer, "optimism")


def height_polygon(answer):
    yield _height(answer, "polygon")
