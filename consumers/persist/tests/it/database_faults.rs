//! A database that dies, fills up, rejects writes or loses connections while events flow; each case ends by comparing sets.

use std::{cell::Cell, path::Path, process::Command, time::Duration};

use crypto_intel_nats::list_dead_letters;
use crypto_intel_schemas::Event;
use crypto_intel_testkit::{SeededRandom, eventually};
use rand::RngExt as _;

use crate::{chain::Chain, faults::play_on, harness::Servers, process};

/// Plays until the other future is done, and then finishes the batch that is being published.
async fn play_during(
    servers: &Servers,
    chain: &mut Chain,
    random: &mut SeededRandom,
    during: impl Future<Output = ()>,
) {
    let is_done = Cell::new(false);
    let playing = async {
        while !is_done.get() {
            play_on(servers, chain, random, 1).await;
        }
    };
    let during = async {
        during.await;
        is_done.set(true);
    };
    tokio::join!(playing, during);
}

async fn cut_connections(servers: &Servers) {
    servers
        .query(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'crypto-intel'",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_again_and_again_lose_nothing() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    for _ in 0..20 {
        play_on(&servers, &mut chain, &mut random, 6).await;
        cut_connections(&servers).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(
        persist.metric("crypto_intel_persist_retries_total", &[]) > 0.0,
        "none of the cuts met a transaction"
    );
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_waited_for() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 10).await;
    servers.settled("EVM").await;
    let name: String = servers.query("SELECT current_database()::text").await[0].get(0);
    let sql = servers.sql().await;
    let read_only =
        |on: bool| format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
    sql.batch_execute(&read_only(true)).await.unwrap();
    cut_connections(&servers).await;
    chain.play(&servers.nats, 3, 10).await;
    eventually(async || {
        let report = persist.context.health.report();
        report.probes.iter().any(|probe| probe.detail.contains("read-only"))
    })
    .await;
    sql.batch_execute("SET default_transaction_read_only = false").await.unwrap();
    sql.batch_execute(&read_only(false)).await.unwrap();
    cut_connections(&servers).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    eventually(async || persist.is_ready()).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_one_is_killed_and_one_is_stopped_and_woken() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base");
    let mut active = process::start(&servers, "first");
    play_on(&servers, &mut chain, &mut random, 20).await;
    servers.settled("EVM").await;
    let mut standby = process::start(&servers, "second");
    play_on(&servers, &mut chain, &mut random, 20).await;
    active.kill();
    play_on(&servers, &mut chain, &mut random, 20).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    // Each is paused in the middle of its work, and still believes to be the leader when it wakes.
    active = process::start(&servers, "third");
    for _ in 0..3 {
        let moment = Duration::from_millis(random.random_range(1..300));
        let pause = async {
            let mut clock = tokio::time::interval(moment);
            clock.tick().await;
            clock.tick().await;
            standby.pause();
        };
        play_during(&servers, &mut chain, &mut random, pause).await;
        servers.settled("EVM").await;
        standby.wake();
        play_on(&servers, &mut chain, &mut random, 20).await;
        servers.settled("EVM").await;
        servers.assert_stored(&[&chain]).await;
        std::mem::swap(&mut active, &mut standby);
    }
    assert!(!active.has_ended() && !standby.has_ended());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_restored_from_an_older_copy_brings_no_row_twice() {
    let mut servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 10, 8).await;
    servers.settled("EVM").await;
    servers.broker.stop().await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(servers.broker.store_dir(), copy.path());
    servers.broker.start_again().await.unwrap();
    eventually(async || servers.nats.stream_state("EVM").await).await;
    let mut batches = Vec::new();
    for _ in 0..6 {
        let events = chain.grow(8);
        chain.publish(&servers.nats, &events).await;
        batches.push(events);
    }
    servers.settled("EVM").await;

    servers.broker.kill().unwrap();
    std::fs::remove_dir_all(servers.broker.store_dir()).unwrap();
    copy_folder(copy.path(), servers.broker.store_dir());
    servers.broker.start_again().await.unwrap();
    eventually(async || servers.nats.stream_state("EVM").await).await;
    // A producer finds its last marker and publishes what is missing again, under other sequences.
    for events in &batches[..] {
        chain.publish(&servers.nats, events).await;
    }
    chain.play(&servers.nats, 4, 8).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(persist.metric("crypto_intel_persist_stream_resets_total", &[]) >= 1.0);
    persist.stop().await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_among_five_thousand_is_dead_lettered_alone() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    let mut events = chain.grow(4_996);
    if let Event::Erc20Transfer(body) = &mut events[3_210] {
        body.symbol = Some("EVIL".into());
    }
    let sql = servers.sql().await;
    sql.batch_execute("ALTER TABLE token_transfers ADD CHECK (symbol <> 'EVIL')").await.unwrap();
    assert_eq!(events.len(), 5_001, "5,000 rows and their marker");
    chain.publish(&servers.nats, &events).await;
    let persist = servers.persist("one").await;
    servers.settled("EVM").await;
    let letters = list_dead_letters(&servers.nats, None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].payload.as_ref(), events[3_210].encode());
    let hash = events[0].block_fields().unwrap().block_hash;
    let mut wanted = chain.transfers();
    wanted.retain(|key| *key != (hash, 3_210));
    crypto_intel_testkit::assert_same_set(wanted, servers.stored_transfers().await);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_stream_three_times_gives_the_same_rows() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base");
    play_on(&servers, &mut chain, &mut random, 40).await;
    for instance in ["one", "two", "three"] {
        let persist = servers.persist(instance).await;
        servers.settled("EVM").await;
        servers.assert_stored(&[&chain]).await;
        persist.stop().await;
        servers
            .query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
            .await;
    }
}

/// A file system of a few megabytes for one tablespace.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, reported as skipped, where this user may not mount.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let options = format!("size={megabytes}m,mode=0777");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!(
            "skipped: a full disk needs a small file system, and this user may not mount one"
        );
        None
    }

    fn grow(&self, megabytes: u32) {
        let options = format!("remount,size={megabytes}m");
        let status =
            Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_is_waited_for() {
    let mut servers = Servers::start().await;
    if servers.database.server().is_none() {
        eprintln!("skipped: the server of DATABASE_URL sees other disks");
        return;
    }
    let Some(disk) = SmallDisk::mount(8) else { return };
    let location = disk.0.path().join("space");
    let account = std::fs::metadata(servers.database.server().unwrap().data_dir()).unwrap();
    std::fs::create_dir(&location).unwrap();
    std::os::unix::fs::chown(
        &location,
        Some(std::os::unix::fs::MetadataExt::uid(&account)),
        Some(std::os::unix::fs::MetadataExt::gid(&account)),
    )
    .unwrap();
    open_to_all(disk.0.path());
    let sql = servers.sql().await;
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", location.display());
    sql.batch_execute(&space).await.unwrap();
    sql.batch_execute("ALTER TABLE token_transfers SET TABLESPACE small").await.unwrap();
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    eventually(async || {
        chain.play(&servers.nats, 4, 500).await;
        let report = persist.context.health.report();
        report.probes.iter().any(|probe| probe.detail.contains("53100"))
    })
    .await;
    assert!(!persist.is_ready(), "/ready shows it");
    chain.play(&servers.nats, 4, 50).await;
    disk.grow(256);
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    eventually(async || persist.is_ready()).await;
    persist.stop().await;
    sql.batch_execute("ALTER TABLE token_transfers SET TABLESPACE pg_default").await.unwrap();
    sql.batch_execute("DROP TABLESPACE small").await.unwrap();
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}
