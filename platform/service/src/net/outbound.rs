use std::{
    collections::BTreeSet,
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::public_address::is_public;

/// Decides where requests may go whose targets others name, such as files of providers or redirects: to the internet
/// alone, and to the hosts that the operator has named. Otherwise a name that resolves to an address inside, such as
/// the metadata service of a cloud, would make this process a way in.
///
/// As reqwest's `dns_resolver` it judges the very addresses that are connected to, so that a name cannot
/// change between check and use. A host that is an address is not resolved: check it with [`check_host`](Self::check_host).
#[derive(Debug, Clone, Default)]
pub struct OutboundGuard {
    allowed: Arc<BTreeSet<String>>,
}

/// A host that is inside, and that the operator has not named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is {address}, which is not an address of the internet")]
pub struct OutboundRefused {
    /// As it was asked for.
    pub host: String,
    /// What it resolves to.
    pub address: IpAddr,
}

impl OutboundGuard {
    /// A guard that lets these hosts pass, wherever they are. Names and addresses, without port.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        let allowed = allowed.into_iter().map(|host| plain(&host)).collect();
        Self { allowed: Arc::new(allowed) }
    }

    /// Whether a host that is an address may be connected to. A name may: its addresses are judged when it is resolved.
    ///
    /// # Errors
    /// When it is an address inside.
    pub fn check_host(&self, host: &str) -> Result<(), OutboundRefused> {
        let host = plain(host);
        match host.parse::<IpAddr>() {
            Ok(address) => self.choose(&host, [SocketAddr::new(address, 0)]).map(|_| ()),
            Err(_) => Ok(()),
        }
    }

    /// Whether an error, or a cause of it, is a refusal.
    #[must_use]
    pub fn refusal<'a>(&self, error: &'a (dyn Error + 'static)) -> Option<&'a OutboundRefused> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refused) = error.downcast_ref() {
                return Some(refused);
            }
            cause = error.source();
        }
        None
    }

    /// The addresses of a host that may be connected to.
    fn choose(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, OutboundRefused> {
        let named = self.allowed.contains(host);
        let (public, inside): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.into_iter().partition(|address| named || is_public(address.ip()));
        match inside.first() {
            Some(first) if public.is_empty() => {
                Err(OutboundRefused { host: host.to_owned(), address: first.ip() })
            }
            _ => Ok(public),
        }
    }
}

impl Resolve for OutboundGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = plain(name.as_str());
            let addresses = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let chosen = guard.choose(&host, addresses)?;
            Ok(Box::new(chosen.into_iter()) as Addrs)
        })
    }
}

/// A host without the brackets of an address, the dot at its end, and capitals.
fn plain(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
    }

    #[test]
    fn a_name_passes_with_its_public_addresses_alone() {
        let guard = OutboundGuard::default();
        let chosen = guard.choose("a", addresses(&["10.0.0.1", "1.1.1.1", "::1"])).unwrap();
        assert_eq!(chosen, addresses(&["1.1.1.1"]));
        let refused = guard.choose("a", addresses(&["169.254.169.254"])).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a is 169.254.169.254, which is not an address of the internet"
        );
    }

    #[test]
    fn what_the_operator_names_passes_wherever_it_is() {
        let guard = OutboundGuard::new(["Node.Internal".to_owned(), "[::1]".to_owned()]);
        assert!(guard.choose("node.internal", addresses(&["10.0.0.1"])).is_ok());
        assert!(guard.check_host("[::1]").is_ok());
        assert!(guard.check_host("127.0.0.1").is_err());
        assert!(guard.check_host("api.example.org").is_ok(), "judged when it is resolved");
    }

    #[tokio::test]
    async fn a_client_that_resolves_by_it_cannot_reach_this_machine() {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://localhost:{}/", socket.local_addr().unwrap().port());
        let guard = OutboundGuard::default();
        let builder = reqwest::Client::builder().tls_certs_only([]);
        let client = builder.dns_resolver(guard.clone()).build().unwrap();
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!(guard.refusal(&error).unwrap().host, "localhost");
    }
}
