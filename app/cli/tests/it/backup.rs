//! Everything is lost and restored from a backup that was made while the pipeline ran.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use crypto_intel_sandbox::{
    Chain, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{assert_same_set, eventually, python, sql_client};
use serde_json::Value;

use crate::servers::{LogKey, Servers, binary, erc20_keys};

const BLOCK_INTERVAL: Duration = Duration::from_millis(40);

/// A chain that grows, and a configuration that follows it.
async fn growing_chain() -> (ScriptedNode, String, Arc<tokio::sync::Notify>) {
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    node.chain().follow_finality(4, 8);
    let mut blocks =
        Synthetic::new(SyntheticOptions { transfers_per_block: 40, ..SyntheticOptions::default() });
    node.push_block(blocks.next_block()).unwrap();
    let settings = format!(
        "[evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\" }}]\n",
        node.ws_url()
    );
    let stop = Arc::new(tokio::sync::Notify::new());
    let (chain, stopped) = (node.chain().clone(), Arc::clone(&stop));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(BLOCK_INTERVAL);
        loop {
            tokio::select! {
                () = stopped.notified() => return,
                _ = ticks.tick() => chain.push_block(blocks.next_block()).unwrap(),
            }
        }
    });
    (node, settings, stop)
}

/// Every transfer that the node's chain holds.
fn transfers(chain: &Chain) -> Vec<LogKey> {
    let logs: Vec<Value> = chain
        .blocks()
        .iter()
        .flat_map(|block| {
            block.logs().map(|log| serde_json::from_str(log).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    erc20_keys(&logs)
}

/// Makes a backup: its folder, and the report.
fn back_up(servers: &Servers, options: &[&str]) -> (PathBuf, Value) {
    let folder = servers.folder().join("backups");
    let arguments = [&["backup", folder.to_str().unwrap(), "--json"], options].concat();
    let report: Value = serde_json::from_str(&servers.succeed(&arguments)).unwrap();
    (PathBuf::from(report["folder"].as_str().unwrap()), report)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

/// The error output of a command that must fail.
fn refused(servers: &Servers, arguments: &[&str]) -> String {
    let output = servers.command(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn tables(url: &str) -> i64 {
    let client = sql_client(url).await;
    let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A stand-in for `pg_dump` beside the real `pg_restore`.
fn pg_dump(servers: &Servers, body: &str) -> String {
    let folder = servers.folder().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, body) in [("pg_dump", body), ("pg_restore", "exec pg_restore \"$@\"")] {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder.join("pg_dump").to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_lost_is_restored_and_resumes() {
    let (node, settings, stop) = growing_chain().await;
    let mut servers = Servers::start(&settings).await;
    let mut process = servers.run(&["evm", "persist"]);
    eventually(async || servers.stored_transfers().await.len() > 400).await;
    let (backup, report) = back_up(&servers, &[]);
    let manifest = &report["manifest"];
    assert_eq!(manifest["notes"], Value::Array(Vec::new()));
    let positions = manifest["database"]["positions"].as_array().unwrap();
    let position = positions.iter().find(|position| position["stream"] == "EVM").unwrap();
    let streams = manifest["streams"].as_array().unwrap();
    let stream = streams.iter().find(|stream| stream["stream"] == "EVM").unwrap();
    assert!(position["sequence"].as_u64() <= stream["last_sequence"].as_u64());
    let is_there = |name: &str| streams.iter().any(|stream| stream["stream"] == name);
    assert!(is_there("KV_cursors") && is_there("HISTORY") && !is_there("KV_leases"));

    // What is published and stored from here on is lost with the servers.
    let stored = servers.stored_transfers().await.len();
    eventually(async || servers.stored_transfers().await.len() > stored + 400).await;
    process.kill();
    let log = servers.folder().join("run.log");
    std::fs::remove_file(&log).unwrap();
    servers.lose_everything(&settings).await;

    let text = servers.succeed(&["restore", backup.to_str().unwrap(), "--yes", "--json"]);
    let restored: Value = serde_json::from_str(&text).unwrap();
    let next = restored["next"].to_string();
    assert!(next.contains("persist goes on in EVM after message"), "{next}");
    assert!(next.contains("evm goes on with local after block"), "{next}");
    servers.succeed(&["streams", "apply"]);
    let applied: Value = serde_json::from_str(&servers.succeed(&["migrate", "--json"])).unwrap();
    assert_eq!(applied["applied"], Value::Array(Vec::new()));

    stop.notify_one();
    let mut process = servers.run(&["evm", "persist"]);
    let expected = transfers(node.chain());
    eventually(async || {
        assert!(!process.has_ended(), "ended by itself:\n{}", servers.log_tail());
        servers.try_stored_transfers().await.map_or(0, |rows| rows.len()) >= expected.len()
    })
    .await;
    assert_same_set(expected, servers.stored_transfers().await);
    process.kill();
    // Readers resumed at their positions: nothing was reread from the beginning, retracted or reported as lost.
    let log = std::fs::read_to_string(log).unwrap();
    let troubles: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(troubles, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_is_no_backup_and_is_removed() {
    let servers = Servers::start("").await;
    let folder = servers.folder().join("backups");
    let hanging = "[ \"$1\" = --version ] && exec pg_dump --version\n\
        for last; do case $last in */database.dump) echo half > $last;; esac; done\n\
        while kill -0 $PPID; do sleep 0.1; done";
    let program = pg_dump(&servers, hanging);
    let start = || {
        let mut command = binary(&servers.config());
        command.args(["backup", folder.to_str().unwrap(), "--pg-dump", &program]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    // An unfinished backup that this test has not marked.
    let unfinished = || {
        let names = if folder.exists() { names(&folder) } else { Vec::new() };
        let has = |name: &String, file: &str| folder.join(name).join(file).exists();
        names.into_iter().find(|name| has(name, "database.dump") && !has(name, "mark"))
    };
    let mut process = start();
    let half = eventually(async || unfinished()).await;
    assert!(half.ends_with(".unfinished"), "{half}");
    let error = refused(&servers, &["backup", folder.to_str().unwrap()]);
    assert!(error.contains("another backup"), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();
    let half = folder.join(half);
    let error = refused(&servers, &["restore", half.to_str().unwrap(), "--yes"]);
    assert!(error.contains("is no backup"), "{error}");
    std::fs::write(half.join("mark"), "").unwrap();

    // On SIGTERM it removes its unfinished backup itself.
    let mut process = start();
    eventually(async || unfinished()).await;
    assert!(!half.join("mark").exists());
    let pid = process.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(1));
    assert_eq!(names(&folder), Vec::<String>::new());

    let (backup, _) = back_up(&servers, &[]);
    assert_eq!(names(&folder), [backup.file_name().unwrap().to_str().unwrap()]);
    let error = refused(&servers, &["restore", folder.to_str().unwrap(), "--yes"]);
    assert!(error.contains("holds backups: name one of them"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_is_noticed_before_anything_is_written() {
    let mut servers = Servers::start("").await;
    let (backup, _) = back_up(&servers, &[]);
    servers.lose_everything("").await;
    let archive = backup.join("KV_cursors/stream.arc.s2");
    let archive = if archive.exists() { archive } else { backup.join("KV_cursors/stream.tar.s2") };
    let files = [
        archive,
        backup.join("database.dump"),
        backup.join("EVM/backup.json"),
        backup.join("manifest.json"),
    ];
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        std::fs::write(&file, changed).unwrap();
        let error = refused(&servers, &["restore", backup.to_str().unwrap(), "--yes"]);
        assert!(error.contains("was changed"), "{}: {error}", file.display());
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        refused(&servers, &["restore", backup.to_str().unwrap(), "--yes"]);
        std::fs::write(&file, whole).unwrap();
    }
    assert_eq!(tables(&servers.database_url).await, 0);
    let streams: Value =
        serde_json::from_slice(&servers.command(&["streams", "status", "--json"]).stdout).unwrap();
    assert!(streams.as_array().unwrap().iter().all(|stream| stream["state"].is_null()));
    servers.succeed(&["restore", backup.to_str().unwrap(), "--yes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_are_kept_and_only_once_the_new_one_is_whole() {
    let servers = Servers::start("").await;
    let folder = servers.folder().join("backups");
    let made: Vec<PathBuf> = (0..3).map(|_| back_up(&servers, &["--without-streams"]).0).collect();
    let broken = pg_dump(
        &servers,
        "[ \"$1\" = --version ] || set -- --exclude-table=logs \"$@\"\nexec pg_dump \"$@\"",
    );
    let options = ["backup", folder.to_str().unwrap(), "--keep", "1", "--pg-dump", &broken];
    let error = refused(&servers, &options);
    assert!(error.contains("does not hold: it lacks public.logs"), "{error}");
    assert_eq!(names(&folder).len(), 3);

    let (newest, report) = back_up(&servers, &["--without-streams", "--keep", "2"]);
    assert_eq!(report["removed"].as_array().unwrap().len(), 2);
    let left = [&made[2], &newest].map(|path| path.file_name().unwrap().to_str().unwrap());
    assert_eq!(names(&folder), left);
    assert!(!newest.join("EVM").exists() && newest.join("KV_watchlist").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_named_with_the_command_that_removes_it() {
    let (_node, settings, _stop) = growing_chain().await;
    let servers = Servers::start(&settings).await;
    let mut process = servers.run(&["evm", "persist"]);
    eventually(async || !servers.stored_transfers().await.is_empty()).await;
    let (backup, _) = back_up(&servers, &[]);
    let restore = ["restore", backup.to_str().unwrap()];
    let error = refused(&servers, &[&restore[..], &["--yes"]].concat());
    assert!(error.contains("has token_transfers, native_transfers"), "{error}");
    assert!(error.contains("DROP DATABASE \"pipeline\""), "{error}");
    assert!(error.contains("roles are running (evm.local, persist."), "{error}");
    assert!(error.contains("crypto-intel streams remove KV_"), "{error}");

    process.kill();
    let status = servers.command(&["streams", "remove", "EVM"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("would remove EVM"));
    let names = error.split("streams remove ").nth(1).unwrap().split(" --yes").next().unwrap();
    let names: Vec<&str> = names.split(' ').collect();
    // The leases of the killed process run out.
    eventually(async || {
        !refused(&servers, &[&restore[..], &["--yes"]].concat()).contains("roles are running")
    })
    .await;
    servers.succeed(&[&["streams", "remove"], &names[..], &["--yes"]].concat());
    let error = refused(&servers, &[&restore[..], &["--only", "streams"]].concat());
    assert!(error.contains("add --yes"), "there is no terminal to ask: {error}");
    servers.succeed(&[&restore[..], &["--only", "streams", "--yes"]].concat());
    let error = refused(&servers, &[&restore[..], &["--only", "database", "--yes"]].concat());
    assert!(error.contains("DROP DATABASE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_restored_alone_without_nats() {
    let mut servers = Servers::start("").await;
    let (backup, _) = back_up(&servers, &["--without-streams"]);
    servers.lose_everything("").await;
    let nats = std::mem::replace(
        &mut servers.nats,
        crypto_intel_sandbox::NatsServer::start(Default::default()).await.unwrap(),
    );
    // No NATS server is needed, and none is running.
    drop(nats);
    servers.succeed(&["restore", backup.to_str().unwrap(), "--only", "database", "--yes"]);
    assert!(tables(&servers.database_url).await > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_in_no_argument_and_no_output() {
    let mut servers = Servers::start("").await;
    // The server accepts any password; what matters is where the password appears.
    servers.database_url = servers.database_url.replace("postgres@", "postgres:s3cret-word@");
    servers.configure("");
    let program = pg_dump(
        &servers,
        "[ \"$1\" = --version ] && exec pg_dump --version\necho \"$@\" >&2\n[ -n \"$PGPASSWORD\" ] && echo has one >&2\nexit 3",
    );
    let folder = servers.folder().join("backups");
    let options = ["backup", folder.to_str().unwrap(), "--pg-dump", &program, "--log", "trace"];
    let output = servers.command(&options);
    assert_eq!(output.status.code(), Some(1));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("has one"), "{said}");
    assert!(!said.contains("s3cret-word"), "{said}");
    let (backup, _) = back_up(&servers, &["--without-streams"]);
    for file in ["manifest.json", "database.dump"] {
        let bytes = std::fs::read(backup.join(file)).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"s3cret-word"), "{file}");
    }
}

// Another client, with the requests of natscli: backup.json is the request, the other file is sent as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_restored_as_natscli_does_it() {
    let Some(python) = python(&["nats"]) else { return };
    let (_node, settings, stop) = growing_chain().await;
    let mut servers = Servers::start(&settings).await;
    let mut process = servers.run(&["evm", "persist"]);
    eventually(async || servers.stored_transfers().await.len() > 100).await;
    process.kill();
    stop.notify_one();
    let (backup, report) = back_up(&servers, &[]);
    servers.lose_everything(&settings).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/natscli_restore.py");
    let arguments = [servers.nats.url(), backup.join("EVM").to_str().unwrap().to_owned()];
    let state: Value = serde_json::from_str(&python.run(&script, &arguments).unwrap()).unwrap();
    let streams = report["manifest"]["streams"].as_array().unwrap();
    let stream = streams.iter().find(|stream| stream["stream"] == "EVM").unwrap();
    assert_eq!(state["last_seq"], stream["last_sequence"]);
    assert_eq!(state["messages"], stream["messages"]);
}
