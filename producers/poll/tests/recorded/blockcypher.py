"""Values of BlockCypher's answers, read without the filters."""
from datetime import datetime, timezone
from decimal import Decimal

RECORDED = {"chain-ethereum": "blockcypher/v1_eth_main.*.json"}


def chain_ethereum(answer):
    # Nanoseconds are more than an event keeps.
    second, fraction = answer["time"].rstrip("Z").split(".")
    since = datetime.strptime(second, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    at_us = int(since) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
    plain = [
        ("network.height", "height", "block"),
        ("network.peers", "peer_count", "peer"),
        ("network.mempool-transactions", "unconfirmed_count", "transaction"),
    ]
    for name, field, unit in plain:
        yield {"name": name, "key": "ethereum", "value": answer[field], "unit": unit, "at_us": at_us}
    fees = [
        ("gas.slow", "low_gas_price"),
        ("gas.standard", "medium_gas_price"),
        ("gas.fast", "high_gas_price"),
        ("gas.base-fee", "base_fee"),
    ]
    for name, field in fees:
        gwei = Decimal(answer[field]) / 10**9
        yield {"name": name, "key": "ethereum", "value": gwei, "unit": "gwei", "at_us": at_us}
