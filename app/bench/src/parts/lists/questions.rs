//! The lists of the API, as questions to the library behind it.

use anyhow::Context as _;
use crypto_intel_schemas::{Address, B256};
use crypto_intel_service::now_us;
use crypto_intel_store::{
    AlertFilter, PageRequest, PairFilter, Side, Store, TransferFilter, TransferKind, WalkBudget,
};

use crate::connection::Connection;

const DAY_US: i64 = 86_400_000_000;
const LIMIT: u32 = 50;

/// A list.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Transfers(TransferFilter),
    /// A transaction by its hash, and by its block, too.
    Transaction(B256, Option<u64>),
    /// Whole, beside its transfers.
    WholeTransaction(B256, u64),
    Graph(Vec<Address>),
    Alerts(AlertFilter),
    Deliveries,
    Rules,
    Blocks,
    Chains,
}

impl Question {
    pub(super) async fn ask(&self, store: &Store) -> anyhow::Result<()> {
        let now = now_us();
        match self {
            Self::Transfers(filter) => {
                let page = PageRequest { limit: LIMIT, beside: None };
                store.walk_transfers(filter, &page, WalkBudget::default()).await?;
            }
            Self::Transaction(hash, block) => {
                let found = store.transfers_of("base", *hash, *block).await?;
                anyhow::ensure!(!found.is_empty(), "a transaction was not found");
            }
            Self::WholeTransaction(hash, block) => {
                store.events_of("base", *hash, *block).await?;
            }
            Self::Graph(addresses) => {
                let filter = PairFilter {
                    chains: None,
                    verified: true,
                    since_us: now - 7 * DAY_US,
                    until_us: now,
                    rows: 500,
                };
                store.pairs_of(addresses, &filter).await?;
            }
            Self::Alerts(filter) => {
                store.alerts(filter, &PageRequest { limit: LIMIT, beside: None }).await?;
            }
            Self::Deliveries => {
                let keys: Vec<String> = (1..=LIMIT).map(|one| format!("a{one}")).collect();
                store.deliveries_of(&keys).await?;
            }
            Self::Rules => {
                let rules: Vec<String> = (0..60).map(|one| format!("rule-{one}")).collect();
                store.rule_activity(&rules, None, now - 30 * DAY_US).await?;
            }
            Self::Blocks => drop(store.blocks("base", None, None, LIMIT).await?),
            Self::Chains => drop(store.chain_heads().await?),
        }
        Ok(())
    }
}

fn lately() -> TransferFilter {
    let until_us = now_us();
    TransferFilter::between(until_us - 7 * DAY_US, until_us)
}

/// Each list with its key in the report and what it is.
pub(super) async fn all(
    connection: &Connection,
) -> anyhow::Result<Vec<(&'static str, &'static str, Question)>> {
    // A common row of the middle of the last week.
    let row = connection
        .client
        .query_one(
            "SELECT sender, token, tx_hash, block_number FROM token_transfers WHERE chain = 'base' \
             AND block_time < now() - interval '3 days' ORDER BY block_time DESC LIMIT 1",
            &[],
        )
        .await
        .context("find a row")?;
    let address = |column: usize| Address::try_from(row.get::<_, &[u8]>(column));
    let (wallet, token) = (address(0)?, address(1)?);
    let hash = B256::try_from(row.get::<_, &[u8]>(2))?;
    let block = row.get::<_, i64>(3).unsigned_abs();
    let of = |chain: &str| Some(vec![chain.to_owned()]);
    let transfers = Question::Transfers;
    let usd = |usd: &str| transfers(TransferFilter { min_usd: Some(usd.into()), ..lately() });
    let nfts = vec![TransferKind::Erc721, TransferKind::Erc1155];
    let alerts = AlertFilter {
        since_us: lately().since_us,
        until_us: lately().until_us,
        ..AlertFilter::default()
    };
    let of_rule = AlertFilter { rule: Some("rule-7".into()), ..alerts.clone() };
    Ok(vec![
        ("newest", "transfers, newest", transfers(lately())),
        ("chain", "of a chain", transfers(TransferFilter { chains: of("base"), ..lately() })),
        (
            "quiet",
            "of a quiet chain",
            transfers(TransferFilter { chains: of("quiet"), ..lately() }),
        ),
        (
            "absent",
            "of a chain that is not there",
            transfers(TransferFilter { chains: of("none"), ..lately() }),
        ),
        (
            "address",
            "of an address",
            transfers(TransferFilter { address: Some((wallet, Side::Either)), ..lately() }),
        ),
        (
            "stranger",
            "of a stranger",
            transfers(TransferFilter { address: Some((Address::ZERO, Side::Either)), ..lately() }),
        ),
        ("token", "of a token", transfers(TransferFilter { token: Some(token), ..lately() })),
        ("watched", "watched ones", transfers(TransferFilter { watched: true, ..lately() })),
        ("verified", "of known tokens", transfers(TransferFilter { verified: true, ..lately() })),
        ("nfts", "NFTs", transfers(TransferFilter { kinds: nfts, ..lately() })),
        ("not_small", "of 100 dollars and more", usd("100")),
        ("large", "of 19,990 dollars and more", usd("19990")),
        ("rare", "of a billion dollars and more", usd("1000000000")),
        ("hash", "a transaction by its hash", Question::Transaction(hash, None)),
        ("hinted", "the same with its block", Question::Transaction(hash, Some(block))),
        ("whole", "the rest of it", Question::WholeTransaction(hash, block)),
        ("graph", "pairs of twenty addresses", Question::Graph(vec![wallet; 20])),
        ("alerts", "alerts", Question::Alerts(alerts)),
        ("alerts_rule", "alerts of a rule", Question::Alerts(of_rule)),
        ("deliveries", "who was told of fifty", Question::Deliveries),
        ("rules", "when sixty rules fired", Question::Rules),
        ("blocks", "blocks", Question::Blocks),
        ("chains", "heads of chains", Question::Chains),
    ])
}
