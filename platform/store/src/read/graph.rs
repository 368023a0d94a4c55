//! Who dealt with whom, added up by pairs of addresses, from a bounded number of rows of each address.

use crypto_intel_schemas::Address;
use tokio_postgres::Row;

use super::{
    sql::{ByHour, Question, Towards},
    values::{address, optional_address},
};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Which transfers are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFilter {
    /// Of these chains; `None` for all.
    pub chains: Option<Vec<String>>,
    /// Only native value and tokens on the list of known ones.
    pub verified: bool,
    /// From then on, microseconds since 1970.
    pub since_us: i64,
    /// Up to then, microseconds since 1970.
    pub until_us: i64,
    /// So many rows are read of each address, table of transfers and side at most: the newest.
    pub rows: u32,
}

/// What one address sent to another.
#[derive(Debug, Clone, PartialEq)]
pub struct PairLine {
    /// Of the addresses that were asked for, the one whose rows these are.
    pub asked: Address,
    /// Who sent.
    pub from: Address,
    /// Who received.
    pub to: Address,
    /// How many transfers.
    pub transfers: u64,
    /// How many of them have a price.
    pub priced: u64,
    /// Sum of those, US dollars as decimal text.
    pub usd: String,
    /// First and last of them, microseconds since 1970.
    pub between_us: (i64, i64),
    /// How many different assets.
    pub assets: u64,
    /// Of them those with the most dollars, then the most transfers.
    pub top_assets: Vec<PairAsset>,
}

/// An asset of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairAsset {
    /// Chain slug.
    pub chain: String,
    /// Contract of the token; `None` for the chain's own currency.
    pub token: Option<Address>,
    /// Its symbol, where it is known.
    pub symbol: Option<String>,
    /// How many transfers.
    pub transfers: u64,
    /// Sum of those with a price, US dollars as decimal text.
    pub usd: String,
}

/// Pairs, and whose are not all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    /// What was added up, in no order.
    pub lines: Vec<PairLine>,
    /// Addresses that have more rows than were read.
    pub cut: Vec<Address>,
}

/// Assets of a pair that are told one by one.
const TOP_ASSETS: u32 = 5;

/// What a branch takes of each table of transfers.
const SOURCES: [(&str, &str); 3] = [
    (
        "native_transfers",
        "NULL::bytea AS token, succeeded IS NOT FALSE AS counts, true AS verified",
    ),
    ("internal_transfers", "NULL::bytea AS token, true AS counts, true AS verified"),
    ("token_transfers", "token, true AS counts, token_verified AS verified"),
];

impl Store {
    /// What these addresses sent and received, by pairs. Transfers of nothing, failed payments and those to oneself are left out.
    /// What is not asked for is left out after the rows are read, so that no address costs more than another.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated, or the question takes too long.
    pub async fn pairs_of(
        &self,
        addresses: &[Address],
        filter: &PairFilter,
    ) -> Result<Pairs, StoreError> {
        if addresses.is_empty() {
            return Ok(Pairs::default());
        }
        let (sql, question) = question(addresses, filter);
        let rows = self.ask("add up pairs of addresses", &sql, &question.values()).await?;
        let mut pairs = Pairs::default();
        for row in &rows {
            let line = line(row);
            if row.get::<_, bool>(9) && !pairs.cut.contains(&line.asked) {
                pairs.cut.push(line.asked);
            }
            if line.transfers > 0 && line.from != line.to {
                pairs.lines.push(line);
            }
        }
        Ok(pairs)
    }
}

