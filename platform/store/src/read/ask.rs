use deadpool_postgres::Object;
use tokio_postgres::{CancelToken, NoTls, Row, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{error::StoreError, pool::store::Store};

impl Store {
    /// Asks a question whose text is known when the program is made; its plan is kept with the connection. If the caller goes away,
    /// the statement is cancelled: else it would run on, and those of a few impatient clients would fill the pool.
    ///
    /// # Errors
    /// When no connection is free, or the statement fails.
    pub(crate) async fn ask(
        &self,
        doing: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let mut running =
            Running { token: client.cancel_token(), tls: self.tls(), client: Some(client) };
        let Some(client) = &running.client else { return Err(StoreError::PoolExhausted) };
        let rows = async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, parameters).await
        };
        let rows = rows.await.map_err(StoreError::sql(doing));
        // It goes back to the pool.
        running.client = None;
        rows
    }
}

/// A statement that is cancelled when this is dropped before its end.
struct Running {
    token: CancelToken,
    tls: Option<MakeRustlsConnect>,
    client: Option<Object>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        // Not to the pool: the next one would wait for the end of this statement.
        drop(Object::take(client));
        let (token, tls) = (self.token.clone(), self.tls.take());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // One that has ended meanwhile, or a server that is away: nothing is left to cancel.
            let _ = match tls {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            };
        });
    }
}
