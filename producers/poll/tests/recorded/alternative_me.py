"""Values of alternative.me's answers, read without the filters."""

RECORDED = {"fear-greed": "alternative_me/fng.*.json"}
HISTORY = RECORDED


def fear_greed(answer):
    for row in answer["data"]:
        yield {
            "index": "fear-greed",
            "value": row["value"],
            "classification": row["value_classification"],
            "at_us": int(row["timestamp"]) * 1_000_000,
        }


def fear_greed_history(answer):
    return fear_greed(answer)
