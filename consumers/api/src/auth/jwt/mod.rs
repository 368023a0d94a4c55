//! Tokens of an identity provider (JWT): who a person is, and what they may do, as the provider signed it.

pub(crate) mod config;
mod key_set;
mod signatures;

use crypto_intel_schemas::{ApiRole, is_printable};
use jsonwebtoken::{TokenData, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::{
    config::JwtConfig,
    key_set::{Away, KeySet},
};
use super::key::hex;

const MAX_TOKEN_BYTES: usize = 8 << 10;
const MAX_NAME_CHARS: usize = 64;

/// A person as a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// Under which everything of theirs is counted: of issuer and `sub`.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: ApiRole,
    /// When the token ends, microseconds UTC.
    pub(crate) until_us: i64,
}

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is none of the issuer's.
    Invalid,
    /// It is by a key that is not in the issuer's set, or not yet.
    UnknownKey,
    /// It was, and has ended.
    Ended,
    /// It gives no role.
    NoRole,
    /// The issuer's keys cannot be read now.
    Away,
}

impl From<Away> for Refused {
    fn from(_: Away) -> Self {
        Self::Away
    }
}

/// Checks tokens of one issuer.
#[derive(Debug)]
pub(crate) struct Issuer {
    config: JwtConfig,
    keys: KeySet,
}

impl Issuer {
    /// None where no tokens are taken.
    ///
    /// # Errors
    /// When the address of the keys is none.
    pub(crate) fn new(config: &JwtConfig) -> anyhow::Result<Option<Self>> {
        if !config.is_enabled() {
            return Ok(None);
        }
        signatures::install();
        let keys = KeySet::new(config)?;
        Ok(Some(Self { config: config.clone(), keys }))
    }

    /// Whether a bearer token has the form of these; an API key has none of it.
    pub(crate) fn is_token(text: &str) -> bool {
        text.len() <= MAX_TOKEN_BYTES && text.matches('.').count() == 2
    }

    /// Who a token is of.
    ///
    /// # Errors
    /// Why it does not count.
    pub(crate) async fn verify(&self, token: &str) -> Result<Person, Refused> {
        let header = decode_header(token).map_err(|_| Refused::Invalid)?;
        let is_allowed = self.config.algorithms.iter().any(|one| one.algorithm() == header.alg);
        if !is_allowed {
            return Err(Refused::Invalid);
        }
        let found = self.keys.find(header.kid.as_deref()).await?.ok_or(Refused::UnknownKey)?;
        if found.algorithm.is_some_and(|algorithm| algorithm != header.alg) {
            return Err(Refused::Invalid);
        }
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.config.audience]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.leeway = self.config.leeway_seconds;
        validation.validate_nbf = true;
        let decoded: Result<TokenData<Map<String, Value>>, _> =
            decode(token, &found.key, &validation);
        let claims = decoded.map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => Refused::Ended,
            _ => Refused::Invalid,
        })?;
        self.person(&claims.claims)
    }

    fn person(&self, claims: &Map<String, Value>) -> Result<Person, Refused> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let subject = text("sub").filter(|subject| !subject.is_empty()).ok_or(Refused::Invalid)?;
        let role = self.role(claims).ok_or(Refused::NoRole)?;
        let until = claims.get("exp").and_then(Value::as_f64).ok_or(Refused::Invalid)?;
        let name = text(&self.config.name_claim).unwrap_or(subject);
        let name: String =
            name.chars().filter(|one| is_printable(*one)).take(MAX_NAME_CHARS).collect();
        let of = Sha256::digest(format!("{}\0{subject}", self.config.issuer));
        Ok(Person {
            id: format!("jwt-{}", &hex(&of)[..16]),
            name,
            role,
            // A float beyond the range becomes its end.
            until_us: (until * 1e6) as i64,
        })
    }

    /// The highest role that the claim gives.
    fn role(&self, claims: &Map<String, Value>) -> Option<ApiRole> {
        let mut parts = self.config.role_claim.split('.');
        // A claim may have dots in its own name, as those with a domain.
        let named = claims.get(&self.config.role_claim);
        let found = named.or_else(|| {
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        })?;
        let texts: Vec<&str> = match found {
            Value::String(text) => vec![text],
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let role = |text: &&str| match self.config.roles.is_empty() {
            true => text.parse().ok(),
            false => self.config.roles.get(*text).copied(),
        };
        texts.iter().filter_map(role).max()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role(config: JwtConfig, claims: Value) -> Option<ApiRole> {
        let config = JwtConfig {
            issuer: "https://id.example.org".into(),
            jwks_url: "https://id.example.org/".into(),
            ..config
        };
        let Value::Object(claims) = claims else { panic!() };
        Issuer::new(&config).unwrap().unwrap().role(&claims)
    }

    #[test]
    fn roles_are_found_where_the_configuration_says() {
        let plain = JwtConfig::default;
        assert_eq!(role(plain(), json!({ "role": "analyst" })), Some(ApiRole::Analyst));
        assert_eq!(
            role(plain(), json!({ "role": ["x", "viewer", "operator"] })),
            Some(ApiRole::Operator)
        );
        for none in
            [json!({}), json!({ "role": "root" }), json!({ "role": 7 }), json!({ "role": {} })]
        {
            assert_eq!(role(plain(), none.clone()), None, "{none}");
        }
        let nested = JwtConfig { role_claim: "realm_access.roles".into(), ..plain() };
        let claims = json!({ "realm_access": { "roles": ["viewer"] } });
        assert_eq!(role(nested, claims), Some(ApiRole::Viewer));
        let mapped = JwtConfig {
            role_claim: "https://example.org/groups".into(),
            roles: [("desk".to_owned(), ApiRole::Analyst)].into(),
            ..plain()
        };
        let claims = json!({ "https://example.org/groups": ["desk", "admin"] });
        assert_eq!(role(mapped, claims), Some(ApiRole::Analyst), "only what is mapped counts");
    }

    #[test]
    fn keys_are_no_tokens() {
        assert!(Issuer::is_token("a.b.c"));
        assert!(!Issuer::is_token("ci_Ab3dE9x0_x") && !Issuer::is_token("a.b"));
        assert!(!Issuer::is_token(&format!("a.b.{}", "c".repeat(9_000))));
    }
}
