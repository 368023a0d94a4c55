//! `crypto-intel portfolio [ADDRESS | --group GROUP]`

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::ensure;
use crypto_intel_evm::AssetKeys;
use crypto_intel_schemas::{Address, Decimal};
use crypto_intel_service::now_us;
use crypto_intel_store::portfolio::{Dollars, Missing, Position, ValuedAsset, WalletValue};
use serde_json::{Value, json};

use super::{connect_store, prepare};
use crate::{
    args::{Arguments, PortfolioArguments},
    output::{Output, ago, table},
    times::time_text,
};

pub(crate) async fn run(
    arguments: &Arguments,
    options: &PortfolioArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let keys = AssetKeys::of(&config.evm)?;
    let key_of = |chain: &str, token| keys.key(chain, token).map(str::to_owned);
    let store = connect_store(&config).await?;
    let now_us = now_us();
    let is_wanted = |chain: &str| options.chain.as_deref().is_none_or(|wanted| wanted == chain);
    let wallets = match (options.address, &options.group) {
        (Some(address), _) => Some(vec![address]),
        (None, Some(group)) => {
            let wallets = store.wallets_of_group(group).await?;
            ensure!(
                !wallets.is_empty(),
                "no watched wallet is in group {group:?}; `crypto-intel watch list` shows the groups"
            );
            Some(wallets)
        }
        (None, None) => None,
    };
    match wallets {
        Some(wallets) => {
            let method = options.method.into();
            let mut assets = store.portfolio_of(&wallets, method, &key_of, now_us).await?;
            assets.retain(|asset| is_wanted(&asset.history.chain));
            let described: Vec<Value> = assets.iter().map(describe_asset).collect();
            output.show(&described, |_| show_assets(&assets, now_us))?;
        }
        None => {
            let mut values = store.wallet_values(&key_of, now_us).await?;
            values.retain(|value| is_wanted(&value.chain));
            let described: Vec<Value> = values.iter().map(describe_wallet).collect();
            output.show(&described, |_| show_wallets(&values, now_us))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show_assets(assets: &[ValuedAsset], now_us: i64) -> String {
    if assets.is_empty() {
        return "nothing of this address is stored; `crypto-intel watch add ADDRESS` watches a wallet"
            .to_owned();
    }
    let rows = assets.iter().map(|ValuedAsset { history, position }| {
        let price = position.price.as_ref();
        [
            history.chain.clone(),
            amount(&position.quantity, history.decimals()),
            symbol(history.symbol(), history.is_verified()),
            price.map_or_else(|| "no price".to_owned(), |price| price.price.to_string()),
            price.map(|price| ago(now_us, price.at_us)).unwrap_or_default(),
            cents(position.value.as_ref()),
            cents(Some(&position.profit.cost)),
            cents(position.unrealised.as_ref()),
            cents(Some(&position.profit.realised)),
            missing(position, history.decimals()).unwrap_or_else(|| "complete".to_owned()),
        ]
    });
    let heading = [
        "chain",
        "amount",
        "asset",
        "price",
        "age",
        "value",
        "cost",
        "unrealised",
        "realised",
        "past",
    ];
    let of = |amount: fn(&Position) -> Option<&Dollars>| -> Dollars {
        assets.iter().filter_map(|asset| amount(&asset.position).cloned()).sum()
    };
    let unpriced =
        assets.iter().filter(|asset| asset.position.is_held() && asset.position.value.is_none());
    format!(
        "{}\n\nvalue {} USD · unrealised {} · realised {} · of it paid in fees {}{}",
        table(&heading, rows),
        of(|position| position.value.as_ref()).cents(),
        of(|position| position.unrealised.as_ref()).cents(),
        of(|position| Some(&position.profit.realised)).cents(),
        of(|position| Some(&position.fees)).cents(),
        without_price(unpriced.count()),
    )
}

fn show_wallets(values: &[WalletValue], now_us: i64) -> String {
    if values.is_empty() {
        return "no watched wallet is known to hold anything; `crypto-intel watch add ADDRESS` watches one"
            .to_owned();
    }
    let rows = values.iter().map(|value| {
        [
            value.label.clone().unwrap_or_default(),
            value.group.clone().unwrap_or_default(),
            format!("{:#x}", value.address),
            value.chain.clone(),
            value.value.cents().to_string(),
            value.priced.to_string(),
            value.unpriced.to_string(),
            value.oldest_price_us.map(|at_us| ago(now_us, at_us)).unwrap_or_default(),
        ]
    });
    let heading =
        ["wallet", "group", "address", "chain", "USD", "priced", "without price", "oldest price"];
    let all: Dollars = values.iter().map(|value| value.value.clone()).sum();
    let unpriced = values.iter().map(|value| value.unpriced as usize).sum();
    let table = table(&heading, rows);
    let by_chain = sums(values, |value| Some(&value.chain));
    let mut text =
        format!("{table}\n\nvalue {} USD: {by_chain}{}", all.cents(), without_price(unpriced));
    let by_group = sums(values, |value| value.group.as_deref());
    if !by_group.is_empty() {
        text.push_str(&format!("\nby group: {by_group}"));
    }
    text
}

/// The sum of each name, in their order: `base 10.00 · ethereum 2.50`.
fn sums<'v>(
    values: &'v [WalletValue],
    name: impl Fn(&'v WalletValue) -> Option<&'v str>,
) -> String {
    let mut sums: BTreeMap<&str, Dollars> = BTreeMap::new();
    for value in values {
        if let Some(name) = name(value) {
            *sums.entry(name).or_default() += &value.value;
        }
    }
    let texts = sums.iter().map(|(name, value)| format!("{name} {}", value.cents()));
    texts.collect::<Vec<_>>().join(" · ")
}

fn without_price(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " · one asset has no price and is not in the sum".to_owned(),
        count => format!(" · {count} assets have no price and are not in the sum"),
    }
}

/// In whole units, else in the smallest.
fn amount(quantity: &impl ToString, decimals: Option<u8>) -> String {
    let quantity = quantity.to_string();
    match (quantity.parse(), decimals) {
        (Ok(units), Some(decimals)) => Decimal::from_units(units, decimals).to_string(),
        _ => format!("{quantity} units"),
    }
}

/// Anybody can call a token USDC.
fn symbol(symbol: Option<&str>, is_verified: bool) -> String {
    let symbol = symbol.unwrap_or("unknown");
    if is_verified { symbol.to_owned() } else { format!("{symbol} ?") }
}

fn cents(amount: Option<&Dollars>) -> String {
    amount.map(|amount| amount.cents().to_string()).unwrap_or_default()
}

/// What of the past is missing, in words; `None` where nothing is.
fn missing(position: &Position, decimals: Option<u8>) -> Option<String> {
    let words = |what| match what {
        Missing::CameUnseen => "came without a stored transfer",
        Missing::LeftUnseen => "left without a stored transfer",
        Missing::UnknownCost => "has an unknown cost",
        Missing::UnknownProfit => "left at an unknown profit",
    };
    let texts: Vec<String> = position
        .missing()
        .into_iter()
        .map(|(what, quantity)| format!("{} {}", amount(&quantity, decimals), words(what)))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn describe_asset(asset: &ValuedAsset) -> Value {
    let ValuedAsset { history, position } = asset;
    let decimal = |amount: &Dollars| amount.to_decimal().to_string();
    json!({
        "chain": history.chain,
        "asset": token_text(history.token),
        "symbol": history.symbol(),
        "verified": history.is_verified(),
        "raw": position.quantity.to_string(),
        "decimals": history.decimals(),
        "block_number": history.reading.as_ref().map(|reading| reading.block_number),
        "price": position.price.as_ref().map(|price| price.price.to_string()),
        "price_at": position.price.as_ref().map(|price| time_text(price.at_us)),
        "value": position.value.as_ref().map(decimal),
        "cost": decimal(&position.profit.cost),
        "unrealised": position.unrealised.as_ref().map(decimal),
        "realised": decimal(&position.profit.realised),
        "fees": decimal(&position.fees),
        "complete": position.missing().is_empty(),
        "missing": missing(position, history.decimals()),
    })
}

fn describe_wallet(value: &WalletValue) -> Value {
    json!({
        "address": format!("{:#x}", value.address),
        "label": value.label,
        "group": value.group,
        "chain": value.chain,
        "value": value.value.to_decimal().to_string(),
        "priced": value.priced,
        "unpriced": value.unpriced,
        "oldest_price_at": value.oldest_price_us.map(time_text),
    })
}

fn token_text(token: Option<Address>) -> String {
    token.map_or_else(|| "native".to_owned(), |token| format!("{token:#x}"))
}
