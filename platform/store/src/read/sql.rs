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
