use tokio_postgres::types::ToSql;

/// A question that is put together: its text, and its values, which never are in the text.
#[derive(Default)]
pub(crate) struct Question {
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Question {
    /// Adds a value; answers how the text refers to it.
    pub(crate) fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// The values, in the order in which they were bound.
    pub(crate) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

/// Which way a page goes from a row: on through the list, or back to its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// To what is older.
    Older,
    /// To what is newer.
    Newer,
}

impl Towards {
    /// How the rows are ordered in the database.
    pub(crate) const fn order(self) -> &'static str {
        match self {
            Self::Older => "DESC",
            Self::Newer => "ASC",
        }
    }

    /// The comparison with the row that a page is beside; `or_equal` includes rows with the same key.
    pub(crate) const fn comparison(self, or_equal: bool) -> &'static str {
        match (self, or_equal) {
            (Self::Older, false) => "<",
            (Self::Older, true) => "<=",
            (Self::Newer, false) => ">",
            (Self::Newer, true) => ">=",
        }
    }
}

/// Which rows of a list a page has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// How many.
    pub limit: u32,
    /// The row that it is beside, without it, and the direction from there; `None` for the first page.
    pub beside: Option<(K, Towards)>,
}

impl<K> PageRequest<K> {
    /// What of a time (both ends, microseconds since 1970) a page may have, by the time of the row that it is beside: a plain bound
    /// beside the comparison of keys, by which chunks and pages of an index are left out.
    pub(crate) fn bounds(
        &self,
        (since_us, until_us): (i64, i64),
        time_us: impl Fn(&K) -> i64,
    ) -> (i64, i64) {
        match &self.beside {
            Some((key, Towards::Older)) => (since_us, until_us.min(time_us(key))),
            Some((key, Towards::Newer)) => (since_us.max(time_us(key)), until_us),
            None => (since_us, until_us),
        }
    }

    /// The direction; a first page goes on through the list.
    pub(crate) fn towards(&self) -> Towards {
        self.beside.as_ref().map_or(Towards::Older, |(_, towards)| *towards)
    }

    /// One more than wanted: whether it is there says whether there is a next page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }
}

/// Rows of a page, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether there are more in the direction of the page.
    pub more: bool,
}

impl<T> RowPage<T> {
    /// Of rows as the database answered them, one more than wanted.
    pub(crate) fn new<K>(mut rows: Vec<T>, page: &PageRequest<K>) -> Self {
        let limit = page.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        if page.towards() == Towards::Newer {
            rows.reverse();
        }
        Self { rows, more }
    }
}

/// Rows of an address, token or pool within a time, by an index that orders them by hour. All texts are SQL.
pub(crate) struct ByHour<'q> {
    /// The table.
    pub(crate) table: &'q str,
    /// Begin of the time.
    pub(crate) since: &'q str,
    /// End of the time.
    pub(crate) until: &'q str,
    /// How many rows are read at most.
    pub(crate) rows: &'q str,
    /// From which end of the time.
    pub(crate) towards: Towards,
}

impl ByHour<'_> {
    /// The conditions, and those hours that have the rows. What sorts rows within their hours may be planned to sort all of the time,
    /// which for a busy address is a hundred thousand rows; the hour of the last row is found in the order of the index itself, and
    /// no row beyond it is read.
    pub(crate) fn conditions(&self, others: &str) -> String {
        let Self { table, since, until, rows, towards } = self;
        let order = towards.order();
        let last = format!(
            "(SELECT hour_key(block_time) FROM {table} WHERE {others} AND hour_key(block_time) >= hour_key({since}) \
             AND hour_key(block_time) <= hour_key({until}) ORDER BY hour_key(block_time) {order} \
             OFFSET {rows}::bigint - 1 LIMIT 1)"
        );
        let (from, to) = match towards {
            Towards::Older => {
                (format!("coalesce({last}, hour_key({since}))"), format!("hour_key({until})"))
            }
            Towards::Newer => {
                (format!("hour_key({since})"), format!("coalesce({last}, hour_key({until}))"))
            }
        };
        format!("{others} AND hour_key(block_time) >= {from} AND hour_key(block_time) <= {to}")
    }
}
