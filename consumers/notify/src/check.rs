use crate::{
    channel::{Channel, client, needs_tls},
    config::{Config, Destination},
};

/// A destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// No HTTP client can be made, e.g. because the machine has no certificates.
    #[error("cannot make an https client: install ca-certificates")]
    Client(#[source] reqwest::Error),
    /// The service cannot be reached or refuses.
    #[error("{name}: {reason}")]
    Refused {
        /// Name of the destination.
        name: String,
        /// Why, without any secret.
        reason: String,
    },
}

/// Asks the service whether a destination's address and secret hold, and says whom they belong to.
/// Sends no message.
///
/// # Errors
/// When the service cannot be reached or refuses; the text names the mend where it is known.
pub async fn check_destination(
    name: &str,
    destination: &Destination,
) -> Result<String, CheckError> {
    let config = Config { destinations: [(name.to_owned(), destination.clone())].into() };
    let client = client(needs_tls(&config)).map_err(CheckError::Client)?;
    Channel::new(destination, client)
        .check()
        .await
        .map_err(|reason| CheckError::Refused { name: name.to_owned(), reason })
}
