//! An HTTP client for addresses that a provider's file, an option or a redirect names.

use std::time::Duration;

use reqwest::{
    Client, ClientBuilder,
    redirect::{Action, Attempt, Policy},
};
use rustls::crypto::CryptoProvider;

use super::outbound::OutboundGuard;
use crate::error_chain;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;

/// A client that resolves names by the guard and sends a key to no other host.
///
/// # Errors
/// When TLS cannot be set up.
pub fn outbound_client(guard: &OutboundGuard, user_agent: &str) -> Result<Client, reqwest::Error> {
    if CryptoProvider::get_default().is_none() {
        // Fails when another thread was faster, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    match builder(guard, user_agent).build() {
        Ok(client) => Ok(client),
        Err(error) => {
            tracing::warn!(
                error = error_chain(&error),
                "cannot use this machine's certificate authorities, https providers will fail: install ca-certificates"
            );
            builder(guard, user_agent).tls_certs_only([]).build()
        }
    }
}

fn builder(guard: &OutboundGuard, user_agent: &str) -> ClientBuilder {
    Client::builder()
        .user_agent(user_agent)
        .dns_resolver(guard.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::custom(follow))
        // It would send the address, and the key in it, to the target of a redirect.
        .referer(false)
}

/// Follows within the same host and never from https to http, so that a key is sent nowhere else.
fn follow(attempt: Attempt<'_>) -> Action {
    let Some(first) = attempt.previous().first() else { return attempt.stop() };
    let target = attempt.url();
    let same_place = first.host_str() == target.host_str()
        && first.port_or_known_default() == target.port_or_known_default()
        && first.scheme() == target.scheme();
    if same_place && attempt.previous().len() <= MAX_REDIRECTS {
        return attempt.follow();
    }
    // The redirect itself is then the answer, with an unexpected status.
    attempt.stop()
}
