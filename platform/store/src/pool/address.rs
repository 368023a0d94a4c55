//! The address of the database, parsed in one place.

use std::str::FromStr as _;

use crypto_intel_service::Secret;
use tokio_postgres::Config;

use crate::error::{StoreError, describe};

/// libpq's names for a verified server. They mean `require` here, which verifies certificate and name, too.
const VERIFIED: [&str; 2] = ["sslmode=verify-full", "sslmode=verify-ca"];

/// Reads an address. An error never quotes the part with user and password: in a malformed address they cannot be told from
/// the rest.
///
/// # Errors
/// When it is malformed; the error says how to write it.
pub(crate) fn parse(url: &Secret) -> Result<Config, StoreError> {
    let refuse = |reason: String| StoreError::Url { reason };
    let text = with_require(url.expose());
    let rest = text.split_once("://").map(|(_, rest)| rest);
    if rest.is_some_and(|rest| rest.matches('@').count() > 1) {
        return Err(refuse(
            "it has more than one @: write those of user, password and options as %40".to_owned(),
        ));
    }
    Config::from_str(&text).map_err(|error| refuse(reason(&describe(&error), rest.is_some())))
}

/// The address with `sslmode=require` in place of libpq's names for verification.
fn with_require(url: &str) -> String {
    let options = match url.split_once("://") {
        // After the password, which may contain a question mark.
        Some(_) => url.rfind('?').unwrap_or(url.len()),
        None => 0,
    };
    let (before, options) = url.split_at(options);
    let options = VERIFIED
        .iter()
        .fold(options.to_owned(), |options, mode| options.replace(mode, "sslmode=require"));
    format!("{before}{options}")
}

fn reason(described: &str, is_url: bool) -> String {
    if described.contains("`sslmode`") {
        return format!("{described}; sslmode is disable, prefer, require or verify-full");
    }
    if described.contains("`sslrootcert`") {
        return "sslrootcert is not supported here: set database.tls_ca_file".to_owned();
    }
    // In `password=my secret` the second word is read as an option.
    if !is_url && !described.contains("invalid value for option") {
        return "it cannot be read; a value with spaces needs single quotes".to_owned();
    }
    described.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio_postgres::config::{Host, SslMode};

    use super::*;

    fn refused(url: &str) -> String {
        parse(&Secret::new(url)).unwrap_err().to_string()
    }

    #[test]
    fn no_part_of_a_password_is_shown() {
        for url in [
            "postgres://app:Tr0ub4dor@Hunter2@127.0.0.1:5432/ci",
            "postgres://app:Tr0ub4dor@Hun?Hunter2=1@127.0.0.1:5432/ci",
            "postgres://app:Tr0ub4dor@Hunter2",
            "postgres://app@x:Hunter2@127.0.0.1/ci?nonsense=1",
            "postgres://app:Hunter2",
            "host=localhost password=Tr0ub4dor Hunter2 user=app",
            "host=localhost password=Tr0ub4dor Hunter2=1 user=app",
            "host=localhost password='Hunter2",
            "app:Hunter2@localhost/ci",
        ] {
            // One of them is a valid address: the rest is read as a host name.
            let told = parse(&Secret::new(url)).map_or_else(|e| e.to_string(), |_| String::new());
            assert!(!told.contains("Hunter2") && !told.contains("Tr0ub4dor"), "{told}");
        }
        let told = refused("postgres://app:Tr0ub4dor@Hunter2@127.0.0.1:5432/ci");
        assert!(told.contains("%40"), "{told}");
    }

    #[test]
    fn a_password_may_have_any_character_in_its_encoded_form() {
        let config = parse(&Secret::new("postgres://a:p%40%23%2F%3F%3A%25@one:1/db")).unwrap();
        assert_eq!(config.get_password(), Some(b"p@#/?:%".as_slice()));
        assert_eq!(config.get_hosts(), [Host::Tcp("one".to_owned())]);
    }

    #[test]
    fn names_of_libpq_for_a_verified_server_are_accepted() {
        for mode in ["require", "verify-full", "verify-ca"] {
            let url = format!("postgres://a:b@one/db?connect_timeout=3&sslmode={mode}");
            assert_eq!(parse(&Secret::new(url)).unwrap().get_ssl_mode(), SslMode::Require);
            let words = format!("host=one user=a sslmode={mode}");
            assert_eq!(parse(&Secret::new(words)).unwrap().get_ssl_mode(), SslMode::Require);
        }
        let password = "postgres://a:sslmode=verify-full@one/db";
        let config = parse(&Secret::new(password)).unwrap();
        assert_eq!(config.get_password(), Some(b"sslmode=verify-full".as_slice()));
        let told = refused("postgres://a:b@one/db?sslmode=allow");
        assert!(told.contains("verify-full"), "{told}");
        let told = refused("postgres://a:b@one/db?sslrootcert=/ca.pem");
        assert!(told.contains("tls_ca_file"), "{told}");
    }
}
