//! The users of a deployment's database.

use std::{path::Path, process::Command};

use crypto_intel_sandbox::{Postgres, PostgresOptions, tools};
use crypto_intel_testkit::sql_client;

use crate::servers::binary;

/// The address of a database as another user.
fn as_user(url: &str, user: &str) -> String {
    url.replace("postgres://postgres@", &format!("postgres://{user}@"))
}

/// Runs a statement; the error is its SQLSTATE.
async fn execute(url: &str, sql: &str) -> Result<(), String> {
    sql_client(url).await.batch_execute(sql).await.map_err(|error| {
        error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
    })
}

fn make_users(postgres: &Postgres, database: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/database-users.sh");
    let psql = tools::postgres().unwrap().command("psql");
    let programs = Path::new(psql.get_program()).parent().unwrap().to_owned();
    let mut command = Command::new("sh");
    command.arg(script).env("PGHOST", "127.0.0.1").env("PGPORT", port(postgres));
    command.env("POSTGRES_USER", "postgres").env("POSTGRES_DB", database);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", programs.display()));
    // Unpacked programs bring their own libraries.
    for (name, value) in psql.get_envs() {
        command.env(name, value.unwrap());
    }
    for (variable, file) in [
        ("PERSIST_PASSWORD_FILE", "persist"),
        ("API_PASSWORD_FILE", "api"),
        ("GRAFANA_PASSWORD_FILE", "grafana"),
    ] {
        let path = folder.join(file);
        std::fs::write(&path, format!("p{file}'s")).unwrap();
        command.env(variable, path);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn port(postgres: &Postgres) -> String {
    postgres.url().rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_of_a_deployment_have_what_they_need_and_no_more() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = postgres.create_database("crypto_intel").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    // In a new database the users are created before the tables; a second run revokes what an older version granted too much.
    make_users(&postgres, "crypto_intel", folder.path());
    execute(&url, "GRANT pg_read_all_data TO grafana").await.unwrap();
    make_users(&postgres, "crypto_intel", folder.path());
    let config = folder.path().join("crypto-intel.toml");
    std::fs::write(&config, format!("[database]\nurl = \"{url}\"\n")).unwrap();
    let migrated = binary(&config).arg("migrate").output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    let (persist, grafana) = (as_user(&url, "persist"), as_user(&url, "grafana"));
    let row =
        "INSERT INTO positions (stream, sequence, stored_at_us, revision) VALUES ('EVM', 0, 0, 0)";
    assert_eq!(execute(&persist, row).await, Ok(()));
    assert_eq!(execute(&grafana, "SELECT * FROM positions, top_movers()").await, Ok(()));
    // Its transactions are read-only by default; a read-write one lacks the privilege.
    assert_eq!(execute(&grafana, row).await, Err("25006".to_owned()));
    let sly = format!("BEGIN READ WRITE; {row}");
    assert_eq!(execute(&grafana, &sly).await, Err("42501".to_owned()));
    let api = as_user(&url, "api");
    assert_eq!(execute(&api, "SELECT * FROM blocks, top_movers()").await, Ok(()));
    assert_eq!(execute(&api, row).await, Err("25006".to_owned()));
    assert_eq!(execute(&api, &sly).await, Err("42501".to_owned()));
    assert_eq!(execute(&grafana, "SELECT * FROM pg_authid").await, Err("42501".to_owned()));
    assert_eq!(execute(&persist, "DROP TABLE logs").await, Err("42501".to_owned()));
}
