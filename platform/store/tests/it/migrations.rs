use crypto_intel_store::{ColumnType, Edition, StoreError, Table};
use crypto_intel_testkit::sql_client;

use crate::support::{database, store};

#[tokio::test]
async fn are_applied_once_and_are_idempotent() {
    let database = crate::server().await;
    let store = store(database.url()).await;
    let planned = store.migrate(true).await.unwrap();
    assert!(planned.dry_run && planned.applied.len() >= 5 && planned.already.is_empty());
    assert!(store.position("EVM").await.unwrap_err().needs_migration(), "nothing was done");

    let first = store.migrate(false).await.unwrap();
    assert_eq!(first.applied, planned.applied);
    let second = store.migrate(false).await.unwrap();
    assert_eq!((second.applied.len(), second.already), (0, first.applied));
    assert!(store.missing_migrations().await.unwrap().is_empty());
    assert_eq!(store.table_counts().await.unwrap().len(), Table::ALL.len());
}

#[tokio::test]
async fn two_at_once_do_not_disturb_each_other() {
    let database = crate::server().await;
    let store = store(database.url()).await;
    let (one, other) = tokio::join!(store.migrate(false), store.migrate(false));
    let applied = [one.unwrap().applied.len(), other.unwrap().applied.len()];
    assert!(applied.contains(&0) && applied.iter().sum::<usize>() >= 5, "{applied:?}");
}

#[tokio::test]
async fn a_newer_database_is_refused_with_its_reason() {
    let (_database, store, client) = database().await;
    client
        .execute(
            "INSERT INTO refinery_schema_history VALUES (99, 'future', '2030-01-01T00:00:00Z', '1')",
            &[],
        )
        .await
        .unwrap();
    let error = store.migrate(false).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn every_database_object_has_a_comment() {
    let (_database, _store, client) = database().await;
    // Objects of an extension or of the migrations runner are not ours to document.
    let own = "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm') \
         AND relname <> 'refinery_schema_history' \
         AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')";
    for (what, sql) in [
        (
            "tables and views",
            format!(
                "SELECT relname::text FROM pg_class WHERE {own} AND obj_description(oid) IS NULL"
            ),
        ),
        (
            "columns",
            format!(
                "SELECT relname || '.' || attname FROM pg_class \
                 JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped \
                 WHERE {own} AND col_description(pg_class.oid, attnum) IS NULL"
            ),
        ),
        (
            "functions",
            "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND obj_description(oid) IS NULL \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
                .to_owned(),
        ),
    ] {
        let rows = client.query(&sql, &[]).await.unwrap();
        let silent: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert!(silent.is_empty(), "{what} without a comment: {silent:?}");
    }
}

#[tokio::test]
async fn tables_are_partitioned_where_the_server_can() {
    let (_database, store, client) = database().await;
    if store.edition().await.unwrap() == Edition::Plain {
        let indexes = client
            .query("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%brin%'", &[])
            .await
            .unwrap();
        let definitions: Vec<&str> = indexes.iter().map(|row| row.get(0)).collect();
        // A key that begins with the time finds rows by it, too.
        let by_key = |table: &Table| table.spec().key[0] == table.time_column();
        for table in Table::ALL.into_iter().filter(|one| one.is_partitioned() && !by_key(one)) {
            let by_time = format!(".{table} USING brin ({})", table.time_column());
            let is_there = definitions.iter().any(|definition| definition.ends_with(&by_time));
            assert!(is_there, "{by_time} in {definitions:?}");
        }
        return;
    }
    let hypertables = client
        .query(
            "SELECT hypertable_name::text, column_name::text FROM timescaledb_information.dimensions",
            &[],
        )
        .await
        .unwrap();
    let by_time: Vec<(&str, &str)> =
        hypertables.iter().map(|row| (row.get(0), row.get(1))).collect();
    for table in Table::ALL {
        let is_hypertable = by_time.contains(&(table.name(), table.time_column()));
        assert_eq!(is_hypertable, table.is_partitioned(), "{table} in {by_time:?}");
    }
}

#[tokio::test]
async fn a_dry_run_says_what_is_made_and_in_which_form() {
    let database = crate::server().await;
    let store = store(database.url()).await;
    let planned = store.migrate(true).await.unwrap();
    let said = planned.to_string();
    assert!(said.contains("would apply V11__rollups"), "{said}");
    let planned_for = |what: &str| planned.forms.iter().any(|form| form.contains(what));
    assert!(planned_for("token_volume_hourly"), "{said}");
    let made = store.migrate(false).await.unwrap();
    match &made.edition {
        Edition::Plain => {
            assert!(planned_for("(views, "), "{said}");
            assert_eq!(planned.forms, made.forms);
        }
        _ => {
            // Its edition is known only once the extension exists.
            assert!(matches!(planned.edition, Edition::TimescaleToCome(_)), "{said}");
            assert!(planned_for("(hypertable, "), "{said}");
        }
    }
    assert!(made.to_string().contains("made tables positions (plain)"), "{made}");
    assert_eq!(store.migrate(true).await.unwrap().forms, Vec::<String>::new());
}

#[tokio::test]
async fn the_page_about_storage_names_everything() {
    let (_database, _store, client) = database().await;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/storage.md");
    let page = std::fs::read_to_string(page).unwrap();
    let names = client
        .query(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
             AND relkind IN ('r', 'v') AND relname <> 'refinery_schema_history' \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') \
             UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')",
            &[],
        )
        .await
        .unwrap();
    let named = |name: &str| {
        [format!("`{name}`"), format!("`{name}(")].iter().any(|text| page.contains(text))
    };
    let unnamed: Vec<&str> =
        names.iter().map(|row| row.get(0)).filter(|name: &&str| !named(name)).collect();
    assert!(unnamed.is_empty(), "docs/storage.md does not name {unnamed:?}");
}

