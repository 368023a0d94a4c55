//! Plain connections to PostgreSQL, beside what is under test.

use tokio_postgres::{Client, Error, NoTls};

/// A connection; it ends with the client.
///
/// # Panics
/// When it cannot be made.
pub async fn sql_client(url: &str) -> Client {
    try_sql_client(url).await.expect("connect to database")
}

/// As [`sql_client`], while the database may be down.
///
/// # Errors
/// Fails when it cannot be made.
pub async fn try_sql_client(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
