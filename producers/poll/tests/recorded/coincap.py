"""CoinCap's older version ended with a message in an answer of status 200: a fault."""

RECORDED = {}
FAULTS = {"coincap_v2/assets_error_in_200.*.json": "assets"}
