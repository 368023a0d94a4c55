//! When watched addresses were first and last seen.

use crypto_intel_schemas::Address;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use crate::{BatchTransaction, Store, StoreError, Table, time::Timestamp};

/// How far back rows are looked through that name an address in a column without index.
const WITHOUT_INDEX_DAYS: u32 = 7;
/// How long a look-up may wait for the batches that are under way, milliseconds; they wait behind it meanwhile.
const LOCK_TIMEOUT_MS: u32 = 2_000;
/// How long a look-up may take, milliseconds: tables may hold years.
const LOOK_UP_TIMEOUT_MS: u32 = 600_000;

/// An address that was seen on a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Chain slug.
    pub chain: String,
    /// The address.
    pub address: Address,
    /// Time of the first block, microseconds since 1970.
    pub first_us: i64,
    /// Time of the last block, microseconds since 1970.
    pub last_us: i64,
}

/// A row of `wallets` whose sights are to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsureWallet {
    /// Chain slug, or `all`.
    pub chain: String,
    /// The address.
    pub address: Address,
    /// Since when: tells whether it became unsure again meanwhile.
    since: Timestamp,
}

/// Where a table names addresses.
struct AddressColumns {
    table: Table,
    /// Columns that an index begins with.
    indexed: &'static [&'static str],
    /// Further columns.
    others: &'static [&'static str],
}

const TABLES: [AddressColumns; 9] = [
    AddressColumns {
        table: Table::TokenTransfers,
        indexed: &["token", "sender", "recipient"],
        others: &["operator", "tx_from", "tx_to"],
    },
    AddressColumns {
        table: Table::NativeTransfers,
        indexed: &["sender", "recipient"],
        others: &[],
    },
    AddressColumns {
        table: Table::InternalTransfers,
        indexed: &["sender", "recipient"],
        others: &["tx_from", "tx_to"],
    },
    AddressColumns {
        table: Table::Approvals,
        indexed: &["owner", "spender"],
        others: &["token", "tx_from"],
    },
    AddressColumns { table: Table::Contracts, indexed: &["contract"], others: &["creator"] },
    AddressColumns {
        table: Table::Swaps,
        indexed: &["pool", "tx_from"],
        others: &["sender", "recipient", "tx_to"],
    },
    AddressColumns {
        table: Table::Liquidity,
        indexed: &["address", "token0", "token1"],
        others: &["pool", "sender", "owner", "recipient", "hooks", "tx_from", "tx_to"],
    },
    AddressColumns { table: Table::Events, indexed: &["address"], others: &["tx_from", "tx_to"] },
    AddressColumns { table: Table::Logs, indexed: &["address"], others: &["tx_from"] },
];

/// The wallets that are looked up, and what is known of them: nothing, or what was found and is to be found again.
const WALLETS: &str = "WITH wallet AS MATERIALIZED (SELECT * FROM \
     unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY \
     AS wallet (address, chain, first, last, place))";

/// What is asked of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// When the wallets were first and last seen.
    Ever,
    /// Whether they still are, at the times that were found.
    Still,
}

impl Question {
    /// Whether a row of `found` counts for a wallet.
    const fn condition(self) -> &'static str {
        match self {
            Self::Ever => "wallet.chain IN (found.chain, 'all')",
            Self::Still => {
                "wallet.chain IN (found.chain, 'all') \
                 AND found.block_time IN (wallet.first, wallet.last)"
            }
        }
    }
}

impl AddressColumns {
    /// Questions for the first and last block time of rows that name a wallet, each by the wallet's place.
    fn questions(&self, question: Question) -> Vec<String> {
        let table = self.table;
        let condition = question.condition();
        let indexed = |column: &&str| {
            format!(
                "SELECT place, seen.first, seen.last FROM wallet CROSS JOIN LATERAL ( \
                 SELECT min(block_time) AS first, max(block_time) AS last FROM {table} AS found \
                 WHERE found.{column} = wallet.address AND {condition}) AS seen"
            )
        };
        let mut questions: Vec<String> = self.indexed.iter().map(indexed).collect();
        if !self.others.is_empty() {
            let mut named =
                format!("SELECT * FROM (VALUES ({})) AS named (address)", self.others.join("), ("));
            if table == Table::Events {
                named.push_str(
                    " UNION ALL SELECT decode(found_text[1], 'hex') \
                     FROM regexp_matches(fields::text, '\"0x([0-9a-f]{40})\"', 'g') AS found_text",
                );
            }
            // Rows of watched addresses alone are few, and an index has them by time.
            questions.push(format!(
                "SELECT place, min(block_time), max(block_time) FROM {table} AS found \
                 CROSS JOIN LATERAL ({named}) AS named JOIN wallet ON wallet.address = named.address \
                 WHERE watched IS NOT NULL AND {condition} \
                 AND block_time > (SELECT max(block_time) FROM {table} WHERE watched IS NOT NULL) \
                 - make_interval(days => {WITHOUT_INDEX_DAYS}) GROUP BY place"
            ));
        }
        questions
    }
}