fn question(addresses: &[Address], filter: &PairFilter) -> (String, Question) {
    let mut question = Question::default();
    let asked: Vec<Vec<u8>> = addresses.iter().map(|address| address.to_vec()).collect();
    let asked = question.bind(asked);
    let since = question.bind(Timestamp(filter.since_us));
    let until = question.bind(Timestamp(filter.until_us));
    let rows = question.bind(i64::from(filter.rows));
    let verified = question.bind(filter.verified);
    let chains = match filter.chains.clone() {
        Some(chains) => format!(" AND chain = ANY ({})", question.bind(chains)),
        None => String::new(),
    };
    let mut branches = Vec::new();
    for (table, columns) in SOURCES {
        for side in ["sender", "recipient"] {
            let by_hour = ByHour {
                table,
                since: &since,
                until: &until,
                rows: &rows,
                towards: Towards::Older,
            };
            let conditions = by_hour.conditions(&format!(
                "address_key({side}) = address_key(asked.address) AND {side} = asked.address \
                 AND block_time >= {since} AND block_time <= {until}"
            ));
            branches.push(format!(
                "SELECT *, count(*) OVER () >= {rows} AS is_cut FROM (SELECT block_time, chain, sender, recipient, value, \
                 symbol, usd, {columns} FROM {table} WHERE {conditions} \
                 ORDER BY hour_key(block_time) DESC, block_time DESC LIMIT {rows}) AS newest"
            ));
        }
    }
    let counts = format!("counts AND value > 0 AND (verified OR NOT {verified}){chains}");
    let top = |value: &str| {
        format!(
            "(array_agg({value} ORDER BY usd DESC, transfers DESC, chain, token NULLS FIRST) FILTER (WHERE transfers > 0))[1:{TOP_ASSETS}]"
        )
    };
    let sql = format!(
        "SELECT asked, sender, recipient, sum(transfers)::bigint, sum(priced)::bigint, sum(usd)::text, \
         (extract(epoch FROM min(first_at)) * 1000000)::bigint, (extract(epoch FROM max(last_at)) * 1000000)::bigint, \
         count(*) FILTER (WHERE transfers > 0), bool_or(is_cut), {}, {}, {}, {}, {} \
         FROM (SELECT asked.address AS asked, moved.sender, moved.recipient, moved.chain, \
         moved.token, max(moved.symbol) AS symbol, count(*) FILTER (WHERE {counts}) AS transfers, \
         count(usd) FILTER (WHERE {counts}) AS priced, coalesce(sum(usd) FILTER (WHERE {counts}), 0) AS usd, \
         min(block_time) FILTER (WHERE {counts}) AS first_at, max(block_time) FILTER (WHERE {counts}) AS last_at, \
         bool_or(is_cut) AS is_cut \
         FROM unnest({asked}::bytea[]) AS asked (address) CROSS JOIN LATERAL ({}) AS moved \
         GROUP BY asked.address, moved.sender, moved.recipient, moved.chain, moved.token) AS of_asset \
         GROUP BY asked, sender, recipient",
        top("chain"),
        top("token"),
        top("symbol"),
        top("transfers"),
        top("usd::text"),
        branches.join(" UNION ALL ")
    );
    (sql, question)
}

fn line(row: &Row) -> PairLine {
    let count = |column| row.get::<_, i64>(column).unsigned_abs();
    let chains: Option<Vec<String>> = row.get(10);
    let tokens: Option<Vec<Option<Vec<u8>>>> = row.get(11);
    let symbols: Option<Vec<Option<String>>> = row.get(12);
    let transfers: Option<Vec<i64>> = row.get(13);
    let usd: Option<Vec<String>> = row.get(14);
    let assets = chains.into_iter().flatten().zip(tokens.into_iter().flatten());
    let named = assets.zip(symbols.into_iter().flatten());
    let sums = transfers.into_iter().flatten().zip(usd.into_iter().flatten());
    let top_assets =
        named.zip(sums).map(|(((chain, token), symbol), (transfers, usd))| PairAsset {
            chain,
            token: optional_address(token.as_deref()),
            symbol,
            transfers: transfers.unsigned_abs(),
            usd,
        });
    PairLine {
        asked: address(row.get(0)),
        from: address(row.get(1)),
        to: address(row.get(2)),
        transfers: count(3),
        priced: count(4),
        usd: row.get(5),
        // Absent where nothing counts: such a line says only that there is more.
        between_us: (
            row.get::<_, Option<i64>>(6).unwrap_or_default(),
            row.get::<_, Option<i64>>(7).unwrap_or_default(),
        ),
        assets: count(8),
        top_assets: top_assets.collect(),
    }
}
