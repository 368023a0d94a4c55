use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crypto_intel_nats::OutMessage;
use crypto_intel_persist::{Config, Rebuild, RebuildOptions, Stage, Swapped};
use crypto_intel_schemas::{Alert, Decimal, Event, Price, subjects};
use crypto_intel_service::Secret;
use crypto_intel_store::{StoreConfig, policies::StorageConfig};
use crypto_intel_testkit::{SeededRandom, eventually, sql_client};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{chain::Chain, faults::play_on, harness::Servers};

fn silent(_: Stage) {}

async fn prepare_with(servers: &Servers, rate: Option<u32>) -> anyhow::Result<Rebuild> {
    let database =
        StoreConfig { url: Secret::new(servers.database.url()), ..StoreConfig::default() };
    let options = RebuildOptions {
        config: Config::default(),
        database,
        storage: StorageConfig::default(),
        schema: "rebuilt".parse().unwrap(),
        rate,
    };
    Rebuild::prepare(options, &servers.nats, &servers.store().await, &CancellationToken::new())
        .await
}

async fn prepare(servers: &Servers) -> Rebuild {
    prepare_with(servers, None).await.unwrap()
}

/// Rebuilds and swaps in the background.
fn swap(rebuild: Rebuild) -> JoinHandle<anyhow::Result<Option<Swapped>>> {
    tokio::spawn(async move {
        crypto_intel_persist::swap(
            &rebuild,
            Duration::from_secs(120),
            &silent,
            &CancellationToken::new(),
        )
        .await
    })
}

pub(crate) async fn swapped(servers: &Servers) -> anyhow::Result<Swapped> {
    swap(prepare(servers).await).await.unwrap().map(|done| done.expect("it was not stopped"))
}

