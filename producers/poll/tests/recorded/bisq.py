"""Values of Bisq's answers, read without the filters. The recorded market is that of its own coin in bitcoin."""

RECORDED = {"ticker-bsq": "bisq/ticker.*.json"}
PARAMETERS = {"ticker-bsq": {"markets": {"bsq": {"market": "bsq_btc", "asset": "bisq", "quote": "btc"}}}}


def ticker_bsq(answer):
    yield {"asset": "bisq", "quote": "btc", "price": answer["last"], "volume_24h": answer["volume_right"]}
