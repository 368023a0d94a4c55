use crypto_intel_store::{
    Edition,
    policies::{self, PolicyChange, PolicyKind, Setting, StorageConfig},
};
use crypto_intel_testkit::sql_client;

use crate::support::{database, store};

const DAY: i64 = 86_400;

fn config(transfers: u32, blocks: u32) -> StorageConfig {
    let mut config = StorageConfig::default();
    (config.retention_days.transfers, config.retention_days.blocks) = (transfers, blocks);
    config
}

#[tokio::test]
async fn policies_follow_the_configuration_and_say_what_changed() {
    let (_database, store, _client) = database().await;
    let community = matches!(store.edition().await.unwrap(), Edition::TimescaleCommunity(_));
    let kind = if community { PolicyKind::Retention } else { PolicyKind::RetentionByPersist };
    let planned = policies::apply(&store, &config(90, 0), true).await.unwrap();
    let applied = policies::apply(&store, &config(90, 0), false).await.unwrap();
    assert_eq!(planned, applied, "a dry run says what a real one does, and does nothing");
    let of = |changes: &[PolicyChange], object: &str| {
        let found = changes.iter().find(|change| change.kind == kind && change.object == object);
        found.map(|change| (change.from, change.to))
    };
    let days = |days: i64| Some(Setting::After(days * DAY));
    assert_eq!(of(&applied, "token_transfers"), Some((None, days(90))));
    assert_eq!(of(&applied, "node_status"), Some((None, days(30))), "the default");
    assert!(
        policies::apply(&store, &config(90, 0), false).await.unwrap().is_empty(),
        "a second run changes nothing"
    );

    let changed = policies::apply(&store, &config(30, 400), false).await.unwrap();
    assert_eq!(of(&changed, "token_transfers"), Some((days(90), days(30))));
    assert_eq!(of(&changed, "node_status"), None);
    let blocks = changed.iter().find(|change| change.object == "blocks").unwrap();
    assert_eq!((blocks.kind, blocks.to), (PolicyKind::RetentionByPersist, days(400)));
    let changed = policies::apply(&store, &config(0, 0), false).await.unwrap();
    assert_eq!(of(&changed, "token_transfers"), Some((days(30), None)));
    assert!(policies::apply(&store, &config(0, 0), true).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_without_tables_has_no_policies_yet() {
    let database = crate::server().await;
    let store = store(database.url()).await;
    let planned = policies::apply(&store, &config(90, 0), true).await.unwrap();
    assert!(planned.iter().all(|change| change.from.is_none()), "{planned:?}");
    assert!(planned.iter().any(|change| change.object == "native_transfers"), "{planned:?}");
}

/// Rows at these ages in days.
async fn fill(client: &tokio_postgres::Client, ages: &[i32]) {
    for age in ages {
        client
            .batch_execute(&format!(
                "INSERT INTO logs (block_time, block_number, block_tag, tx_index, log_index, truncated, \
                 chain, tx_hash, address, data) SELECT now() - {age} * interval '1 day', 1, 1, 1, \
                 row, false, 'test', '\\x01', '\\x01', '\\x01' FROM generate_series(1, 25) AS row; \
                 INSERT INTO blocks SELECT now() - {age} * interval '1 day', now(), now(), {age} * 100 + row, 1, 1, 1, \
                 1, 1, 1, 1, true, false, 'test', '\\x01', '\\x01', 1, 1 FROM generate_series(1, 25) AS row"
            ))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn only_expired_rows_are_dropped_in_slices() {
    let (_database, store, client) = database().await;
    fill(&client, &[0, 5, 20, 40, 60]).await;
    let mut config = StorageConfig::default();
    let days = &mut config.retention_days;
    (days.transfers, days.dex, days.contracts, days.events, days.gas) = (30, 30, 30, 30, 30);
    days.blocks = 50;
    policies::apply(&store, &config, false).await.unwrap();
    let expiring = policies::expiring_tables(&store).await.unwrap();
    assert!(expiring.contains(&"blocks".to_owned()), "{expiring:?}");
    assert!(!expiring.contains(&"alerts".to_owned()), "kept forever");
    let mut slices = Vec::new();
    loop {
        let gone = policies::drop_expired(&store, "blocks", 10).await.unwrap();
        slices.push(gone);
        if gone < 10 {
            break;
        }
    }
    assert_eq!(slices, [10, 10, 5]);
    for table in &expiring {
        while policies::drop_expired(&store, table, 10).await.unwrap() >= 10 {}
    }
    let count = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(count("SELECT count(*) FROM blocks").await, 4 * 25);
    if matches!(store.edition().await.unwrap(), Edition::TimescaleCommunity(_)) {
        // There the server's own job does it, on its schedule.
        return;
    }
    let old =
        count("SELECT count(*) FROM logs WHERE block_time < now() - interval '31 days'").await;
    let young =
        count("SELECT count(*) FROM logs WHERE block_time > now() - interval '29 days'").await;
    assert_eq!((old, young), (0, 75));
    assert_eq!(
        policies::drop_expired(&store, "indices", 10).await.unwrap(),
        0,
        "no policy, no rows"
    );
}

#[tokio::test]
async fn only_what_the_owner_configured_can_be_dropped() {
    let (database, store, client) = database().await;
    fill(&client, &[5]).await;
    let user = database.user_in("crypto_intel_writer").await.unwrap();
    let writer = sql_client(user.url()).await;
    let error = writer
        .batch_execute("INSERT INTO storage_retention VALUES ('logs', 'block_time', '0')")
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501", "{error}");
    let dropped: i64 =
        writer.query_one("SELECT drop_expired('logs', 100)", &[]).await.unwrap().get(0);
    assert_eq!(dropped, 0);
    let error = writer.batch_execute("SELECT drop_older('logs', 'block_time', '0', 9)").await;
    assert_eq!(error.unwrap_err().code().unwrap().code(), "42501");
    assert_eq!(
        store.table_counts().await.unwrap().iter().find(|(name, _)| name == "logs").unwrap().1,
        25
    );
}
