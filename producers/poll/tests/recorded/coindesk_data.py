"""CoinDesk Data's answers: the recorded one is a fault."""

RECORDED = {}
FAULTS = {"coindesk_data/index_historical_hours_error404.*.json": "reference-prices"}
