//! Plain connections to PostgreSQL, independent of the code under test.

use tokio_postgres::{Client, Error, NoTls};

/// A connection; it is closed when the client is dropped.
///
/// # Panics
/// When it cannot be made.
pub async fn sql_client(url: &str) -> Client {
    try_sql_client(url).await.expect("connect to database")
}

/// As [`sql_client`], for a database that may be down.
///
/// # Errors
/// Fails when it cannot be made.
pub async fn try_sql_client(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
