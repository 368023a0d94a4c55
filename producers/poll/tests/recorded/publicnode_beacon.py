"""Values of the beacon node's answers, read without the filters."""

# Headers of other slots than the head; the answer is the same.
RECORDED = {"head": "publicnode_beacon/eth_v1_beacon_headers_X.*.json"}

GENESIS_S = 1_606_824_023
SLOT_S = 12


def head(answer):
    slot = int(answer["data"]["header"]["message"]["slot"])
    at_us = (GENESIS_S + SLOT_S * slot) * 1_000_000
    yield {"name": "network.slot", "key": "ethereum", "value": slot, "unit": "slot", "at_us": at_us}
