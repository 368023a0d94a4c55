//! Lists whose filter no index serves: read piece by piece, so that a filter that seldom fits costs no more than another.

use std::time::{Duration, Instant};

use super::{StoredTransfer, TransferFilter, TransferKey, TransferKind, question::tables_of};
use crate::{
    error::StoreError,
    pool::store::Store,
    read::sql::{PageRequest, RowPage, Towards},
    sql_values::Timestamp,
};

/// How much of a list is looked through for one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkBudget {
    /// Rows of each table that are looked through at once.
    pub rows: u32,
    /// No further piece is begun after this.
    pub time: Duration,
}

impl Default for WalkBudget {
    fn default() -> Self {
        Self { rows: 20_000, time: Duration::from_secs(1) }
    }
}

/// A page, and how far it looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Walked {
    /// The rows.
    pub page: RowPage<StoredTransfer>,
    /// Where the list goes on, for a page that was ended before it was full; the rest of the list is not known.
    pub go_on: Option<TransferKey>,
}

/// Below every height.
const BEHIND: i64 = -1;

impl TransferKey {
    /// Behind everything of a moment and later.
    fn behind(block_time_us: i64) -> Self {
        Self {
            block_time_us,
            block_number: BEHIND,
            block_tag: i32::MIN,
            place: i32::MIN,
            sub_place: i32::MIN,
            chain: String::new(),
            rank: 0,
        }
    }

    /// The last moment of what is further down the list.
    fn last_moment(&self) -> i64 {
        // Many rows may be of one moment: without this a piece would be looked through again and again.
        self.block_time_us - i64::from(self.block_number == BEHIND)
    }
}

impl TransferFilter {
    /// Whether its rows are found by looking at others, too.
    fn is_walked(&self) -> bool {
        let has_index = self.address.is_some() || self.token.is_some() || self.watched;
        let is_partial = self.kinds.len() < TransferKind::ALL.len();
        !has_index
            && (self.min_usd.is_some() || self.verified || self.chains.is_some() || is_partial)
    }
}

impl Store {
    /// A page of transfers, newest first. Where its rows have to be looked for, it ends when the budget does.
    ///
    /// # Errors
    /// As [`transfers`](Self::transfers).
    pub async fn walk_transfers(
        &self,
        filter: &TransferFilter,
        page: &PageRequest<TransferKey>,
        budget: WalkBudget,
    ) -> Result<Walked, StoreError> {
        if !filter.is_walked() || page.towards() == Towards::Newer {
            return Ok(Walked { page: self.transfers(filter, page).await?, go_on: None });
        }
        let begun = Instant::now();
        let mut rows = Vec::new();
        let mut request = page.clone();
        loop {
            let last = request.beside.as_ref().map(|(key, _)| key.last_moment());
            let until_us = filter.until_us.min(last.unwrap_or(i64::MAX));
            let piece_us = self.begin_of_piece(filter, until_us, budget.rows).await?;
            let piece =
                TransferFilter { since_us: piece_us.unwrap_or(filter.since_us), ..filter.clone() };
            let read = self.transfers(&piece, &request).await?;
            rows.extend(read.rows);
            let is_full = rows.len() >= page.limit as usize;
            let Some(piece_us) = piece_us.filter(|_| !is_full) else {
                let more = read.more || piece_us.is_some();
                return Ok(Walked { page: RowPage { rows, more }, go_on: None });
            };
            let behind = TransferKey::behind(piece_us);
            if begun.elapsed() >= budget.time {
                let page = RowPage { rows, more: false };
                return Ok(Walked { page, go_on: Some(behind) });
            }
            let left = page.limit as usize - rows.len();
            request.limit = u32::try_from(left).unwrap_or(page.limit);
            request.beside = Some((behind, Towards::Older));
        }
    }

    /// The time down to which every table has so many rows at most; `None` where that is all of the filter's time.
    async fn begin_of_piece(
        &self,
        filter: &TransferFilter,
        until_us: i64,
        rows: u32,
    ) -> Result<Option<i64>, StoreError> {
        let tables: Vec<String> = tables_of(&filter.kinds)
            .map(|table| {
                format!(
                    "(SELECT block_time AS at FROM {table} WHERE block_time >= $1 AND block_time <= $2 \
                     ORDER BY block_time DESC OFFSET $3 LIMIT 1)"
                )
            })
            .collect();
        if tables.is_empty() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT (extract(epoch FROM max(at)) * 1000000)::bigint FROM ({}) AS piece",
            tables.join(" UNION ALL ")
        );
        let (since, until) = (Timestamp(filter.since_us), Timestamp(until_us));
        let found = self
            .ask("look how far a page may look", &sql, &[&since, &until, &i64::from(rows)])
            .await?;
        Ok(found.first().and_then(|row| row.get(0)))
    }
}
