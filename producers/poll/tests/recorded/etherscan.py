"""Values of Etherscan's answers, read without the filters."""

RECORDED = {
    "height-gnosis": "etherscan/proxy_eth_blockNumber.1.json",
    "height-arbitrum": "etherscan/proxy_eth_blockNumber.2.json",
}
FAULTS = {
    "etherscan/proxy_eth_getBlockByNumber.1.json": "height-ethereum",
    "etherscan/proxy_eth_call.2.json": "height-polygon",
    "etherscan/account_txlist.1.json": "gas-oracle-ethereum",
    "etherscan/contract_getabi.1.json": "ether-price",
}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_gnosis(answer):
    yield _height(answer, "gnosis")


def height_arbitrum(answer):
    yield _height(answer, "arbitrum")
