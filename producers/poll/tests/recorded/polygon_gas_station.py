"""Values of the answers of Polygon's gas station, read without the filters."""

# The test network's answer has numbers where the other has texts.
RECORDED = {"fees": ["polygon_gas_station/v2.*.json", "polygon_gas_station/v2_testnet.*.json"]}


def fees(answer):
    for name, value in (
        ("gas.slow", answer["safeLow"]["maxFee"]),
        ("gas.standard", answer["standard"]["maxFee"]),
        ("gas.fast", answer["fast"]["maxFee"]),
        ("gas.base-fee", answer["estimatedBaseFee"]),
    ):
        yield {"name": name, "key": "polygon", "value": value, "unit": "gwei"}
