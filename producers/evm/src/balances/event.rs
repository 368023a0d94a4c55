//! From an answer to an event: symbol, amount, dollars and labels.

use std::collections::BTreeSet;

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{
    AccountAddress, Address, Balance, BalanceReason, Decimal, Event, Kind, Uint256,
    balance_event_id, subjects,
};
use crypto_intel_service::now_us;

use super::{
    fold::Top,
    holding::{Asset, Holding},
    reading::Answer,
};
use crate::{
    config::NativeConfig,
    enrich::{
        assets::AssetRegistry,
        prices::{PriceCache, Prices},
        tokens::{TokenMetadataCache, Tokens},
        watch::WatchView,
    },
};

/// What is known of assets.
#[derive(Debug)]
pub(super) struct BalanceEvents {
    pub(super) chain: String,
    pub(super) chain_id: u64,
    pub(super) native: NativeConfig,
    pub(super) assets: AssetRegistry,
    pub(super) tokens: TokenMetadataCache,
    pub(super) prices: PriceCache,
}

/// How an asset is called, and what it is worth.
#[derive(Debug, Default)]
struct Described<'a> {
    symbol: Option<String>,
    decimals: Option<u8>,
    /// Under which its price is known.
    priced_as: Option<&'a str>,
    verified: bool,
}

impl BalanceEvents {
    /// Tokens that the list has: a new wallet is asked for all of them.
    pub(super) fn listed(&self) -> impl Iterator<Item = Address> + '_ {
        self.assets.verified()
    }

    /// The messages of balances at one block. An empty one of a token that nothing said to be held is none.
    pub(super) async fn messages(
        &self,
        block: Top,
        answers: &[(Holding, BalanceReason, Answer)],
        watched: &WatchView,
    ) -> Vec<OutMessage> {
        let unlisted: BTreeSet<Address> = answers
            .iter()
            .filter_map(|(holding, ..)| match holding.asset {
                Asset::Token(token) if self.assets.of(&token).is_none() => Some(token),
                _ => None,
            })
            .collect();
        let tokens = self.tokens.of_block(&unlisted.into_iter().collect::<Vec<_>>()).await;
        let prices = self.prices.now();
        let is_told = |answer: &&(Holding, BalanceReason, Answer)| match answer {
            (holding, BalanceReason::Added, answer) => {
                holding.asset == Asset::Native
                    || matches!(answer, Answer::Balance(raw) if !raw.is_zero())
            }
            _ => true,
        };
        let message = |(holding, reason, answer): &(Holding, BalanceReason, Answer)| {
            let mut balance = self.balance(block, *holding, *answer, (&tokens, &prices));
            balance.reason = *reason;
            let wallet = AccountAddress::from(holding.wallet);
            let labels = watched.labels_of(&wallet);
            balance.watched = labels.into_iter().flatten().map(str::to_owned).collect();
            let event = Event::from(balance);
            OutMessage::new(subjects::of(&event), event.encode()).schema(Kind::Balance.schema())
        };
        answers.iter().filter(is_told).map(message).collect()
    }

    fn balance(
        &self,
        block: Top,
        holding: Holding,
        answer: Answer,
        (tokens, prices): (&Tokens, &Prices),
    ) -> Balance {
        let asset = holding.asset.text();
        let described = self.describe(holding.asset, tokens);
        let price = described.priced_as.and_then(|asset| prices.of(asset, block.time_us));
        let (raw, problem) = match answer {
            Answer::Balance(raw) => (Some(raw), None),
            failed => (None, Some(failed.outcome().to_owned())),
        };
        let known = raw.zip(described.decimals);
        let usd =
            known.zip(price).and_then(|((raw, decimals), price)| price.value_of(raw, decimals));
        Balance {
            id: balance_event_id(&self.chain, &block.hash, &holding.wallet, &asset),
            chain: self.chain.clone(),
            chain_id: self.chain_id,
            block_number: block.number,
            block_hash: block.hash,
            block_time_us: block.time_us,
            address: holding.wallet,
            asset,
            symbol: described.symbol,
            decimals: described.decimals,
            token_verified: described.verified,
            raw: raw.map(Uint256),
            amount: known.map(|(raw, decimals)| Decimal::from_units(raw, decimals)),
            price_at_us: usd.as_ref().and(price).map(|price| price.at_us()),
            usd,
            problem,
            ..Balance::at("evm", block.time_us, now_us())
        }
    }

    fn describe(&self, asset: Asset, tokens: &Tokens) -> Described<'_> {
        let Asset::Token(token) = asset else {
            return Described {
                symbol: Some(self.native.symbol.clone()),
                decimals: Some(self.native.decimals),
                priced_as: Some(&self.native.asset),
                verified: true,
            };
        };
        if let Some(listed) = self.assets.of(&token) {
            return Described {
                symbol: Some(listed.symbol.clone()),
                decimals: Some(listed.decimals),
                priced_as: Some(&listed.asset),
                verified: listed.verified,
            };
        }
        // What contracts say of themselves: anybody can call a token USDC.
        let said = tokens.of(&token);
        Described {
            symbol: said.and_then(|said| said.symbol.clone()),
            decimals: said.and_then(|said| said.decimals),
            ..Described::default()
        }
    }
}
