"""Values of Alchemy's answers, read without the filters."""
from datetime import datetime, timedelta

RECORDED = {
    "height-ethereum": "alchemy/eth_blockNumber.1.json",
    "prices": "alchemy/prices_v1_tokens_by_symbol.2.json",
}
FAULTS = {"alchemy/prices_v1_tokens_historical.1.json": "prices"}


def _height(answer, chain):
    return {"name": "network.height", "key": chain, "value": int(answer["result"], 16), "unit": "block"}


def height_ethereum(answer):
    yield _height(answer, "ethereum")


def prices(answer):
    (token,) = answer["data"]
    (price,) = token["prices"]
    assert token["symbol"] == "ETH" and price["currency"] == "usd"
    time = datetime.fromisoformat(price["lastUpdatedAt"].replace("Z", "+00:00"))
    since = time - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    yield {"asset": "ethereum", "quote": "usd", "price": price["value"], "at_us": since // timedelta(microseconds=1)}