/// A client that keeps reading several tables and views in transactions, and records what fails.
struct Reader {
    stop: CancellationToken,
    errors: Arc<Mutex<Vec<String>>>,
    transactions: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Reader {
    fn start(url: &str, relations: &'static [&'static str]) -> Self {
        let (stop, url) = (CancellationToken::new(), url.to_owned());
        let errors: Arc<Mutex<Vec<String>>> = Arc::default();
        let transactions: Arc<AtomicU64> = Arc::default();
        let (stopped, noted, counted) =
            (stop.clone(), Arc::clone(&errors), Arc::clone(&transactions));
        let task = tokio::spawn(async move {
            let mut client = sql_client(&url).await;
            let mut prepared = Vec::new();
            for relation in relations {
                let sql = format!("SELECT * FROM {relation} LIMIT 2");
                prepared.push(client.prepare(&sql).await.unwrap());
            }
            while !stopped.is_cancelled() {
                match read(&mut client, relations, &prepared).await {
                    Ok(problem) => noted.lock().unwrap().extend(problem),
                    Err(error) => {
                        noted.lock().unwrap().push(format!("{error:?}"));
                        return;
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, errors, transactions, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        assert_eq!(*self.errors.lock().unwrap(), [] as [String; 0]);
        assert!(self.transactions.load(Ordering::Relaxed) > 20);
    }
}

/// One transaction over all relations; reports when it saw two sets of tables.
async fn read(
    client: &mut tokio_postgres::Client,
    relations: &[&str],
    prepared: &[tokio_postgres::Statement],
) -> Result<Option<String>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    for (relation, prepared) in relations.iter().zip(prepared) {
        // As clients do: prepared once, prepared each time, and by the simple protocol.
        transaction.query(prepared, &[]).await?;
        transaction.query_one(&format!("SELECT count(*) FROM {relation}"), &[]).await?;
        transaction.batch_execute(&format!("SELECT * FROM {relation} LIMIT 3")).await?;
    }
    let orphans = "SELECT count(*) FROM token_transfers AS moved LEFT JOIN blocks \
                   ON blocks.chain = moved.chain AND blocks.block_number = moved.block_number \
                   AND block_tag(block_hash) = block_tag WHERE canonical IS NOT TRUE";
    let orphans: i64 = transaction.query_one(orphans, &[]).await?.get(0);
    let places = "SELECT count(DISTINCT relnamespace) FROM pg_class JOIN pg_locks ON relation = pg_class.oid \
                  WHERE pid = pg_backend_pid() AND relname = ANY ($1)";
    let places: i64 = transaction.query_one(places, &[&relations]).await?.get(0);
    transaction.commit().await?;
    Ok((orphans > 0 || places != 1).then(|| format!("{orphans} orphans, {places} schemas")))
}

async fn publish(servers: &Servers, event: &Event) {
    servers.nats.publish(OutMessage::new(subjects::of(event), event.encode())).await.unwrap();
}

fn price(second: i64) -> Event {
    Event::from(Price {
        asset: "bitcoin".into(),
        price: Decimal::parse("64000.5").unwrap(),
        ..Price::at("p", second * 1_000_000, second * 1_000_000)
    })
}

fn alert(id: &str) -> Event {
    Event::from(Alert { id: id.into(), alert: id.into(), rule: "r".into(), ..Alert::empty() })
}

/// Purges the messages of a stream before a sequence.
pub(crate) async fn forget(servers: &Servers, stream: &str, before: u64) {
    let stream = servers.nats.jetstream().get_stream(stream).await.unwrap();
    stream.purge().sequence(before).await.unwrap();
}

/// Stores rows that no stream holds any more: of whole blocks, of half a block, of no block.
async fn play_and_purge(servers: &Servers, chain: &mut Chain) {
    chain.play(&servers.nats, 12, 8).await;
    for batch in chain.reorganise(2, 4) {
        chain.publish(&servers.nats, &batch).await;
    }
    chain.play(&servers.nats, 8, 8).await;
    for second in 1..=5 {
        publish(servers, &price(second)).await;
    }
    publish(servers, &alert("old")).await;
    for stream in ["EVM", "MARKET", "ALERT"] {
        servers.settled(stream).await;
    }
    let end = servers.nats.stream_state("EVM").await.unwrap().last_sequence;
    // The stream begins in the middle of the sixth block from the end.
    forget(servers, "EVM", end - 5 * 13 - 6).await;
    forget(servers, "MARKET", 4).await;
    forget(servers, "ALERT", 2).await;
}

async fn names(servers: &Servers, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('{schema}') \
         AND relkind IN ('r', 'v') ORDER BY 1"
    );
    servers.query(&sql).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_swapped_under_load_unnoticed() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    play_and_purge(&servers, &mut chain).await;
    let before = names(&servers, "public").await;
    let url = servers.database.url();
    let readers = [
        Reader::start(url, &["blocks", "token_transfers", "v_blocks", "logs"]),
        Reader::start(url, &["v_token_transfers", "approvals", "token_transfers", "blocks"]),
        Reader::start(url, &["logs", "v_token_transfers", "blocks", "market_ticks", "positions"]),
    ];
    for second in 1..=2 {
        let swapping = swap(prepare(&servers).await);
        while !swapping.is_finished() {
            play_on(&servers, &mut chain, &mut random, 1).await;
            publish(&servers, &price(100 * second + i64::from(chain.height() as u32))).await;
        }
        let done = swapping.await.unwrap().unwrap().unwrap();
        assert!(second > 1 || done.copied.blocks >= 15, "{done:?}");
        play_on(&servers, &mut chain, &mut random, 10).await;
        servers.settled("EVM").await;
        servers.settled("MARKET").await;
        servers.assert_stored(&[&chain]).await;
        assert_eq!(names(&servers, "public").await, before, "nothing is left out");
        assert_eq!(names(&servers, "rebuilt_before").await, before);
        assert_eq!(names(&servers, "rebuilt").await, [] as [String; 0]);
        let stored_again = "SELECT count(*) FROM blocks JOIN rebuilt_before.blocks AS old \
                            USING (chain, block_number, block_hash) WHERE blocks.stored_at <> old.stored_at";
        assert_eq!(servers.number(stored_again).await, 0, "when a block was stored is kept");
        // The next swap needs the schema that holds this one's old tables.
        let error = swapped(&servers).await.unwrap_err().to_string();
        assert!(error.contains("DROP SCHEMA rebuilt_before CASCADE"), "{error}");
        servers.query("SELECT 1").await;
        servers.sql().await.batch_execute("DROP SCHEMA rebuilt_before CASCADE").await.unwrap();
    }
    assert_eq!(servers.number("SELECT count(*) FROM alerts WHERE id = 'old'").await, 1);
    let market_ticks = "SELECT count(*) FROM market_ticks WHERE event_at < 'epoch'::timestamptz + interval '1 minute'";
    assert_eq!(servers.number(market_ticks).await, 5, "rows older than the stream");
    for reader in readers {
        reader.stop().await;
    }
    assert_eq!(persist.metric("crypto_intel_persist_dead_lettered_total", &[]), 0.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rebuild_resumes_where_it_was() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 200, 10).await;
    servers.settled("EVM").await;
    let rebuild = prepare_with(&servers, Some(1_000)).await.unwrap();
    assert!(!rebuild.is_resumed());
    let killed = swap(rebuild);
    let progress = "SELECT coalesce(max(sequence), 0) FROM rebuilt.positions WHERE stream = 'EVM'";
    eventually(async || servers.number(progress).await > 500).await;
    killed.abort();
    let _ended = killed.await;
    let came_to = servers.number(progress).await;
    assert_eq!(servers.stored_transfers().await.len(), 2_000, "the live tables are as they were");

    chain.play(&servers.nats, 5, 10).await;
    let rebuild = prepare(&servers).await;
    assert!(rebuild.is_resumed());
    let done = swap(rebuild).await.unwrap().unwrap().unwrap();
    assert_eq!(done.copied.blocks, 0, "the stream had everything: {done:?}");
    assert!((501..2_000).contains(&came_to), "read at the given rate: {came_to} messages");
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_without_a_running_persist_loses_nothing_either() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    play_and_purge(&servers, &mut chain).await;
    persist.stop().await;
    chain.play(&servers.nats, 3, 5).await;
    let done = swapped(&servers).await.unwrap();
    assert_eq!(done.before, "rebuilt_before");
    servers.assert_stored(&[&chain]).await;
    let persist = servers.persist("live").await;
    chain.play(&servers.nats, 3, 5).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_users_attached_are_named_before_anything_is_done() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 5).await;
    servers.settled("EVM").await;
    let attach = "CREATE VIEW theirs AS SELECT count(*) FROM token_transfers; \
                  CREATE INDEX their_index ON blocks (gas_used); \
                  ALTER TABLE logs ADD COLUMN note text; \
                  CREATE FUNCTION of_blocks() RETURNS SETOF blocks LANGUAGE sql AS 'SELECT * FROM blocks'; \
                  CREATE TABLE their_table (id text REFERENCES alerts (id)); \
                  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                  CREATE TRIGGER their_trigger AFTER INSERT ON market_ticks EXECUTE FUNCTION nothing()";
    servers.sql().await.batch_execute(attach).await.unwrap();
    let error = swapped(&servers).await.unwrap_err().to_string();
    for part in [
        "view theirs reads token_transfers",
        "CREATE INDEX their_index ON rebuilt.blocks USING btree (gas_used)",
        "column logs.note",
        "function of_blocks() is made of blocks",
        "foreign key their_table_id_fkey",
        "trigger their_trigger of market_ticks",
    ] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    let detach = "DROP VIEW theirs; ALTER TABLE logs DROP COLUMN note; DROP FUNCTION of_blocks; \
                  DROP TABLE their_table; DROP TRIGGER their_trigger ON market_ticks; \
                  CREATE INDEX their_index ON rebuilt.blocks (gas_used)";
    servers.sql().await.batch_execute(detach).await.unwrap();
    swapped(&servers).await.unwrap();
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(servers.number("SELECT 'public.their_index'::regclass::oid::bigint").await > 0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_copied_prevent_the_swap() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    play_and_purge(&servers, &mut chain).await;
    let rebuild = prepare(&servers).await;
    rebuild.catch_up(&silent, &CancellationToken::new()).await.unwrap();
    // Like a column of a new version, whose value only its decoder knows.
    let column = "ALTER TABLE rebuilt.logs ADD COLUMN depth int NOT NULL DEFAULT 0; \
                  ALTER TABLE rebuilt.logs ALTER COLUMN depth DROP DEFAULT";
    servers.sql().await.batch_execute(column).await.unwrap();
    let error = format!("{:#}", swap(rebuild).await.unwrap().unwrap_err());
    assert!(error.contains("public.logs has rows") && error.contains("column depth"), "{error}");
    assert!(!names(&servers, "rebuilt").await.is_empty(), "nothing was exchanged");
    let default = "ALTER TABLE rebuilt.logs ALTER COLUMN depth SET DEFAULT 0";
    servers.sql().await.batch_execute(default).await.unwrap();
    swapped(&servers).await.unwrap();
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(servers.number("SELECT count(depth) FROM logs").await > 0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_holds_the_tables_is_named_and_waited_for() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 5).await;
    servers.settled("EVM").await;
    let mut holder = servers.sql().await;
    let open = holder.transaction().await.unwrap();
    open.execute("SET application_name = 'a long report'", &[]).await.unwrap();
    open.query("SELECT count(*) FROM v_blocks", &[]).await.unwrap();
    let rebuild = prepare(&servers).await;
    let never = CancellationToken::new();
    let impatient = crypto_intel_persist::swap(&rebuild, Duration::from_millis(1), &silent, &never);
    let error = format!("{:#}", impatient.await.unwrap_err());
    assert!(error.contains("a long report of"), "{error}");
    // Writers had their turn, and no reader was blocked for good.
    chain.play(&servers.nats, 2, 5).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    let waiting = swap(rebuild);
    chain.play(&servers.nats, 2, 5).await;
    open.commit().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_some());
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_and_tables_that_no_stream_fills_are_copied() {
    let servers = Servers::start().await;
    let role = format!("reader_{}", std::process::id());
    let given = format!(
        "CREATE ROLE {role}; GRANT SELECT ON blocks, v_token_transfers TO {role}; \
         GRANT SELECT (chain) ON alerts TO {role}; \
         ALTER TABLE blocks SET (autovacuum_vacuum_scale_factor = 0.02); \
         CREATE TABLE nicknames (address text PRIMARY KEY, label text, seen int); \
         INSERT INTO nicknames VALUES ('a', 'treasury', 1), ('b', 'old', 2); \
         CREATE FUNCTION labelled() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public \
         AS 'SELECT count(*) FROM nicknames'; \
         INSERT INTO positions (stream, sequence, stored_at_us, revision) VALUES ('ELSEWHERE', 7, 8, 9)"
    );
    let client = servers.sql().await;
    client.batch_execute(&given).await.unwrap();
    let rebuild = prepare(&servers).await;
    let twin = "CREATE TABLE rebuilt.nicknames (address text PRIMARY KEY, label text, seen int); \
                INSERT INTO rebuilt.nicknames VALUES ('b', 'new', 0), ('c', 'made by a migration', 3); \
                CREATE FUNCTION rebuilt.labelled() RETURNS bigint LANGUAGE sql SECURITY DEFINER \
                SET search_path FROM CURRENT AS 'SELECT count(*) FROM nicknames'";
    let twin = format!("SET search_path = rebuilt; {twin}; RESET search_path");
    client.batch_execute(&twin).await.unwrap();
    // A grant that is refused, as TimescaleDB refuses some: the swap continues without it and reports it.
    let refuse = "CREATE SCHEMA guard; CREATE FUNCTION guard.refuse() RETURNS event_trigger LANGUAGE plpgsql AS \
                  $$ BEGIN IF current_query() LIKE '%GRANT INSERT%' THEN RAISE EXCEPTION 'not that'; END IF; END $$";
    let refuse = format!(
        "GRANT INSERT ON nicknames TO {role}; {refuse}; \
         CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('GRANT') EXECUTE FUNCTION guard.refuse()"
    );
    client.batch_execute(&refuse).await.unwrap();
    let done = swap(rebuild).await.unwrap().unwrap().unwrap();
    client.batch_execute("DROP EVENT TRIGGER refuse").await.unwrap();
    assert_eq!(done.grants_left_out.len(), 1, "{:?}", done.grants_left_out);
    let left_out = &done.grants_left_out[0];
    assert!(
        left_out.contains("GRANT INSERT ON TABLE") && left_out.contains("not that"),
        "{left_out}"
    );
    assert_eq!(done.unstreamed_tables, ["label_sources", "labels", "nicknames", "wallets"]);
    let labels = servers.query("SELECT address || label || seen FROM nicknames ORDER BY 1").await;
    let labels: Vec<&str> = labels.iter().map(|row| row.get(0)).collect();
    assert_eq!(labels, ["atreasury1", "bold2", "cmade by a migration3"]);
    assert_eq!(
        servers.number("SELECT sequence FROM positions WHERE stream = 'ELSEWHERE'").await,
        7
    );
    // Each function finds the tables of its own set in their new schema.
    assert_eq!(servers.number("SELECT labelled()").await, 3);
    assert_eq!(servers.number("SELECT rebuilt_before.labelled()").await, 2);
    let may = format!(
        "SELECT has_table_privilege('{role}', 'blocks', 'SELECT')::int::bigint \
         + has_table_privilege('{role}', 'v_token_transfers', 'SELECT')::int \
         + has_column_privilege('{role}', 'alerts', 'chain', 'SELECT')::int \
         + has_table_privilege('{role}', 'market_ticks', 'SELECT')::int"
    );
    assert_eq!(servers.number(&may).await, 3);
    let options =
        "SELECT cardinality(reloptions)::bigint FROM pg_class WHERE oid = 'blocks'::regclass";
    assert_eq!(servers.number(options).await, 1);
    let drop = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    servers.sql().await.batch_execute(&drop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_of_another_lane_is_copied_although_it_left_its_stream() {
    let servers = Servers::start().await;
    let persist = servers.persist("live").await;
    let fork = servers.repaired_by_history().await;
    forget(&servers, "HISTORY", u64::MAX).await;
    let done = swapped(&servers).await.unwrap();
    assert_eq!(done.copied.blocks, 1, "{done:?}");
    servers.assert_stored(&[&fork]).await;
    persist.stop().await;
}
