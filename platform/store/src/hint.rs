//! What to do about an error of the server, where its own text does not say.

/// A pooler that may run each transaction on another connection loses session state.
const POOLER: &str = "a pooler in transaction mode is between us and PostgreSQL, where our prepared statements and \
                      settings are lost: let it pool sessions, or connect to PostgreSQL itself";
const READ_ONLY: &str = "the server takes no writes: it is a standby, or default_transaction_read_only is on; connect to \
                         the primary (several hosts with target_session_attrs=read-write in database.url follow it)";
const RIGHTS: &str = "give its user the rights: make it a member of crypto_intel_writer; `crypto-intel migrate`, \
                      run by the owner of the tables, grants what that role needs";

/// What to do about an error with this SQLSTATE and text; `None` where the error's class says enough.
pub(crate) fn hint(code: Option<&str>, text: &str) -> Option<&'static str> {
    let by_code = match code.unwrap_or_default() {
        "08P01" if text.contains("startup parameter") => Some(POOLER),
        "26000" | "42P05" => Some(POOLER),
        "25006" => Some(READ_ONLY),
        "42501" => Some(RIGHTS),
        "53100" => Some("free space on the disk of the database"),
        "53200" => Some("raise max_locks_per_transaction or the memory of the database's server"),
        "53300" => Some("raise max_connections of the server, or lower database.pool_size"),
        _ => None,
    };
    by_code.or_else(|| by_text(text))
}

fn by_text(text: &str) -> Option<&'static str> {
    let has = |part: &str| text.contains(part);
    if has("CaUsedAsEndEntity") {
        return Some(
            "the server presents the certificate of an authority as its own: give it one that this authority signs",
        );
    }
    if has("invalid peer certificate: UnknownIssuer") {
        return Some(
            "another authority signed the server's certificate: name that one with database.tls_ca_file",
        );
    }
    if has("NotValidForName") {
        return Some(
            "the server's certificate is for another name: use that name as the host in database.url",
        );
    }
    if has("certificate") && has("Expired") {
        return Some("the server's certificate has expired: renew it");
    }
    if has("does not support TLS") {
        return Some("turn TLS on there (ssl = on), or leave sslmode=require out of database.url");
    }
    if has("no encryption") {
        return Some(
            "the server may want an encrypted connection: add ?sslmode=require to database.url",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_server_leads_to_its_hint() {
        let leads = |code: Option<&str>, text: &str, to: &str| {
            let found = hint(code, text).unwrap_or_default();
            assert!(found.contains(to), "{code:?} {text}: {found}");
        };
        leads(Some("08P01"), "unsupported startup parameter: options", "pooler");
        leads(Some("42P05"), "prepared statement \"s41\" already exists", "pooler");
        leads(Some("26000"), "prepared statement \"s1\" does not exist", "pooler");
        leads(Some("25006"), "cannot execute COPY during recovery", "standby");
        leads(
            Some("28000"),
            "no pg_hba.conf entry for host \"::1\", user \"app\", no encryption",
            "sslmode=require",
        );
        leads(
            None,
            "error performing TLS handshake: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "authority signs",
        );
        leads(None, "invalid peer certificate: UnknownIssuer", "tls_ca_file");
        assert_eq!(hint(Some("08006"), "connection reset"), None);
        assert_eq!(hint(None, "connection refused"), None);
    }
}