fn look_up_sql(question: Question) -> String {
    let questions: Vec<String> =
        TABLES.iter().flat_map(|columns| columns.questions(question)).collect();
    format!(
        "{WALLETS} SELECT place, min(first), max(last) FROM ({}) AS seen (place, first, last) \
         GROUP BY place",
        questions.join(" UNION ALL ")
    )
}

/// When each wallet was first and last seen, by its place.
type Seen = Vec<Option<(Timestamp, Timestamp)>>;

impl Store {
    /// Wallets whose sights are to be looked up, those first that wait longest.
    ///
    /// # Errors
    /// When the database does not answer or wants migrating.
    pub async fn unsure_wallets(&self, most: u32) -> Result<Vec<UnsureWallet>, StoreError> {
        let client = self.client().await?;
        let rows = client
            .query(
                "SELECT address, chain, unsure_since FROM wallets WHERE unsure_since IS NOT NULL \
                 ORDER BY unsure_since LIMIT $1",
                &[&i64::from(most)],
            )
            .await
            .map_err(StoreError::sql("read unsure wallets"))?;
        let wallet = |row: &Row| UnsureWallet {
            address: Address::try_from(row.get::<_, &[u8]>(0)).unwrap_or_default(),
            chain: row.get(1),
            since: row.get(2),
        };
        Ok(rows.iter().map(wallet).collect())
    }

    /// Looks up when wallets were first and last seen, and keeps it; returns of how many. Those that became unsure again
    /// meanwhile, or whose block left the chain, stay unsure.
    ///
    /// # Errors
    /// As [`unsure_wallets`](Self::unsure_wallets); when batches hold the tables for too long, try again.
    pub async fn look_up_wallets(&self, wallets: &[UnsureWallet]) -> Result<u64, StoreError> {
        let mut client = self.client().await?;
        // A batch that was under way when the wallet came did not see it: its rows are to be there before we look.
        let barrier = client.transaction().await.map_err(StoreError::sql("begin"))?;
        hold_batches(&barrier).await?;
        barrier.commit().await.map_err(StoreError::sql("commit"))?;

        let search = client.transaction().await.map_err(StoreError::sql("begin"))?;
        let patience = format!("SET LOCAL statement_timeout = {LOOK_UP_TIMEOUT_MS}");
        search.batch_execute(&patience).await.map_err(StoreError::sql("set a timeout"))?;
        let unknown = vec![None; wallets.len()];
        let found = seen(&search, Question::Ever, wallets, &unknown).await?;
        search.commit().await.map_err(StoreError::sql("commit"))?;

        // A block that we saw may have left since then. Nobody writes any more: look once more, at its time alone.
        let keep = client.transaction().await.map_err(StoreError::sql("begin"))?;
        hold_batches(&keep).await?;
        let again = seen(&keep, Question::Still, wallets, &found).await?;
        let sure: Vec<usize> =
            (0..wallets.len()).filter(|place| found[*place] == again[*place]).collect();
        let kept = keep_seen(&keep, wallets, &found, &sure).await?;
        keep.commit().await.map_err(StoreError::sql("commit"))?;
        Ok(kept)
    }
}

/// Waits until no batch is under way, and lets none begin before the transaction ends.
async fn hold_batches(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction
        .batch_execute(&format!(
            "SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; LOCK TABLE positions IN SHARE MODE"
        ))
        .await
        .map_err(StoreError::sql("wait for the batches under way"))
}

async fn seen(
    transaction: &Transaction<'_>,
    question: Question,
    wallets: &[UnsureWallet],
    known: &Seen,
) -> Result<Seen, StoreError> {
    let addresses: Vec<&[u8]> = wallets.iter().map(|wallet| wallet.address.as_slice()).collect();
    let chains: Vec<&str> = wallets.iter().map(|wallet| &*wallet.chain).collect();
    let firsts: Vec<Option<Timestamp>> = known.iter().map(|seen| seen.map(|seen| seen.0)).collect();
    let lasts: Vec<Option<Timestamp>> = known.iter().map(|seen| seen.map(|seen| seen.1)).collect();
    let rows = transaction
        .query(&look_up_sql(question), &[&addresses, &chains, &firsts, &lasts])
        .await
        .map_err(StoreError::sql("look up wallets"))?;
    let mut seen = vec![None; wallets.len()];
    for row in &rows {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let times = row.get::<_, Option<Timestamp>>(1).zip(row.get::<_, Option<Timestamp>>(2));
        if let Some(entry) = seen.get_mut(place) {
            *entry = times;
        }
    }
    Ok(seen)
}

