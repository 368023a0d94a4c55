"""Values of Moralis' answers, read without the filters."""

RECORDED = {"token-price-dai": "moralis/api_v2_2_erc20_X_price.*.json"}


def token_price_dai(answer):
    assert answer["tokenAddress"] == "0x6b175474e89094c44da98b954eedeac495271d0f"
    yield {
        "asset": "dai",
        "quote": "usd",
        "price": answer["usdPrice"],
        "at_us": int(answer["blockTimestamp"]) * 1000,
    }
