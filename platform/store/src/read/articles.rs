use crypto_intel_schemas::{Article, Kind, polled_event_id};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::sql::{PageRequest, Question, RowPage};
use crate::{error::StoreError, pool::store::Store, sql_values::Timestamp};

/// Which articles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArticleFilter {
    /// Listed by one of these providers; none for all.
    pub sources: Vec<String>,
    /// About this asset.
    pub asset: Option<String>,
    /// Published from then on, microseconds since 1970.
    pub since_us: i64,
    /// Published up to then, microseconds since 1970.
    pub until_us: i64,
}

/// Where an article is in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArticleKey {
    /// When it was published, microseconds since 1970.
    pub event_at_us: i64,
    /// Digest of its link and its provider: a link itself may be too long for a cursor.
    pub digest: String,
}

/// An article, and where it is in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleLine {
    /// The article as it was on the wire.
    pub article: Article,
    /// Its place.
    pub key: ArticleKey,
}

const DIGEST: &str = "md5(link || ' ' || source)";

impl ArticleLine {
    fn of(row: &Row) -> Self {
        let (link, source, event_at_us) =
            (row.get::<_, String>(0), row.get::<_, &str>(1), row.get(2));
        let article = Article {
            id: polled_event_id(source, Kind::Article, &link, event_at_us),
            link,
            title: row.get(4),
            author: row.get(5),
            publisher: row.get(6),
            summary: row.get(7),
            assets: row.get::<_, Option<Vec<String>>>(8).unwrap_or_default(),
            tags: row.get::<_, Option<Vec<String>>>(9).unwrap_or_default(),
            ..Article::at(source, event_at_us, row.get(3))
        };
        Self { article, key: ArticleKey { event_at_us, digest: row.get(10) } }
    }
}

impl Store {
    /// A page of articles, newest first. Their table is kept for days and read by its time.
    ///
    /// # Errors
    /// When the database does not answer or is not migrated.
    pub async fn articles(
        &self,
        filter: &ArticleFilter,
        page: &PageRequest<ArticleKey>,
    ) -> Result<RowPage<ArticleLine>, StoreError> {
        let mut question = Question::default();
        let (since, until) =
            (question.bind(Timestamp(filter.since_us)), question.bind(Timestamp(filter.until_us)));
        let mut conditions = vec![format!("event_at >= {since} AND event_at <= {until}")];
        if !filter.sources.is_empty() {
            let sources = question.bind(filter.sources.clone());
            conditions.push(format!("source = ANY ({sources})"));
        }
        if let Some(asset) = filter.asset.clone() {
            let assets = question.bind(vec![asset]);
            conditions.push(format!("assets @> {assets}"));
        }
        let towards = page.towards();
        if let Some((key, _)) = &page.beside {
            let (time, digest) =
                (question.bind(Timestamp(key.event_at_us)), question.bind(key.digest.clone()));
            let (near, beyond) = (towards.comparison(true), towards.comparison(false));
            // The time alone first: a comparison of rows with an expression uses no index.
            conditions.push(format!(
                "event_at {near} {time} AND (event_at, {DIGEST}) {beyond} ({time}, {digest})"
            ));
        }
        let (order, limit) = (towards.order(), question.bind(page.rows()));
        let sql = format!(
            "SELECT link, source, (extract(epoch FROM event_at) * 1000000)::bigint, \
             (extract(epoch FROM observed_at) * 1000000)::bigint, title, author, publisher, summary, assets, tags, {DIGEST} \
             FROM articles WHERE {} ORDER BY event_at {order}, {DIGEST} {order} LIMIT {limit}",
            conditions.join(" AND ")
        );
        let rows = self.ask("read articles", &sql, &question.values()).await?;
        Ok(RowPage::new(rows.iter().map(ArticleLine::of).collect(), page))
    }
}
