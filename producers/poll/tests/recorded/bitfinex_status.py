"""Values of Bitfinex' status, read without the filters."""

RECORDED = {"level": "bitfinex/platform_status.1.json"}


def level(answer):
    # 1 is operative, 0 maintenance.
    (operative,) = answer
    yield {
        "name": "network.incident-level",
        "key": "bitfinex",
        "value": {"1": 0, "0": 2}[operative],
        "unit": "level",
    }