/// The files of `src/tables` match the tables that the migrations create.
#[tokio::test]
async fn tables_have_the_columns_and_keys_that_rows_are_written_for() {
    let (_database, _store, client) = database().await;
    for table in Table::ALL {
        let columns = client
            .query(
                "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped",
                &[&table.name()],
            )
            .await
            .unwrap();
        for column in table.columns() {
            let found = columns.iter().find(|row| row.get::<_, &str>(0) == column.name);
            let found = found.unwrap_or_else(|| panic!("{table} has no column {}", column.name));
            let expected = match column.column_type {
                ColumnType::Text => "text",
                ColumnType::Bytes | ColumnType::Address => "bytea",
                ColumnType::Boolean => "boolean",
                ColumnType::Int2 => "smallint",
                ColumnType::Int4 => "integer",
                ColumnType::Int8 => "bigint",
                ColumnType::Time => "timestamp with time zone",
                ColumnType::Numeric => "numeric",
                ColumnType::Texts => "text[]",
                ColumnType::ByteArrays => "bytea[]",
                ColumnType::Json => "jsonb",
            };
            assert_eq!(found.get::<_, &str>(1), expected, "{table}.{}", column.name);
        }
        let key = client
            .query(
                "SELECT attname::text FROM pg_index JOIN pg_attribute ON attrelid = indrelid \
                 AND attnum = ANY (indkey) WHERE indrelid = to_regclass($1::text) AND indisprimary \
                 ORDER BY array_position(indkey::int2[], attnum)",
                &[&table.name()],
            )
            .await
            .unwrap();
        let key: Vec<&str> = key.iter().map(|row| row.get(0)).collect();
        assert_eq!(key, table.spec().key, "{table}");
    }
}

async fn migration_refused(url: &str) -> String {
    store(url).await.migrate(false).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_unusable_database_is_refused_with_its_reason() {
    let database = crate::server().await;
    let client = sql_client(database.url()).await;
    client.batch_execute("CREATE TABLE blocks (of_somebody_else int)").await.unwrap();
    let told = migration_refused(database.url()).await;
    assert!(told.contains("database of its own"), "{told}");

    let name = format!("{}_latin", database.url().rsplit('/').next().unwrap());
    let make = format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    client.batch_execute(&make).await.unwrap();
    let told = migration_refused(&format!("{}_latin", database.url())).await;
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    assert!(told.contains("has encoding LATIN1, it must be UTF8"), "{told}");
}

#[tokio::test]
async fn a_setting_of_the_database_does_not_change_what_migrations_mean() {
    let database = crate::server().await;
    let client = sql_client(database.url()).await;
    let name = database.url().rsplit('/').next().unwrap();
    let off = format!("ALTER DATABASE {name} SET standard_conforming_strings = off");
    client.batch_execute(&off).await.unwrap();
    assert!(!store(database.url()).await.migrate(false).await.unwrap().applied.is_empty());
}

#[tokio::test]
async fn a_user_without_rights_is_told_who_may_migrate() {
    let (database, _store, client) = database().await;
    let user = database.user_in("crypto_intel_writer").await.unwrap();
    client.batch_execute("DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)").await.unwrap();
    let told = migration_refused(user.url()).await;
    assert!(told.contains("42501") && told.contains("migrate as the owner"), "{told}");
}
