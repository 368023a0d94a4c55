use crypto_intel_schemas::Address;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{
    sql::{PageRequest, Question, RowPage, Towards},
    values::{address, optional_address},
};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// A watched address as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletRow {
    /// Chain slug, or `all`.
    pub chain: String,
    /// The address.
    pub address: Address,
    /// What people call it.
    pub label: Option<String>,
    /// What it has in common with others.
    pub tags: Vec<String>,
    /// wallet, token, pool or contract.
    pub kind: String,
    /// The group that it belongs to.
    pub group: Option<String>,
    /// Whose it is.
    pub owner: Option<String>,
    /// Remarks.
    pub notes: Option<String>,
    /// When it was put on the watch-list, microseconds since 1970.
    pub added_at_us: i64,
    /// When it left the watch-list, microseconds since 1970; `None` while it is watched.
    pub removed_at_us: Option<i64>,
}

/// Which watched addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletFilter {
    /// Watched on one of these chains, or on all; `None` for any.
    pub chains: Option<Vec<String>>,
    /// Whose label has this in it, whatever the case.
    pub label: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Of this group.
    pub group: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Those that have left, instead of those that are watched.
    pub removed: bool,
}

/// Where a wallet is in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletKey {
    /// The address.
    pub address: Address,
    /// Chain slug, or `all`.
    pub chain: String,
}

/// What an address received and sent of one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowLine {
    /// Chain slug.
    pub chain: String,
    /// Contract of the token; `None` for the chain's own currency.
    pub token: Option<Address>,
    /// Its symbol, where it is known.
    pub symbol: Option<String>,
    /// Transfers that it received and sent.
    pub transfers: (u64, u64),
    /// Received and sent in the smallest unit, as decimal text.
    pub value: (String, String),
    /// The same in whole units, of transfers whose decimals are known.
    pub amount: (String, String),
    /// The same in US dollars, of transfers with a known price.
    pub usd: (String, String),
    /// First and last of them, microseconds since 1970.
    pub between_us: (i64, i64),
}

/// With whom an address dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterpartyLine {
    /// The other address; `None` where a contract was created.
    pub address: Option<Address>,
    /// What it is called by the watch-list, else by labels.
    pub label: Option<String>,
    /// Transfers received from it and sent to it.
    pub transfers: (u64, u64),
    /// Received and sent in US dollars, as decimal text.
    pub usd: (String, String),
    /// How many different assets.
    pub tokens: u64,
    /// On which chains.
    pub chains: Vec<String>,
    /// First and last transfer, microseconds since 1970.
    pub between_us: (i64, i64),
}

const COLUMNS: &str = "chain, address, label, tags, kind, group_name, owner, notes, \
    (extract(epoch FROM added_at) * 1000000)::bigint, (extract(epoch FROM removed_at) * 1000000)::bigint";

fn wallet(row: &Row) -> WalletRow {
    WalletRow {
        chain: row.get(0),
        address: address(row.get(1)),
        label: row.get(2),
        tags: row.get::<_, Option<Vec<String>>>(3).unwrap_or_default(),
        kind: row.get(4),
        group: row.get(5),
        owner: row.get(6),
        notes: row.get(7),
        added_at_us: row.get(8),
        removed_at_us: row.get(9),
    }
}

