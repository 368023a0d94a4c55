use crypto_intel_schemas::B256;

use super::{Side, TransferFilter, TransferKey, TransferKind};
use crate::{
    read::sql::{ByHour, PageRequest, Question, Towards},
    sql_values::{Timestamp, height},
};

/// Worth that has an index of its own.
const LARGE_USD: f64 = 10_000.0;

/// A table of transfers: what of it is a column of all, and what of the others it lacks.
struct Source {
    /// Tells tables apart in the order of a list; never changed: cursors have it.
    rank: i16,
    table: &'static str,
    place: &'static str,
    /// A constant where a transaction has one at most.
    sub_place: &'static str,
    columns: &'static str,
    has_tokens: bool,
}

const SOURCES: [Source; 3] = [
    Source {
        rank: 1,
        table: "native_transfers",
        place: "tx_index",
        sub_place: "0",
        columns: "tx_index, tx_hash, NULL::smallint AS erc, NULL::smallint AS decimals, true AS token_verified, \
                  NULL::bytea AS token, sender, recipient, NULL::bytea AS operator, NULL::numeric AS token_id, value, \
                  symbol, amount, usd, sender AS tx_from, recipient AS tx_to, method, watched, succeeded, \
                  NULL::text AS call_type, NULL::text AS trace_address",
        has_tokens: false,
    },
    Source {
        rank: 2,
        table: "internal_transfers",
        place: "tx_index",
        sub_place: "sub_index",
        columns: "tx_index, tx_hash, NULL::smallint AS erc, NULL::smallint AS decimals, true AS token_verified, \
                  NULL::bytea AS token, sender, recipient, NULL::bytea AS operator, NULL::numeric AS token_id, value, \
                  symbol, amount, usd, tx_from, tx_to, method, watched, NULL::boolean AS succeeded, call_type, \
                  trace_address",
        has_tokens: false,
    },
    Source {
        rank: 3,
        table: "token_transfers",
        place: "log_index",
        sub_place: "sub_index",
        columns: "tx_index, tx_hash, erc, decimals, token_verified, token, sender, recipient, operator, token_id, value, \
                  symbol, NULL::numeric AS amount, usd, tx_from, tx_to, method, watched, NULL::boolean AS succeeded, \
                  NULL::text AS call_type, NULL::text AS trace_address",
        has_tokens: true,
    },
];

impl Source {
    fn kinds(&self) -> &'static [TransferKind] {
        match self.rank {
            1 => &[TransferKind::Native],
            2 => &[TransferKind::Internal],
            _ => &[TransferKind::Erc20, TransferKind::Erc721, TransferKind::Erc1155],
        }
    }
}

/// The tables that have some of these kinds.
pub(super) fn tables_of(kinds: &[TransferKind]) -> impl Iterator<Item = &'static str> {
    let has = |source: &&Source| source.kinds().iter().any(|kind| kinds.contains(kind));
    SOURCES.iter().filter(has).map(|source| source.table)
}

/// What every branch refers to.
struct Shared {
    chains: Option<String>,
    since: String,
    until: String,
    token: Option<String>,
    min_usd: Option<String>,
    is_large: bool,
    limit: String,
}

/// The question for a page; `None` when nothing can fit the filter.
pub(super) fn page(
    filter: &TransferFilter,
    page: &PageRequest<TransferKey>,
) -> Option<(String, Question)> {
    let mut question = Question::default();
    let towards = page.towards();
    let (since_us, until_us) =
        page.bounds((filter.since_us, filter.until_us), |key| key.block_time_us);
    let shared = Shared {
        chains: filter.chains.clone().map(|chains| question.bind(chains)),
        since: question.bind(Timestamp(since_us)),
        until: question.bind(Timestamp(until_us)),
        token: filter.token.map(|token| question.bind(token.to_vec())),
        is_large: filter
            .min_usd
            .as_ref()
            .is_some_and(|usd| usd.parse::<f64>().is_ok_and(|usd| usd >= LARGE_USD)),
        min_usd: filter.min_usd.clone().map(|usd| question.bind(usd)),
        limit: question.bind(page.rows()),
    };
    let beside = page.beside.as_ref().map(|(key, _)| (bound(&mut question, key), key.rank));
    let address = filter.address.map(|(address, side)| (question.bind(address.to_vec()), side));
    let mut branches = Vec::new();
    for source in &SOURCES {
        let kinds: Vec<TransferKind> =
            source.kinds().iter().copied().filter(|kind| filter.kinds.contains(kind)).collect();
        if kinds.is_empty() || (filter.token.is_some() && !source.has_tokens) {
            continue;
        }
        let mut conditions = conditions(source, filter, &shared, &kinds);
        if let Some((key, rank)) = &beside {
            let comparison = towards.comparison(match towards {
                Towards::Older => source.rank < *rank,
                Towards::Newer => source.rank > *rank,
            });
            let own = format!(
                "(block_time, block_number, block_tag, {}, {}, chain)",
                source.place, source.sub_place
            );
            conditions.push(format!("{own} {comparison} ({key})"));
        }
        let sides: &[Option<(&str, &str)>] = match address {
            None => &[None],
            Some((_, Side::Out)) => &[Some(("sender", ""))],
            Some((_, Side::In)) => &[Some(("recipient", ""))],
            // One that it sends to itself once, as sent.
            Some((_, Side::Either)) => {
                &[Some(("sender", "")), Some(("recipient", " AND sender <> recipient"))]
            }
        };
        for side in sides {
            let of_address = side.zip(address.as_ref()).map(|((column, besides), (value, _))| {
                format!(
                    "address_key({column}) = address_key({value}) AND {column} = {value}{besides}"
                )
            });
            let all: Vec<String> = conditions.iter().cloned().chain(of_address).collect();
            let by_hour = side.is_some() || shared.token.is_some();
            branches.push(branch(source, &all, by_hour, towards, &shared));
        }
    }
    if branches.is_empty() {
        return None;
    }
    Some((whole(&branches, towards, &shared.limit), question))
}

