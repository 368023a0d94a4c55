//! TLS to the database: only to a server with a certificate of the authority.

use std::{
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use crypto_intel_sandbox::{Postgres, PostgresOptions};
use crypto_intel_store::{
    Store, StoreConfig, StoreError,
    backup::{PgProgram, dump},
};
use crypto_intel_testkit::{eventually, sql_client};
use tokio_util::sync::CancellationToken;

use crate::support::config;

/// Writes a certificate for this machine into a folder: `cert.pem` and `key.pem`.
fn certify(folder: &Path) {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
}

async fn connect(server: &Postgres, ca_file: PathBuf) -> Result<Store, StoreError> {
    let config = StoreConfig {
        start_timeout_seconds: 2,
        tls_ca_file: Some(ca_file),
        ..config(&format!("{}?sslmode=require", server.url()))
    };
    Store::connect(&config, &CancellationToken::new()).await
}

#[tokio::test]
async fn only_a_server_with_a_trusted_certificate_is_used() {
    let server = Postgres::start(PostgresOptions::default()).await.unwrap();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(folder.path());
    certify(other.path());
    let error = connect(&server, folder.path().join("cert.pem")).await.unwrap_err();
    assert!(error.to_string().contains("does not support TLS"), "{error}");

    let owner = std::fs::metadata(server.data_dir()).unwrap();
    for name in ["cert.pem", "key.pem"] {
        let path = server.data_dir().join(name);
        std::fs::copy(folder.path().join(name), &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let client = sql_client(&server.url()).await;
    for sql in [
        "ALTER SYSTEM SET ssl_cert_file = 'cert.pem'",
        "ALTER SYSTEM SET ssl_key_file = 'key.pem'",
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).await.unwrap();
    }
    let store = eventually(async || connect(&server, folder.path().join("cert.pem")).await).await;
    let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
               WHERE application_name = 'crypto-intel'";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0), "{store:?}");

    // So do the programs, for each name of the mode.
    let tools = tempfile::tempdir().unwrap();
    crate::postgres_tools().write_clients(tools.path()).unwrap();
    let program = PgProgram::dump(Some(&tools.path().join("pg_dump")));
    for (mode, ca, is_right) in
        [("require", &folder, true), ("verify-full", &folder, true), ("require", &other, false)]
    {
        let config = StoreConfig {
            tls_ca_file: Some(ca.path().join("cert.pem")),
            ..config(&format!("{}?sslmode={mode}", server.url()))
        };
        let file = tools.path().join("dump");
        let dumped = dump(&store, &config, &program, &file, &|_| {}).await;
        let told = dumped.as_ref().map_or_else(ToString::to_string, |_| String::new());
        assert_eq!(dumped.is_ok(), is_right, "{mode}: {told}");
        assert!(is_right || told.contains("certificate verify failed"), "{told}");
    }

    let error = connect(&server, other.path().join("cert.pem")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    let error = connect(&server, other.path().join("no.pem")).await.unwrap_err();
    assert!(matches!(error, StoreError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("no.pem"), "{error}");
}
