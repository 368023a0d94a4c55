use anyhow::Context as _;

use crate::{
    channel::{Channel, client, needs_tls},
    config::{Config, Destination},
};

/// Asks the service whether a destination's address and secret hold, and says whom they belong to.
/// Sends no message.
///
/// # Errors
/// When the service cannot be reached or refuses; the text holds no secret and names the mend where
/// it is known.
pub async fn check_destination(name: &str, destination: &Destination) -> anyhow::Result<String> {
    let config = Config { destinations: [(name.to_owned(), destination.clone())].into() };
    let client = client(needs_tls(&config))
        .context("make HTTP client; a machine without certificates needs ca-certificates")?;
    Channel::new(destination, client)
        .check()
        .await
        .map_err(|reason| anyhow::anyhow!("destination {name}: {reason}"))
}