fn bound(question: &mut Question, key: &TransferKey) -> String {
    [
        question.bind(Timestamp(key.block_time_us)),
        question.bind(key.block_number),
        question.bind(key.block_tag),
        question.bind(key.place),
        question.bind(key.sub_place),
        question.bind(key.chain.clone()),
    ]
    .join(", ")
}

fn conditions(
    source: &Source,
    filter: &TransferFilter,
    shared: &Shared,
    kinds: &[TransferKind],
) -> Vec<String> {
    let Shared { since, until, .. } = shared;
    let mut all = vec![format!("block_time >= {since} AND block_time <= {until}")];
    all.extend(shared.chains.as_ref().map(|chains| format!("chain = ANY ({chains})")));
    if source.has_tokens && kinds.len() < source.kinds().len() {
        let numbers: Vec<&str> = kinds.iter().map(|kind| erc(*kind)).collect();
        all.push(match kinds {
            // As the partial indexes of NFTs say it.
            [TransferKind::Erc721, TransferKind::Erc1155] => "erc <> 20".to_owned(),
            _ => format!("erc IN ({})", numbers.join(", ")),
        });
    }
    if let Some(token) = &shared.token {
        all.push(format!("address_key(token) = address_key({token}) AND token = {token}"));
    }
    if filter.watched {
        all.push("watched IS NOT NULL".to_owned());
    }
    if source.has_tokens && (filter.verified || shared.is_large) {
        all.push("token_verified".to_owned());
    }
    if let Some(usd) = &shared.min_usd {
        all.push(format!("usd >= {usd}::text::numeric"));
        if shared.is_large {
            all.push("usd >= 10000".to_owned());
        }
    }
    all
}

fn erc(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Erc721 => "721",
        TransferKind::Erc1155 => "1155",
        _ => "20",
    }
}

/// One table and side, ordered as its index is, and no longer than the page.
fn branch(
    source: &Source,
    conditions: &[String],
    by_hour: bool,
    towards: Towards,
    shared: &Shared,
) -> String {
    let Source { rank, table, place, sub_place, columns, .. } = source;
    let limit = &shared.limit;
    let order = towards.order();
    let mut conditions = conditions.join(" AND ");
    let mut hour = String::new();
    if by_hour {
        hour = format!("hour_key(block_time) {order}, ");
        let Shared { since, until, limit, .. } = shared;
        let by_hour = ByHour { table, since, until, rows: limit, towards };
        conditions = by_hour.conditions(&conditions);
    }
    let sub_place_order = match *sub_place {
        "0" => String::new(),
        column => format!("{column} {order}, "),
    };
    format!(
        "(SELECT {rank}::smallint AS rank, block_time, block_number, block_tag, {place} AS place, \
         {sub_place} AS sub_place, chain, {columns} FROM {table} WHERE {conditions} \
         ORDER BY {hour}block_time {order}, block_number {order}, block_tag {order}, {place} {order}, {sub_place_order}\
         chain {order} LIMIT {limit})"
    )
}

