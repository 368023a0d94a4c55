"""Values of CoinGecko's on-chain answers, which are those of GeckoTerminal, read without the filters."""

from geckoterminal import pools_ethereum, token_price_ethereum, trending_pools  # noqa: F401

RECORDED = {
    "pools-ethereum": "geckoterminal/onchain_pool.*.json",
    "trending-pools": "geckoterminal/onchain_trending_pools.*.json",
    "token-price-ethereum": "geckoterminal/onchain_token_price.*.json",
}
