use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crypto_intel_sandbox::{NatsOptions, NatsServer, Postgres, PostgresOptions};
use crypto_intel_testkit::eventually;

const HOLDER: &str = "CRYPTO_INTEL_TEST_HOLDER";

#[tokio::test]
async fn a_killed_process_takes_its_servers_along() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "lifetime::holds_servers_until_killed", "--nocapture"])
        .env(HOLDER, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = loop {
        let line = lines.next().expect("the holder's servers").unwrap();
        if let Some((_, held)) = line.split_once("held: ") {
            break held.to_owned();
        }
    };
    let held: Vec<&str> = held.split_whitespace().collect();
    assert_eq!(held.len(), 4);
    assert!(held.iter().all(|path| Path::new(path).exists()), "{held:?}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually(async || held.iter().all(|path| !Path::new(path).exists())).await;
}

#[tokio::test]
#[ignore = "a part of the test above, which starts it"]
async fn holds_servers_until_killed() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let folders =
        [nats.store_dir(), postgres.data_dir()].map(|folder| folder.display().to_string());
    println!("held: /proc/{} /proc/{} {}", nats.pid(), postgres.pid(), folders.join(" "));
    std::future::pending().await
}
