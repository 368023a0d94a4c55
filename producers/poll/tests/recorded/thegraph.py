"""Recorded faults of The Graph. The recorded answers are those of another subgraph."""

RECORDED = {}
FAULTS = {"thegraph/api_subgraphs_id_5XqPmWe6gjyrJtFn9cLy237i4cWw2j9HcUJEXsP5qGt.*.json": "uniswap-v3-pools-ethereum"}
