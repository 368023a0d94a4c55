use tokio_postgres::Row;

use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// How far a price moved, by one provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Mover {
    /// The asset.
    pub asset: String,
    /// What it is priced in.
    pub quote: String,
    /// The provider.
    pub source: String,
    /// Newest price, decimal text.
    pub price: String,
    /// Price at the begin of the span, decimal text.
    pub price_before: String,
    /// Change in percent, decimal text; `None` where the first price was 0.
    pub change_percent: Option<String>,
    /// Lowest price of the span, decimal text.
    pub low: String,
    /// Highest price of the span, decimal text.
    pub high: String,
    /// Traded in 24 hours, decimal text.
    pub volume_24h: Option<String>,
    /// First and last tick, microseconds since 1970.
    pub between_us: (i64, i64),
}

/// The width of a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandleStep {
    /// One minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    Hour,
    /// One day (UTC).
    Day,
}

impl CandleStep {
    const fn view(self) -> &'static str {
        match self {
            Self::Minute => "candles_1m",
            Self::FiveMinutes => "candles_5m",
            Self::Hour => "candles_1h",
            Self::Day => "candles_1d",
        }
    }

    /// How long it is, microseconds.
    #[must_use]
    pub const fn us(self) -> i64 {
        1_000_000
            * match self {
                Self::Minute => 60,
                Self::FiveMinutes => 300,
                Self::Hour => 3_600,
                Self::Day => 86_400,
            }
    }
}

/// Prices within a step, by one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candle {
    /// Begin of the step, microseconds since 1970.
    pub bucket_us: i64,
    /// What the asset is priced in.
    pub quote: String,
    /// The provider.
    pub source: String,
    /// First price, decimal text.
    pub open: String,
    /// Highest price, decimal text.
    pub high: String,
    /// Lowest price, decimal text.
    pub low: String,
    /// Last price, decimal text.
    pub close: String,
    /// How many times the provider said a price.
    pub ticks: u64,
    /// Traded in the 24 hours before, as the provider said last, decimal text.
    pub volume_24h: Option<String>,
}

/// The newest value of a named index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexValue {
    /// Its name.
    pub name: String,
    /// The provider.
    pub source: String,
    /// The value, decimal text.
    pub value: String,
    /// The provider's word for it.
    pub classification: Option<String>,
    /// When it was so, microseconds since 1970.
    pub event_at_us: i64,
}

/// Which candles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandleFilter {
    /// The asset.
    pub asset: String,
    /// What it is priced in; `None` for all.
    pub quote: Option<String>,
    /// The provider; `None` for all.
    pub source: Option<String>,
    /// From then on, microseconds since 1970.
    pub since_us: i64,
    /// Up to then, microseconds since 1970.
    pub until_us: i64,
}

impl Store {
    /// Assets by how far their price moved within a span, the most first.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated, or the question takes too long.
    pub async fn movers(&self, span_seconds: u32, most: u32) -> Result<Vec<Mover>, StoreError> {
        let rows = self
            .ask(
                "read the movers",
                "SELECT asset, quote, source, price::text, price_before::text, change_percent::text, low::text, high::text, \
                 volume_24h::text, (extract(epoch FROM since) * 1000000)::bigint, \
                 (extract(epoch FROM event_at) * 1000000)::bigint \
                 FROM top_movers(make_interval(secs => $1)) LIMIT $2",
                &[&f64::from(span_seconds), &i64::from(most)],
            )
            .await?;
        let mover = |row: &Row| Mover {
            asset: row.get(0),
            quote: row.get(1),
            source: row.get(2),
            price: row.get(3),
            price_before: row.get(4),
            change_percent: row.get(5),
            low: row.get(6),
            high: row.get(7),
            volume_24h: row.get(8),
            between_us: (row.get(9), row.get(10)),
        };
        Ok(rows.iter().map(mover).collect())
    }

    /// Candles of an asset, oldest first, at most `most` of the newest.
    ///
    /// # Errors
    /// As [`movers`](Self::movers).
    pub async fn candles(
        &self,
        step: CandleStep,
        filter: &CandleFilter,
        most: u32,
    ) -> Result<Vec<Candle>, StoreError> {
        let sql = format!(
            "SELECT (extract(epoch FROM bucket) * 1000000)::bigint, quote, source, open::text, high::text, low::text, \
             close::text, ticks::bigint, volume_24h::text FROM {} WHERE asset = $1 \
             AND bucket >= $2 AND bucket <= $3 AND ($4::text IS NULL OR quote = $4) \
             AND ($5::text IS NULL OR source = $5) ORDER BY bucket DESC, quote DESC, source DESC LIMIT $6",
            step.view()
        );
        let CandleFilter { asset, quote, source, since_us, until_us } = filter;
        let (since, until) = (Timestamp(*since_us), Timestamp(*until_us));
        let rows = self
            .ask("read candles", &sql, &[asset, &since, &until, quote, source, &i64::from(most)])
            .await?;
        let candle = |row: &Row| Candle {
            bucket_us: row.get(0),
            quote: row.get(1),
            source: row.get(2),
            open: row.get(3),
            high: row.get(4),
            low: row.get(5),
            close: row.get(6),
            ticks: row.get::<_, i64>(7).unsigned_abs(),
            volume_24h: row.get(8),
        };
        Ok(rows.iter().rev().map(candle).collect())
    }

    /// The newest value of every index by each provider. Indices are few and their values many: the key is entered once for each.
    ///
    /// # Errors
    /// As [`movers`](Self::movers).
    pub async fn newest_indices(&self) -> Result<Vec<IndexValue>, StoreError> {
        let rows = self
            .ask(
                "read the indices",
                "WITH RECURSIVE known AS ( \
                 (SELECT index_name, source FROM indices ORDER BY index_name, source LIMIT 1) \
                 UNION ALL \
                 SELECT following.index_name, following.source FROM known CROSS JOIN LATERAL ( \
                 SELECT index_name, source FROM indices WHERE (index_name, source) > (known.index_name, known.source) \
                 ORDER BY index_name, source LIMIT 1) AS following) \
                 SELECT known.index_name, known.source, newest.value::text, newest.classification, \
                 (extract(epoch FROM newest.event_at) * 1000000)::bigint FROM known CROSS JOIN LATERAL ( \
                 SELECT value, classification, event_at FROM indices \
                 WHERE indices.index_name = known.index_name AND indices.source = known.source \
                 ORDER BY event_at DESC LIMIT 1) AS newest ORDER BY 1, 2",
                &[],
            )
            .await?;
        let index = |row: &Row| IndexValue {
            name: row.get(0),
            source: row.get(1),
            value: row.get(2),
            classification: row.get(3),
            event_at_us: row.get(4),
        };
        Ok(rows.iter().map(index).collect())
    }
}
