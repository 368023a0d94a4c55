"""Values of Jupiter's answers, read without the filters."""

RECORDED = {"price": "jupiter/price_v3.*.json"}
MINTS = {
    "So11111111111111111111111111111111111111112": "solana",
    "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": "usd-coin",
}


def price(answer):
    for mint, row in answer.items():
        yield {"asset": MINTS[mint], "quote": "usd", "price": row["usdPrice"], "change_24h_percent": row["priceChange24h"]}
