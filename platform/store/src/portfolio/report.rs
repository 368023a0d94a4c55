//! Whole wallets: their assets with what they are worth and what came of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crypto_intel_schemas::Address;

use super::{
    dollars::Dollars,
    ledger::PastPrice,
    lots::CostMethod,
    merge::{WalletPast, assets_of},
    position::{AssetHistory, Position},
};
use crate::{error::StoreError, pool::store::Store};

/// Which asset of the registry a token of a chain is, by slug and contract (`None`: the chain's own currency); `None` where it is
/// on no list.
pub type AssetKeyOf<'k> = &'k (dyn Fn(&str, Option<Address>) -> Option<String> + Sync);

/// An asset's past and what became of it.
#[derive(Debug, Clone)]
pub struct ValuedAsset {
    /// What was read and what moved.
    pub history: AssetHistory,
    /// What it is worth.
    pub position: Position,
}

/// What a wallet holds on one chain, valued at the prices of now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletValue {
    /// Chain slug.
    pub chain: String,
    /// The wallet.
    pub address: Address,
    /// What people call it.
    pub label: Option<String>,
    /// The group of the watch-list that it belongs to.
    pub group: Option<String>,
    /// Sum of what has a price.
    pub value: Dollars,
    /// When the oldest price of the sum was said, microseconds since 1970.
    pub oldest_price_us: Option<i64>,
    /// Number of assets with a price.
    pub priced: u64,
    /// Number of assets without.
    pub unpriced: u64,
}

impl Store {
    /// Every asset that these wallets hold or held, valued at `now_us` (microseconds since 1970); the most valuable first. They
    /// count as one: what moves between them is neither sale nor purchase.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn portfolio_of(
        &self,
        wallets: &[Address],
        method: CostMethod,
        key_of: AssetKeyOf<'_>,
        now_us: i64,
    ) -> Result<Vec<ValuedAsset>, StoreError> {
        let mut pasts: BTreeMap<Address, WalletPast> =
            wallets.iter().map(|wallet| (*wallet, WalletPast::default())).collect();
        for (wallet, reading) in self.wallet_readings(wallets).await? {
            pasts.entry(wallet).or_default().readings.push(reading);
        }
        for (wallet, entry) in self.wallet_ledgers(wallets, now_us).await? {
            pasts.entry(wallet).or_default().ledger.push(entry);
        }
        let assets = assets_of(pasts);
        let prices = self.prices_of(assets.iter(), key_of, now_us).await?;
        let mut valued: Vec<ValuedAsset> = assets
            .into_iter()
            .map(|history| {
                let key = key_of(&history.chain, history.token);
                let known = key.and_then(|key| prices.get(&key));
                let at = |at_us| known.and_then(|known| known.get(&at_us)).cloned();
                let then = |at_us| at(at_us).map(|past: PastPrice| past.price);
                let position = history.position(method, at(now_us), then);
                ValuedAsset { history, position }
            })
            .collect();
        valued.sort_by(|one, other| other.position.value.cmp(&one.position.value));
        Ok(valued)
    }

    /// What each watched wallet holds on each chain, valued at `now_us`.
    ///
    /// # Errors
    /// As [`portfolio_of`](Self::portfolio_of).
    pub async fn wallet_values(
        &self,
        key_of: AssetKeyOf<'_>,
        now_us: i64,
    ) -> Result<Vec<WalletValue>, StoreError> {
        let holdings = self.all_holdings().await?;
        let keys: BTreeSet<String> =
            holdings.iter().filter_map(|held| key_of(&held.chain, held.token)).collect();
        let mut prices = HashMap::new();
        for key in keys {
            let price = self.prices_then(&key, &[now_us]).await?.pop().flatten();
            prices.extend(price.map(|price| (key, price)));
        }
        let mut values: BTreeMap<(Address, String), WalletValue> = BTreeMap::new();
        for held in holdings {
            let value = values.entry((held.address, held.chain.clone())).or_insert_with(|| {
                let (label, group) = (held.label.clone(), held.group.clone());
                let (chain, address) = (held.chain.clone(), held.address);
                WalletValue { chain, address, label, group, ..WalletValue::default() }
            });
            let price = key_of(&held.chain, held.token).and_then(|key| prices.get(&key));
            match price.zip(held.decimals) {
                Some((price, decimals)) => {
                    value.value += &Dollars::value_of(&held.quantity, decimals, &price.price);
                    let oldest =
                        value.oldest_price_us.map_or(price.at_us, |at| at.min(price.at_us));
                    value.oldest_price_us = Some(oldest);
                    value.priced += 1;
                }
                None => value.unpriced += 1,
            }
        }
        Ok(values.into_values().collect())
    }

    /// The prices that entries without dollars need, and that of now, by asset and time.
    async fn prices_of<'h>(
        &self,
        assets: impl Iterator<Item = &'h AssetHistory>,
        key_of: AssetKeyOf<'_>,
        now_us: i64,
    ) -> Result<HashMap<String, HashMap<i64, PastPrice>>, StoreError> {
        // Ether on five chains is one asset.
        let mut wanted: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for history in assets {
            if let Some(key) = key_of(&history.chain, history.token) {
                let times = wanted.entry(key).or_insert_with(|| BTreeSet::from([now_us]));
                times.extend(history.unpriced_times());
            }
        }
        let mut prices = HashMap::new();
        for (key, times) in wanted {
            let times: Vec<i64> = times.into_iter().collect();
            let found = self.prices_then(&key, &times).await?;
            let known = times.into_iter().zip(found);
            let known = known.filter_map(|(at_us, price)| Some((at_us, price?))).collect();
            prices.insert(key, known);
        }
        Ok(prices)
    }
}
