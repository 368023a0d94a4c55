"""Recorded faults of NewsData.io. No answer is recorded."""

RECORDED = {}
FAULTS = {"newsdata_io/error_*.json": "crypto"}
