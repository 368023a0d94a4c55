"""Values of Bybit's status, read without the filters."""

RECORDED = {"level": "bybit/system_status.1.json"}


def level(answer):
    # Nothing of what was recorded went on.
    assert {entry["state"] for entry in answer["result"]["list"]} == {"completed"}
    yield {"name": "network.incident-level", "key": "bybit", "value": 0, "unit": "level"}
