//! `crypto-intel balances`

use std::process::ExitCode;

use crypto_intel_service::now_us;
use crypto_intel_store::HeldAsset;
use serde_json::{Value, json};

use super::{connect_store, prepare};
use crate::{
    args::{Arguments, BalancesArguments},
    output::{Output, ago, table},
    times::time_text,
};

pub(crate) async fn run(
    arguments: &Arguments,
    options: &BalancesArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let store = connect_store(&config).await?;
    let held = store.held_assets(options.address, options.chain.as_deref()).await?;
    let described: Vec<Value> = held.iter().map(describe).collect();
    output.show(&described, |_| show(&held, options.address.is_some(), now_us()))?;
    Ok(ExitCode::SUCCESS)
}

fn show(held: &[HeldAsset], is_one: bool, now_us: i64) -> String {
    if held.is_empty() {
        return match is_one {
            true => "nothing is known to be held there; balances are read of watched wallets: `crypto-intel watch add ADDRESS`",
            false => "nothing is known to be held; `crypto-intel watch add ADDRESS` watches a wallet",
        }
        .to_owned();
    }
    let rows = held.iter().map(|asset| {
        let unit = asset.symbol.clone().unwrap_or_else(|| asset.asset.clone());
        // Anybody can call a token USDC.
        let unit = if asset.verified { unit } else { format!("{unit} ?") };
        [
            asset.chain.clone(),
            asset.label.clone().unwrap_or_else(|| format!("{:#x}", asset.address)),
            amount(asset),
            unit,
            asset.usd.clone().map_or_else(|| "no price".to_owned(), |usd| format!("{usd} USD")),
            asset.block_number.to_string(),
            ago(now_us, asset.block_time_us),
        ]
    });
    table(&["chain", "wallet", "amount", "asset", "value", "block", "age"], rows)
}

/// In whole units, else in the smallest, else why there is none.
fn amount(asset: &HeldAsset) -> String {
    let raw = asset.raw.as_ref().map(|raw| format!("{raw} units"));
    let problem = asset.problem.as_ref().map(|problem| format!("none: {problem}"));
    asset.amount.clone().or(raw).or(problem).unwrap_or_default()
}

fn describe(asset: &HeldAsset) -> Value {
    json!({
        "chain": asset.chain,
        "address": format!("{:#x}", asset.address),
        "label": asset.label,
        "asset": asset.asset,
        "symbol": asset.symbol,
        "verified": asset.verified,
        "amount": asset.amount,
        "raw": asset.raw,
        "usd": asset.usd,
        "problem": asset.problem,
        "block_number": asset.block_number,
        "block_time": time_text(asset.block_time_us),
    })
}
