use crypto_intel_sandbox::Postgres;
use crypto_intel_store::{Store, StoreConfig, StoreError};
use tokio_util::sync::CancellationToken;

use crate::support::config;

async fn refused(url: &str) -> StoreError {
    let config = StoreConfig { start_timeout_seconds: 1, ..config(url) };
    Store::connect(&config, &CancellationToken::new()).await.unwrap_err()
}

#[tokio::test]
async fn says_what_is_wrong_with_an_address() {
    assert!(matches!(refused("not an address").await, StoreError::Url { .. }));
}

#[tokio::test]
async fn gives_up_on_a_silent_address_after_the_timeout_and_names_the_place() {
    let port = crypto_intel_sandbox::free_port().unwrap();
    let error = refused(&format!("postgres://user:secret@127.0.0.1:{port}/x")).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_missing_database_is_reported_at_once() {
    let database = Postgres::test_database().await.unwrap();
    let error = refused(&format!("{}_not_there", database.url())).await;
    assert!(matches!(error, StoreError::NoDatabase { .. }), "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn waits_for_a_server_that_comes_late() {
    let mut database = Postgres::test_database().await.unwrap();
    let url = database.url().to_owned();
    // Only a private server can be killed.
    let Some(server) = database.server() else { return };
    server.kill().unwrap();
    let connecting =
        tokio::spawn(async move { Store::connect(&config(&url), &CancellationToken::new()).await });
    server.start_again().await.unwrap();
    assert!(connecting.await.unwrap().is_ok());
}
