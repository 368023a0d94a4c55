use std::path::Path;

use crypto_intel_sandbox::{Postgres, PostgresOptions};
use crypto_intel_testkit::sql_client;

#[tokio::test]
async fn keeps_rows_and_port_over_kill_and_stop() {
    let mut server = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = server.create_database("rows").await.unwrap();
    let client = sql_client(&url).await;
    client.batch_execute("create table t (n int); insert into t values (1)").await.unwrap();
    server.kill().unwrap();
    assert!(client.batch_execute("select 1").await.is_err());
    server.start_again().await.unwrap();
    sql_client(&url).await.batch_execute("insert into t values (2)").await.unwrap();
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    let rows = sql_client(&url).await.query("select n from t order by n", &[]).await.unwrap();
    let numbers: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn kill_ends_the_backends_too_and_drop_removes_the_folder() {
    let mut server = Postgres::start(PostgresOptions::default()).await.unwrap();
    let client = sql_client(&server.url()).await;
    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let (postmaster, folder) = (server.pid(), server.data_dir().to_path_buf());
    server.kill().unwrap();
    for pid in [backend, postmaster.cast_signed()] {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
    assert!(folder.join("PG_VERSION").exists());
    drop(server);
    assert!(!folder.exists());
}

/// Ids of the segments of shared memory that the system has.
fn segments() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let ids = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    ids.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn nothing_of_a_server_stays_in_shared_memory() {
    for is_killed_before in [false, true] {
        let mut server = Postgres::start(PostgresOptions::default()).await.unwrap();
        let pid_file = std::fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
        let segment = pid_file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap();
        assert!(segments().iter().any(|id| id == segment), "it is in use");
        if is_killed_before {
            server.kill().unwrap();
        }
        drop(server);
        assert!(!segments().iter().any(|id| id == segment), "killed before: {is_killed_before}");
    }
}

#[tokio::test]
async fn keeps_a_given_data_folder_for_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    // The temporary folder itself is closed to other users, as /root is.
    let data_dir = folder.path().join("postgres");
    let options = PostgresOptions { data_dir: Some(data_dir.clone()), ..Default::default() };
    let first = Postgres::start(options.clone()).await.unwrap();
    let url = first.create_database("kept").await.unwrap();
    sql_client(&url).await.batch_execute("create table t (n int)").await.unwrap();
    drop(first);
    let second = Postgres::start(options).await.unwrap();
    let url = format!("{}/kept", second.url().rsplit_once('/').unwrap().0);
    sql_client(&url).await.batch_execute("insert into t values (1)").await.unwrap();
    let real = second.data_dir().to_path_buf();
    drop(second);
    assert!(data_dir.join("PG_VERSION").exists());
    if real.starts_with(Path::new("/var/tmp")) {
        std::fs::remove_dir_all(real).unwrap();
    }
}

#[tokio::test]
async fn settings_of_the_caller_win() {
    let options = PostgresOptions {
        durable: true,
        extra_conf: vec!["work_mem=7MB".into()],
        ..Default::default()
    };
    let server = Postgres::start(options).await.unwrap();
    let client = sql_client(&server.url()).await;
    let row = client
        .query_one("select current_setting('fsync'), current_setting('work_mem')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("on", "7MB"));
}

#[tokio::test]
async fn test_databases_are_separate() {
    let first = Postgres::test_database().await.unwrap();
    let second = Postgres::test_database().await.unwrap();
    assert_ne!(first.url(), second.url());
    sql_client(first.url()).await.batch_execute("create table only_here (n int)").await.unwrap();
    let missing = sql_client(second.url()).await.batch_execute("select * from only_here").await;
    assert!(missing.is_err());
}
