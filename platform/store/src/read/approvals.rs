use crypto_intel_schemas::{Address, B256};
use tokio_postgres::Row;

use super::{
    sql::{ByHour, Towards},
    values::address,
};
use crate::{error::StoreError, pool::store::Store};

/// Newest approvals of an owner that are looked through.
const MAX_LOOKED_AT: i64 = 10_000;

/// What an approval lets a spender move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalKind {
    /// An amount of an ERC-20 token.
    Allowance,
    /// One NFT.
    Nft,
    /// Every NFT of a contract (`ApprovalForAll`).
    Collection,
}

/// An approval that was not withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalLine {
    /// Chain slug.
    pub chain: String,
    /// Contract of the token.
    pub token: Address,
    /// Who may move it.
    pub spender: Address,
    /// What may be moved.
    pub kind: ApprovalKind,
    /// How many, in the smallest unit, decimal text; of an allowance.
    pub value: Option<String>,
    /// Which NFT, decimal text.
    pub token_id: Option<String>,
    /// Whether no amount bounds it: all that the owner ever has.
    pub unlimited: bool,
    /// Time of its block, microseconds since 1970.
    pub block_time_us: i64,
    /// Its block.
    pub block_number: u64,
    /// Its transaction.
    pub tx_hash: B256,
}

/// Approvals of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// Those that were not withdrawn, newest first.
    pub lines: Vec<ApprovalLine>,
    /// Where the owner has more approvals than are looked through: since when they were, microseconds since 1970.
    pub looked_since_us: Option<i64>,
}

/// Which approvals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// On these chains; `None` for all.
    pub chains: Option<Vec<String>>,
    /// Of this token.
    pub token: Option<Address>,
    /// Only those that no amount bounds.
    pub unlimited: bool,
}

/// What wallets write for "without limit": the largest number, or the largest one of a token that counts in fewer bits. Spenders
/// count down from it, so half of the largest number is none that is meant.
const UNLIMITED: &str = "coalesce(kind = 3 OR kind = 1 AND (value >= 2::numeric ^ 255 OR value IN ( \
                         2::numeric ^ 96 - 1, 2::numeric ^ 128 - 1, 2::numeric ^ 160 - 1)), false)";

impl Store {
    /// Approvals of an address that were not withdrawn by a later one, newest first. Its newest 10,000 approvals are looked through.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn open_approvals(
        &self,
        owner: Address,
        filter: &ApprovalFilter,
        most: u32,
    ) -> Result<Approvals, StoreError> {
        // An approval of one NFT takes the place of another one of it, also for another spender; others that of the same spender.
        let rows = MAX_LOOKED_AT.to_string();
        let by_hour = ByHour {
            table: "approvals",
            since: "'-infinity'::timestamptz",
            until: "'infinity'::timestamptz",
            rows: &rows,
            towards: Towards::Older,
        };
        let conditions = by_hour.conditions(
            "address_key(owner) = address_key($1) AND owner = $1 AND ($2::text[] IS NULL OR chain = ANY ($2)) \
             AND ($3::bytea IS NULL OR token = $3)",
        );
        let sql = format!(
            "WITH said AS MATERIALIZED (SELECT chain, token, spender, \
             CASE WHEN token_id IS NOT NULL THEN 2 WHEN approved IS NOT NULL THEN 3 ELSE 1 END AS kind, \
             value, token_id, approved, block_time, block_number, log_index, tx_hash FROM approvals \
             WHERE {conditions} \
             ORDER BY hour_key(block_time) DESC, block_time DESC, block_number DESC, log_index DESC LIMIT {MAX_LOOKED_AT}), \
             newest AS (SELECT DISTINCT ON (chain, token, kind, CASE kind WHEN 2 THEN NULL ELSE spender END, token_id) * FROM said \
             ORDER BY chain, token, kind, CASE kind WHEN 2 THEN NULL ELSE spender END, token_id, \
             block_time DESC, block_number DESC, log_index DESC), \
             open AS (SELECT *, {UNLIMITED} AS unlimited FROM newest \
             WHERE CASE kind WHEN 1 THEN value > 0 WHEN 2 THEN spender <> decode(repeat('00', 20), 'hex') ELSE approved END), \
             looked AS (SELECT count(*) AS rows, min(block_time) AS since FROM said) \
             SELECT looked.rows, (extract(epoch FROM looked.since) * 1000000)::bigint, chain, token, spender, kind, value::text, \
             token_id::text, unlimited, (extract(epoch FROM block_time) * 1000000)::bigint, block_number, tx_hash \
             FROM looked LEFT JOIN LATERAL (SELECT * FROM open WHERE unlimited OR NOT $4 \
             ORDER BY block_time DESC, block_number DESC, log_index DESC, chain LIMIT $5) AS found ON true \
             ORDER BY block_time DESC, block_number DESC, log_index DESC, chain"
        );
        let token = filter.token.map(|token| token.to_vec());
        let rows = self
            .ask(
                "read the approvals of an address",
                &sql,
                &[&owner.to_vec(), &filter.chains, &token, &filter.unlimited, &i64::from(most)],
            )
            .await?;
        let looked = rows.first().filter(|row| row.get::<_, i64>(0) >= MAX_LOOKED_AT);
        Ok(Approvals {
            lines: rows.iter().filter_map(line).collect(),
            looked_since_us: looked.and_then(|row| row.get(1)),
        })
    }
}

/// `None` of the row that says that there is none.
fn line(row: &Row) -> Option<ApprovalLine> {
    Some(ApprovalLine {
        chain: row.get::<_, Option<String>>(2)?,
        token: address(row.get(3)),
        spender: address(row.get(4)),
        kind: match row.get::<_, i32>(5) {
            1 => ApprovalKind::Allowance,
            2 => ApprovalKind::Nft,
            _ => ApprovalKind::Collection,
        },
        value: row.get(6),
        token_id: row.get(7),
        unlimited: row.get(8),
        block_time_us: row.get(9),
        block_number: row.get::<_, i64>(10).unsigned_abs(),
        tx_hash: B256::try_from(row.get::<_, &[u8]>(11)).unwrap_or_default(),
    })
}