/// The branches as one list, and what the blocks of its rows say of them.
fn whole(branches: &[String], towards: Towards, limit: &str) -> String {
    let order = towards.order();
    let order = format!(
        "block_time {order}, block_number {order}, block_tag {order}, place {order}, sub_place {order}, \
         chain {order}, rank {order}"
    );
    format!(
        "SELECT (extract(epoch FROM block_time) * 1000000)::bigint, block_number, block_tag, place, sub_place, chain, rank, \
         tx_index, tx_hash, erc, decimals, token_verified, token, sender, recipient, operator, token_id::text, value::text, \
         symbol, amount::text, usd::text, tx_from, tx_to, method, watched, succeeded, call_type, trace_address, \
         block.block_hash, block.chain_id, (extract(epoch FROM block.observed_at) * 1000000)::bigint, block.incarnation \
         FROM (SELECT * FROM ({}) AS each ORDER BY {order} LIMIT {limit}) AS moved LEFT JOIN LATERAL ( \
         SELECT block_hash, chain_id, observed_at, incarnation FROM blocks \
         WHERE blocks.chain = moved.chain AND blocks.block_number = moved.block_number \
         AND block_tag(blocks.block_hash) = moved.block_tag LIMIT 1) AS block ON true ORDER BY {order}",
        branches.join(" UNION ALL ")
    )
}

/// The question for all transfers of a transaction.
pub(super) fn of_transaction(
    chain: &str,
    tx_hash: B256,
    block_number: Option<u64>,
) -> (String, Question) {
    let mut question = Question::default();
    let hash = question.bind(tx_hash.to_vec());
    let chain = question.bind(chain.to_owned());
    let limit = question.bind(MAX_OF_TRANSACTION);
    let number = block_number.map(|number| question.bind(height(number)));
    let branches: Vec<String> = SOURCES
        .iter()
        .map(|source| {
            let Source { rank, table, place, sub_place, columns, .. } = source;
            let place_of_block = match &number {
                // The block says its time, with which the key begins.
                Some(number) => format!(
                    " AND block_number = {number} AND block_time = ANY (ARRAY(SELECT blocks.block_time FROM blocks \
                     WHERE blocks.chain = {chain} AND blocks.block_number = {number}))"
                ),
                None => String::new(),
            };
            format!(
                "(SELECT {rank}::smallint AS rank, block_time, block_number, block_tag, {place} AS place, \
                 {sub_place} AS sub_place, chain, {columns} FROM {table} \
                 WHERE tx_hash = {hash} AND chain = {chain}{place_of_block} LIMIT {limit})"
            )
        })
        .collect();
    (whole(&branches, Towards::Older, &limit), question)
}

/// Transfers of one transaction; the largest known has some 3,000.
const MAX_OF_TRANSACTION: i64 = 5_000;

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::Address;

    use super::*;

    fn filter() -> TransferFilter {
        TransferFilter::between(0, 10)
    }

    fn first() -> PageRequest<TransferKey> {
        PageRequest { limit: 50, beside: None }
    }

    #[test]
    fn a_question_asks_only_the_tables_that_can_have_an_answer() {
        let tables = |filter: &TransferFilter| {
            let sql = page(filter, &first()).map(|(sql, _)| sql).unwrap_or_default();
            SOURCES.map(|source| sql.matches(&format!("SELECT {}::smallint", source.rank)).count())
        };
        assert_eq!(tables(&filter()), [1, 1, 1]);
        let of_address =
            TransferFilter { address: Some((Address::ZERO, Side::Either)), ..filter() };
        assert_eq!(tables(&of_address), [2, 2, 2], "a branch for each side");
        let of_token = TransferFilter { token: Some(Address::ZERO), ..filter() };
        assert_eq!(tables(&of_token), [0, 0, 1]);
        let nothing = TransferFilter { kinds: vec![TransferKind::Native], ..of_token };
        assert!(page(&nothing, &first()).is_none());
    }

    #[test]
    fn a_page_that_goes_on_leaves_out_the_row_beside_it_in_its_own_table_only() {
        let key = TransferKey {
            block_time_us: 5,
            block_number: 1,
            block_tag: 2,
            place: 3,
            sub_place: 0,
            chain: "base".into(),
            rank: 2,
        };
        let sql = |towards| {
            let beside = Some((key.clone(), towards));
            page(&filter(), &PageRequest { limit: 2, beside })
                .map(|(sql, _)| sql)
                .unwrap_or_default()
        };
        let older = sql(Towards::Older);
        for part in [
            "tx_index, 0, chain) <= (",
            "tx_index, sub_index, chain) < (",
            "log_index, sub_index, chain) < (",
        ] {
            assert!(older.contains(part), "{part} in {older}");
        }
        let newer = sql(Towards::Newer);
        for part in [
            "tx_index, 0, chain) > (",
            "tx_index, sub_index, chain) > (",
            "log_index, sub_index, chain) >= (",
        ] {
            assert!(newer.contains(part), "{part} in {newer}");
        }
    }
}
