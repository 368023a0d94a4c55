"""Values of Kraken's status, read without the filters."""

RECORDED = {"trading": "kraken/system_status.1.json"}


def trading(answer):
    assert answer["result"]["status"] == "online"
    yield {"name": "network.incident-level", "key": "kraken-trading", "value": 0, "unit": "level"}