impl Store {
    /// A page of watched addresses, in the order of addresses. They are thousands, and every filter looks at all.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn wallets(
        &self,
        filter: &WalletFilter,
        page: &PageRequest<WalletKey>,
    ) -> Result<RowPage<WalletRow>, StoreError> {
        let mut question = Question::default();
        let mut conditions =
            vec![format!("removed_at IS {}NULL", if filter.removed { "NOT " } else { "" })];
        if let Some(chains) = filter.chains.clone() {
            let chains = question.bind(chains);
            conditions.push(format!("(chain = 'all' OR chain = ANY ({chains}))"));
        }
        if let Some(label) = filter.label.clone() {
            let label = question.bind(label);
            conditions.push(format!("strpos(lower(label), lower({label})) > 0"));
        }
        for (column, value) in [("kind", &filter.kind), ("group_name", &filter.group)] {
            if let Some(value) = value.clone() {
                let value = question.bind(value);
                conditions.push(format!("{column} = {value}"));
            }
        }
        if let Some(tag) = filter.tag.clone() {
            let tag = question.bind(tag);
            conditions.push(format!("{tag} = ANY (tags)"));
        }
        // The list begins at the lowest address: on is upwards here.
        let (order, comparison) = match page.towards() {
            Towards::Older => ("ASC", ">"),
            Towards::Newer => ("DESC", "<"),
        };
        if let Some((key, _)) = &page.beside {
            let (address, chain) =
                (question.bind(key.address.to_vec()), question.bind(key.chain.clone()));
            conditions.push(format!("(address, chain) {comparison} ({address}, {chain})"));
        }
        let limit = question.bind(page.rows());
        let sql = format!(
            "SELECT {COLUMNS} FROM wallets WHERE {} ORDER BY address {order}, chain {order} LIMIT {limit}",
            conditions.join(" AND ")
        );
        let rows = self.ask("read wallets", &sql, &question.values()).await?;
        Ok(RowPage::new(rows.iter().map(wallet).collect(), page))
    }

    /// Every row of an address in the watch-list, those that left too.
    ///
    /// # Errors
    /// As [`wallets`](Self::wallets).
    pub async fn wallet(&self, address: Address) -> Result<Vec<WalletRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM wallets WHERE address = $1 ORDER BY chain");
        let rows = self.ask("read a wallet", &sql, &[&address.to_vec()]).await?;
        Ok(rows.iter().map(wallet).collect())
    }

    /// What the watch-list says of these addresses now.
    ///
    /// # Errors
    /// As [`wallets`](Self::wallets).
    pub async fn watched_of(&self, addresses: &[Address]) -> Result<Vec<WalletRow>, StoreError> {
        let wanted: Vec<Vec<u8>> = addresses.iter().map(|address| address.to_vec()).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM wallets WHERE address = ANY ($1) AND removed_at IS NULL ORDER BY address, chain"
        );
        let rows = self.ask("read watched addresses", &sql, &[&wanted]).await?;
        Ok(rows.iter().map(wallet).collect())
    }

    /// What an address received and sent in a time, by chain and asset.
    ///
    /// # Errors
    /// As [`wallets`](Self::wallets), or when it has too many transfers in that time.
    pub async fn wallet_flow(
        &self,
        wallet: Address,
        since_us: i64,
        until_us: i64,
    ) -> Result<Vec<FlowLine>, StoreError> {
        let rows = self
            .ask(
                "add up the transfers of a wallet",
                "SELECT chain, token, symbol, transfers_in, transfers_out, value_in::text, value_out::text, \
                 amount_in::text, amount_out::text, usd_in::text, usd_out::text, \
                 (extract(epoch FROM first_at) * 1000000)::bigint, (extract(epoch FROM last_at) * 1000000)::bigint \
                 FROM wallet_flow($1, $2, $3)",
                &[&wallet.to_vec(), &Timestamp(since_us), &Timestamp(until_us)],
            )
            .await?;
        let line = |row: &Row| FlowLine {
            chain: row.get(0),
            token: optional_address(row.get(1)),
            symbol: row.get(2),
            transfers: (count(row, 3), count(row, 4)),
            value: (row.get(5), row.get(6)),
            amount: (row.get(7), row.get(8)),
            usd: (row.get(9), row.get(10)),
            between_us: (row.get(11), row.get(12)),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// With whom an address dealt in a time, those first with whom most often.
    ///
    /// # Errors
    /// As [`wallet_flow`](Self::wallet_flow).
    pub async fn counterparties(
        &self,
        wallet: Address,
        since_us: i64,
        until_us: i64,
        most: u32,
    ) -> Result<Vec<CounterpartyLine>, StoreError> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let rows = self
            .ask(
                "add up the counterparties of a wallet",
                "SELECT counterparty, label, transfers_in, transfers_out, usd_in::text, usd_out::text, tokens, chains, \
                 (extract(epoch FROM first_at) * 1000000)::bigint, (extract(epoch FROM last_at) * 1000000)::bigint \
                 FROM counterparties($1, $2, $3, $4)",
                &[&wallet.to_vec(), &Timestamp(since_us), &Timestamp(until_us), &most],
            )
            .await?;
        let line = |row: &Row| CounterpartyLine {
            address: optional_address(row.get(0)),
            label: row.get(1),
            transfers: (count(row, 2), count(row, 3)),
            usd: (row.get(4), row.get(5)),
            tokens: count(row, 6),
            chains: row.get(7),
            between_us: (row.get(8), row.get(9)),
        };
        Ok(rows.iter().map(line).collect())
    }
}

fn count(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).unsigned_abs()
}
