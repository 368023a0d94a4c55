"""Values of Binance's status, read without the filters."""

RECORDED = {"level": "binance/system_status.1.json"}


def level(answer):
    assert answer["msg"] == "normal"
    yield {"name": "network.incident-level", "key": "binance", "value": 0, "unit": "level"}
