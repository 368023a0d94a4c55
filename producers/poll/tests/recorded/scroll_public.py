"""Values of Scroll's answers, read without the filters."""

RECORDED = {
    "height": "scroll_public/eth_blockNumber.*.json",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height(answer):
    yield _height(answer, "scroll")
