"""Values of Haskoin's answers, read without the filters."""
from datetime import datetime, timezone

RECORDED = {"health-bitcoin-cash": "haskoin/bch_health.1.json"}


def health_bitcoin_cash(answer):
    time = datetime.strptime(answer["time"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=timezone.utc)
    common = {"key": "bitcoin-cash", "at_us": int(time.timestamp()) * 1_000_000}
    yield {"name": "network.height", "value": answer["blocks"]["blocks"], "unit": "block", **common}
    yield {"name": "network.peers", "value": answer["peers"]["count"], "unit": "peer", **common}
