"""Values of Whale Alert's answers, read without the filters."""

RECORDED = {"transactions": "whale_alert/v1_transactions.*.json"}


def transactions(answer):
    # A window without transfers has no list.
    for row in answer.get("transactions", []):
        assert row["symbol"] == "usdc"
        event = {
            "chain": row["blockchain"],
            "hash": row["hash"],
            "asset": "usd-coin",
            "symbol": "USDC",
            "amount": row["amount"],
            "amount_usd": row["amount_usd"],
            "from": row["from"]["address"],
            "to": row["to"]["address"],
            "at_us": int(row["timestamp"]) * 1_000_000,
        }
        for side in ("from", "to"):
            if row[side]["owner"] != "unknown":
                event[f"{side}_owner"] = row[side]["owner"]
        yield event