async fn keep_seen(
    transaction: &Transaction<'_>,
    wallets: &[UnsureWallet],
    found: &Seen,
    places: &[usize],
) -> Result<u64, StoreError> {
    let of = |place: &usize| (&wallets[*place], found[*place]);
    let addresses: Vec<&[u8]> = places.iter().map(|at| of(at).0.address.as_slice()).collect();
    let chains: Vec<&str> = places.iter().map(|at| &*of(at).0.chain).collect();
    let since: Vec<Timestamp> = places.iter().map(|at| of(at).0.since).collect();
    let firsts: Vec<Option<Timestamp>> = places.iter().map(|at| of(at).1.map(|x| x.0)).collect();
    let lasts: Vec<Option<Timestamp>> = places.iter().map(|at| of(at).1.map(|x| x.1)).collect();
    transaction
        .execute(
            "UPDATE wallets SET unsure_since = NULL, first_seen = least(first_seen, found.first), \
             last_seen = greatest(last_seen, found.last) \
             FROM unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::timestamptz[], \
             $5::timestamptz[]) AS found (address, chain, since, first, last) \
             WHERE wallets.address = found.address AND wallets.chain = found.chain \
             AND unsure_since = since",
            &[&addresses, &chains, &since, &firsts, &lasts],
        )
        .await
        .map_err(StoreError::sql("keep when wallets were seen"))
}

impl BatchTransaction {
    /// Moves first and last sight of those that are in `wallets`.
    ///
    /// # Errors
    /// When a statement fails; the transaction is then to be dropped.
    pub async fn see(&self, sights: &[Sight]) -> Result<(), StoreError> {
        if sights.is_empty() {
            return Ok(());
        }
        let chains: Vec<&str> = sights.iter().map(|sight| &*sight.chain).collect();
        let addresses: Vec<&[u8]> = sights.iter().map(|sight| sight.address.as_slice()).collect();
        let firsts: Vec<Timestamp> = sights.iter().map(|sight| Timestamp(sight.first_us)).collect();
        let lasts: Vec<Timestamp> = sights.iter().map(|sight| Timestamp(sight.last_us)).collect();
        // Locked in order, so that two streams that see the same wallets do not deadlock.
        let sql = "WITH sight AS MATERIALIZED (SELECT * FROM \
             unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::timestamptz[]) \
             AS sight (chain, address, first, last)), \
             seen AS (SELECT chain, address, first, last FROM sight UNION ALL \
             SELECT 'all', address, min(first), max(last) FROM sight GROUP BY address), \
             moved AS (SELECT wallets.chain, wallets.address, first, last \
             FROM wallets JOIN seen USING (chain, address) \
             WHERE (least(first_seen, first), greatest(last_seen, last)) \
             IS DISTINCT FROM (first_seen, last_seen) \
             ORDER BY address, chain FOR NO KEY UPDATE OF wallets) \
             UPDATE wallets SET first_seen = least(first_seen, first), \
             last_seen = greatest(last_seen, last) FROM moved \
             WHERE wallets.chain = moved.chain AND wallets.address = moved.address";
        self.client()?
            .execute(sql, &[&chains, &addresses, &firsts, &lasts])
            .await
            .map_err(StoreError::sql("move the sights of wallets"))?;
        Ok(())
    }

    /// Forgets the sights of blocks that left the chain (chain, time in microseconds): the wallets become unsure.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub async fn forget_sights(&self, blocks: &[(&str, i64)]) -> Result<(), StoreError> {
        if blocks.is_empty() {
            return Ok(());
        }
        let chains: Vec<&str> = blocks.iter().map(|(chain, _)| *chain).collect();
        let times: Vec<Timestamp> = blocks.iter().map(|(_, time_us)| Timestamp(*time_us)).collect();
        let gone = |column: &str| {
            format!(
                "EXISTS (SELECT FROM unnest($1::text[], $2::timestamptz[]) AS gone (chain, time) \
                 WHERE time = {column} AND wallets.chain IN (gone.chain, 'all'))"
            )
        };
        let (first, last) = (gone("first_seen"), gone("last_seen"));
        let sql = format!(
            "UPDATE wallets SET unsure_since = clock_timestamp(), \
             first_seen = CASE WHEN {first} THEN NULL ELSE first_seen END, \
             last_seen = CASE WHEN {last} THEN NULL ELSE last_seen END WHERE {first} OR {last}"
        );
        self.client()?
            .execute(&sql, &[&chains, &times])
            .await
            .map_err(StoreError::sql("forget the sights of dropped blocks"))?;
        Ok(())
    }
}
