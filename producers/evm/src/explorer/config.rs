use crypto_intel_service::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::config::host_of;

/// Where the key goes in the URL.
const KEY_PLACE: &str = "{key}";
/// Where the chain's id goes in the URL.
const CHAIN_PLACE: &str = "{chain_id}";
/// Names that mean something else in what is kept of an address.
const RESERVED_NAMES: [&str; 2] = ["own_logs", "every_block"];

/// An explorer that is asked in which blocks an address was active.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExplorerConfig {
    /// Which API it has: `"etherscan"` (V2, all its chains with one key), `"blockscout"`, `"routescan"`, or `"alchemy"`
    /// (`alchemy_getAssetTransfers` of an endpoint of theirs). Default: `"etherscan"`.
    pub kind: ExplorerKind,
    /// Name in logs, metrics and in what is said of an address. Default: its kind.
    pub name: Option<String>,
    /// Address of the API, without parameters; `{key}` and `{chain_id}` in it are replaced. Default: the public one of its
    /// kind, where there is one for all chains; none for `"alchemy"`.
    pub url: Secret,
    /// What replaces `{key}` in `url`, else goes along as `apikey`; `key_file` names a file that holds it. Default: none.
    pub key: Secret,
    /// Maximum requests per second; further ones wait. Default: what a free key has: 3, of Blockscout 5, of Routescan 2, of
    /// Alchemy 4.
    pub requests_per_second: Option<f64>,
    /// How many rows are asked for at once. Default: 1000, which a free key of Etherscan has.
    pub page_rows: Option<u32>,
}

/// The API of an explorer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExplorerKind {
    /// Etherscan V2.
    #[default]
    Etherscan,
    /// Blockscout, which answers as Etherscan does.
    Blockscout,
    /// Routescan, which answers as Etherscan does.
    Routescan,
    /// `alchemy_getAssetTransfers`.
    Alchemy,
}

impl ExplorerKind {
    /// As it stands in the configuration.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Etherscan => "etherscan",
            Self::Blockscout => "blockscout",
            Self::Routescan => "routescan",
            Self::Alchemy => "alchemy",
        }
    }

    /// The public address, one for all chains. Etherscan takes the chain as a parameter.
    const fn public_url(self) -> Option<&'static str> {
        match self {
            Self::Etherscan => Some("https://api.etherscan.io/v2/api"),
            Self::Blockscout => Some("https://api.blockscout.com/{chain_id}/api"),
            Self::Routescan => {
                Some("https://api.routescan.io/v2/network/mainnet/evm/{chain_id}/etherscan/api")
            }
            Self::Alchemy => None,
        }
    }

    const fn usual_rate(self) -> f64 {
        match self {
            Self::Etherscan => 3.0,
            Self::Blockscout => 5.0,
            Self::Routescan => 2.0,
            Self::Alchemy => 4.0,
        }
    }
}

impl ExplorerConfig {
    /// Its name: the configured one, else its kind.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.kind.as_str())
    }

    pub(crate) fn rate(&self) -> f64 {
        self.requests_per_second.unwrap_or_else(|| self.kind.usual_rate())
    }

    pub(crate) fn rows(&self) -> u32 {
        self.page_rows.unwrap_or(1_000)
    }

    /// Whether the key goes along as a parameter.
    pub(crate) fn has_key_parameter(&self) -> bool {
        !self.key.is_empty() && !self.template().contains(KEY_PLACE)
    }

    /// The address with key and chain.
    ///
    /// # Errors
    /// When the key's file cannot be read.
    pub(crate) fn full_url(&self, chain_id: u64) -> Result<Secret, String> {
        if let Some(problem) = self.key.problem().or_else(|| self.url.problem()) {
            return Err(problem.to_owned());
        }
        let url = self.template().replace(KEY_PLACE, self.key.expose());
        Ok(Secret::new(url.replace(CHAIN_PLACE, &chain_id.to_string())))
    }

    /// Host of the address, without its port.
    pub(crate) fn host(&self) -> String {
        let host = host_of(self.template()).unwrap_or_default();
        let end =
            host.rfind(':').filter(|at| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()));
        host[..end.unwrap_or(host.len())].to_owned()
    }

    fn template(&self) -> &str {
        let given = self.url.expose().trim();
        if given.is_empty() { self.kind.public_url().unwrap_or_default() } else { given }
    }

    pub(crate) fn validate(&self, key: &str, problems: &mut Vec<String>) {
        let label = self.label();
        if label.is_empty() || label.len() > 64 || label.chars().any(|c| c.is_control() || c == ',')
        {
            problems.push(format!("{key}.name: write 1 to 64 printable characters without comma"));
        }
        if RESERVED_NAMES.contains(&label) {
            problems.push(format!("{key}.name: {label:?} means something else; choose another"));
        }
        // The URL may hold a key: it is not repeated.
        if self.url.problem().is_none() {
            let url = self.template();
            if url.is_empty() {
                problems.push(format!(
                    "{key}.url: missing; set the endpoint's, such as \"https://eth-mainnet.g.alchemy.com/v2/{{key}}\""
                ));
            } else if !(url.starts_with("https://") || url.starts_with("http://")) {
                problems.push(format!("{key}.url: unknown scheme; use https:// or http://"));
            } else if host_of(url).is_none() || url.contains(char::is_whitespace) {
                problems.push(format!("{key}.url: no address; write it as https://host/path"));
            } else if url.contains('?') {
                problems.push(format!("{key}.url: there are parameters in it; leave them out"));
            }
        }
        if !(0.01..=1_000.0).contains(&self.rate()) {
            problems.push(format!("{key}.requests_per_second: set 0.01 to 1000"));
        }
        if !(1..=10_000).contains(&self.rows()) {
            problems.push(format!("{key}.page_rows: set 1 to 10000"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> ExplorerConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_kind_is_enough_and_the_key_goes_where_it_belongs() {
        let etherscan = read("key = \"hush\"");
        assert_eq!(etherscan.full_url(1).unwrap().expose(), "https://api.etherscan.io/v2/api");
        assert!(etherscan.has_key_parameter());
        let blockscout = read("kind = \"blockscout\"");
        assert_eq!(
            blockscout.full_url(8453).unwrap().expose(),
            "https://api.blockscout.com/8453/api"
        );
        assert_eq!((blockscout.label(), blockscout.has_key_parameter()), ("blockscout", false));
        let alchemy =
            read("kind = \"alchemy\"\nurl = \"https://a.example:8443/v2/{key}\"\nkey = \"hush\"");
        assert_eq!(alchemy.full_url(1).unwrap().expose(), "https://a.example:8443/v2/hush");
        assert_eq!((alchemy.host().as_str(), alchemy.has_key_parameter()), ("a.example", false));
        let mut problems = Vec::new();
        for explorer in [etherscan, blockscout, alchemy] {
            explorer.validate("evm.chains.a.explorers[0]", &mut problems);
        }
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn problems_name_place_and_mend_and_never_the_url() {
        for (text, part) in [
            ("kind = \"alchemy\"", "x.url: missing"),
            ("url = \"ftp://secret\"", "x.url: unknown scheme"),
            ("url = \"https://a.example/api?secret=1\"", "x.url: there are parameters"),
            ("name = \"every_block\"", "x.name: \"every_block\""),
            ("page_rows = 0", "x.page_rows"),
            ("requests_per_second = 0.0", "x.requests_per_second"),
        ] {
            let mut problems = Vec::new();
            read(text).validate("x", &mut problems);
            let problems = problems.join("\n");
            assert!(problems.contains(part) && !problems.contains("secret"), "{problems}");
        }
    }
}
