"""Values of Routescan's answers, read without the filters."""

RECORDED = {
    "height-ethereum": "routescan/proxy_eth_blockNumber.1.json",
}
FAULTS = {
    "routescan/proxy_eth_call.1.json": "height-ethereum",
    "routescan/contract_getabi.1.json": "height-avalanche",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_ethereum(answer):
    yield _height(answer, "ethereum")
