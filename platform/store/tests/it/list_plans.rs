//! Lists of the API stay on indexes, however many rows there are: what the server counts is compared, not what it plans.

use std::time::Duration;

use crypto_intel_schemas::{Address, B256, Severity};
use crypto_intel_store::{
    AlertFilter, ApprovalFilter, ArticleFilter, AuditFilter, CandleFilter, CandleStep,
    FailureFilter, GasStep, PageRequest, PairFilter, PoolFilter, ReadLimits, Side, Store,
    TransferFilter, TransferKind, VolumeStep, WalkBudget, WalletFilter,
};
use crypto_intel_testkit::eventually;
use tokio_postgres::Client;

use crate::support::{config, database};

const BIG: [&str; 12] = [
    "token_transfers",
    "native_transfers",
    "blocks",
    "alerts",
    "deliveries",
    "market_ticks",
    "audit",
    "approvals",
    "articles",
    "swaps",
    "block_gas",
    "provider_statuses",
];

/// Many rows, over a day. Chunks' indexes by ranges are completed here: the server would read whole tables for that at any time.
pub(crate) async fn fill(client: &Client) {
    client
        .batch_execute(
            "INSERT INTO blocks (block_time, observed_at, block_number, chain_id, revision, finalized_number, incarnation, \
             event_rows, transactions, canonical, partial, chain, block_hash, parent_hash, gas_used, gas_limit) \
             SELECT now() - make_interval(secs => 4 * n), now(), 100000 - n, 1, 1, 0, 1, 10, 10, true, false, \
             CASE n % 10 WHEN 0 THEN 'quiet' ELSE 'base' END, sha256(('b' || n)::bytea), sha256(('p' || n)::bytea), 1, 1 \
             FROM generate_series(1, 20000) AS n; \
             INSERT INTO token_transfers (block_time, block_number, block_tag, log_index, sub_index, tx_index, erc, decimals, \
             token_verified, chain, tx_hash, token, sender, recipient, value, symbol, usd, watched) \
             SELECT block_time, block_number, block_tag(block_hash), place, 0, place, \
             CASE place WHEN 9 THEN 721 ELSE 20 END, 6, true, chain, sha256(('t' || block_number || place)::bytea), \
             CASE place WHEN 5 THEN substr(sha256('busy'), 1, 20) \
             ELSE substr(sha256(('k' || block_number % 1000)::bytea), 1, 20) END, \
             substr(sha256(('w' || (block_number * 7 + place) % 2000)::bytea), 1, 20), \
             CASE place WHEN 5 THEN substr(sha256('busy'), 1, 20) \
             ELSE substr(sha256(('w' || (block_number * 3 + place) % 3000)::bytea), 1, 20) END, 5, 'X', \
             (block_number * 31 + place * 17) % 20000, CASE WHEN block_number % 2000 = 0 THEN ARRAY['desk'] END \
             FROM blocks CROSS JOIN generate_series(0, 9) AS place; \
             INSERT INTO native_transfers (block_time, block_number, block_tag, tx_index, succeeded, chain, tx_hash, sender, \
             recipient, value, usd) SELECT block_time, block_number, block_tag(block_hash), place, true, chain, \
             sha256(('n' || block_number || place)::bytea), substr(sha256(('w' || (block_number + place) % 2000)::bytea), 1, 20), \
             substr(sha256(('w' || (block_number * 5 + place) % 2000)::bytea), 1, 20), 5, (block_number * 13 + place * 7) % 20000 \
             FROM blocks CROSS JOIN generate_series(0, 3) AS place; \
             INSERT INTO alerts (event_at, observed_at, seen_at, n, id, alert, code, rule, severity, state, title, event_id) \
             SELECT now(), now() - make_interval(secs => n), now(), 1, 'i' || n, 'a' || n, 'C' || n, 'rule-' || n % 20, \
             (ARRAY['info', 'warning', 'critical'])[1 + n % 3], 'fired', 'title', 'e' FROM generate_series(1, 50000) AS n; \
             INSERT INTO deliveries (done_at, seen_at, observed_at, attempts, id, delivery, destination, channel, alert, rule, \
             severity, state) SELECT now(), now(), now(), 1, 'd' || n, 'd' || n, 'ops', 'telegram', 'a' || n, 'rule', 'info', \
             'sent' FROM generate_series(1, 50000) AS n; \
             INSERT INTO audit (event_at, observed_at, id, actor, action, target, via, origin) \
             SELECT now() - make_interval(secs => n), now(), 'r' || n, 'a' || n % 20, 'silence.add', 't' || n % 5000, 'api', \
             '192.0.2.7' FROM generate_series(1, 50000) AS n; \
             INSERT INTO provider_statuses (event_at, observed_at, provider, endpoint, state) SELECT now() - make_interval(secs => n), \
             now(), 'p' || n % 50, '', CASE n % 10 WHEN 0 THEN 'failing' ELSE 'ok' END FROM generate_series(1, 50000) AS n; \
             INSERT INTO market_ticks (event_at, observed_at, asset, quote, source, price) \
             SELECT now() - make_interval(mins => n), now(), 'asset-' || one, 'usd', 'somewhere', n \
             FROM generate_series(1, 1500) AS n CROSS JOIN generate_series(1, 40) AS one; \
             INSERT INTO approvals (block_time, block_number, block_tag, log_index, tx_index, erc, chain, tx_hash, token, owner, \
             spender, value) SELECT block_time, block_number, block_tag(block_hash), 1, 1, 20, chain, block_hash, \
             substr(sha256(('k' || block_number % 1000)::bytea), 1, 20), \
             substr(sha256(('w' || block_number % 2000)::bytea), 1, 20), substr(sha256('s'), 1, 20), block_number FROM blocks; \
             INSERT INTO swaps (block_time, block_number, block_tag, log_index, tx_index, chain, tx_hash, protocol, pool, sender, \
             amount0, amount1) SELECT block_time, block_number, block_tag(block_hash), place, 1, chain, block_hash, 'uniswap-v3', \
             CASE place WHEN 2 THEN substr(sha256('busy'), 1, 20) \
             ELSE substr(sha256(('k' || block_number % 1000)::bytea), 1, 20) END, \
             substr(sha256('s'), 1, 20), 5, -5 FROM blocks CROSS JOIN generate_series(1, 2) AS place; \
             INSERT INTO block_gas (block_time, block_number, block_tag, transactions, chain, gas_used, gas_limit, base_fee_per_gas) \
             SELECT block_time, block_number, block_tag(block_hash), 5, chain, 1, 2, block_number FROM blocks; \
             INSERT INTO articles (event_at, observed_at, link, source, title) SELECT now() - make_interval(secs => 40 * n), now(), \
             'https://news.example/' || n, 's' || n % 20, 'title' FROM generate_series(1, 50000) AS n; \
             SELECT brin_summarize_new_values(pg_class.oid) FROM pg_class JOIN pg_am ON pg_am.oid = relam \
             WHERE amname = 'brin' AND relkind = 'i'",
        )
        .await
        .unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
}

/// Scans from begin to end, and by indexes, of each big table.
async fn scans(client: &Client) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for table in BIG {
        // On TimescaleDB the rows are in chunks; of a few rows all may be read.
        let sql = "SELECT coalesce(sum(seq_scan) FILTER (WHERE reltuples > 5000), 0)::bigint, \
                   coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid \
                   WHERE relid = $1::text::regclass \
                   OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::text::regclass)";
        let row = client.query_one(sql, &[&table]).await.unwrap();
        found.push((row.get(0), row.get(1)));
    }
    found
}

/// Asks a question over a connection of its own, and says which big tables were read from begin to end.
pub(crate) async fn read_whole(
    url: &str,
    client: &Client,
    question: impl AsyncFnOnce(&Store),
) -> Vec<&'static str> {
    let before = scans(client).await;
    let limits = ReadLimits {
        pool_size: 1,
        statement_timeout: Duration::from_secs(30),
        wait: Duration::from_secs(30),
    };
    let store = Store::reader(&config(url), limits).unwrap();
    question(&store).await;
    // A connection tells its counts when it ends.
    drop(store);
    let after = eventually(async || {
        let after = scans(client).await;
        let is_told = after.iter().zip(&before).any(|(after, before)| after != before);
        is_told.then_some(after)
    })
    .await;
    let read = BIG.into_iter().zip(after.iter().zip(&before));
    read.filter(|(_, (after, before))| after.0 > before.0).map(|(table, _)| table).collect()
}

fn now_us() -> i64 {
    crypto_intel_service::now_us()
}

pub(crate) fn lately() -> TransferFilter {
    TransferFilter::between(now_us() - 7 * 86_400_000_000, now_us())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_of_transfers_reads_a_table_from_begin_to_end() {
    let (database, _store, client) = database().await;
    fill(&client).await;
    let name = async |sql: &'static str| {
        let name = client.query_one(sql, &[]).await.unwrap().get::<_, Vec<u8>>(0);
        // What this read counts now, not while a list is read.
        client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
        name
    };
    let wallet = name("SELECT sender FROM token_transfers LIMIT 1").await;
    let wallet = Address::try_from(wallet.as_slice()).unwrap();
    let token = name("SELECT token FROM token_transfers LIMIT 1").await;
    let token = Address::try_from(token.as_slice()).unwrap();
    let chains = |chain: &str| Some(vec![chain.to_owned()]);
    for (what, filter) in [
        ("newest", lately()),
        ("of a chain", TransferFilter { chains: chains("base"), ..lately() }),
        ("of a quiet chain", TransferFilter { chains: chains("quiet"), ..lately() }),
        ("of an address", TransferFilter { address: Some((wallet, Side::Either)), ..lately() }),
        (
            "of a stranger",
            TransferFilter { address: Some((Address::ZERO, Side::Either)), ..lately() },
        ),
        ("of a token", TransferFilter { token: Some(token), ..lately() }),
        ("of an unknown token", TransferFilter { token: Some(Address::ZERO), ..lately() }),
        ("watched", TransferFilter { watched: true, ..lately() }),
        ("large", TransferFilter { min_usd: Some("19990".into()), ..lately() }),
        ("not small", TransferFilter { min_usd: Some("100".into()), ..lately() }),
        (
            "NFTs of an address",
            TransferFilter {
                address: Some((wallet, Side::In)),
                kinds: vec![TransferKind::Erc721, TransferKind::Erc1155],
                ..lately()
            },
        ),
    ] {
        let page = PageRequest { limit: 50, beside: None };
        let read = read_whole(database.url(), &client, async |store| {
            store.transfers(&filter, &page).await.unwrap();
        })
        .await;
        assert!(read.is_empty(), "{what}: {read:?} from begin to end");
        let read = read_whole(database.url(), &client, async |store| {
            store.walk_transfers(&filter, &page, WalkBudget::default()).await.unwrap();
        })
        .await;
        assert!(read.is_empty(), "{what}, in pieces: {read:?} from begin to end");
    }
    let hash =
        name("SELECT tx_hash FROM token_transfers WHERE chain = 'base' ORDER BY block_time OFFSET 70000 LIMIT 1").await;
    let hash = B256::try_from(hash.as_slice()).unwrap();
    let read = read_whole(database.url(), &client, async |store| {
        assert_eq!(store.transfers_of("base", hash, None).await.unwrap().len(), 1);
    })
    .await;
    assert!(read.is_empty(), "by hash: {read:?} from begin to end");
    let read = read_whole(database.url(), &client, async |store| {
        let filter = PairFilter {
            chains: None,
            verified: true,
            since_us: lately().since_us,
            until_us: now_us(),
            rows: 500,
        };
        let addresses = [wallet, token, Address::ZERO];
        assert!(!store.pairs_of(&addresses, &filter).await.unwrap().lines.is_empty());
    })
    .await;
    assert!(read.is_empty(), "pairs: {read:?} from begin to end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_list_reads_a_table_from_begin_to_end() {
    let (database, _store, client) = database().await;
    fill(&client).await;
    let alerts = AlertFilter {
        since_us: now_us() - 86_400_000_000,
        until_us: now_us(),
        ..AlertFilter::default()
    };
    let critical = AlertFilter {
        severities: vec![Severity::Critical],
        rule: Some("rule-7".into()),
        ..alerts.clone()
    };
    let url = database.url();
    for (what, filter) in [("alerts", &alerts), ("critical ones", &critical)] {
        let page = PageRequest { limit: 50, beside: None };
        let read = read_whole(url, &client, async |store| {
            assert_eq!(store.alerts(filter, &page).await.unwrap().rows.len(), 50);
        })
        .await;
        assert!(read.is_empty(), "{what}: {read:?}");
    }
    let rules = read_whole(url, &client, async |store| {
        let rules = ["rule-7".to_owned(), "never".to_owned()];
        assert_eq!(store.rule_activity(&rules, None, 0).await.unwrap().len(), 2);
    })
    .await;
    assert!(rules.is_empty(), "activity of rules: {rules:?}");
    let told = read_whole(url, &client, async |store| {
        let keys: Vec<String> = (1..=50).map(|one| format!("a{one}")).collect();
        assert_eq!(store.deliveries_of(&keys).await.unwrap().len(), 50);
        assert_eq!(store.alert_messages("a7").await.unwrap().len(), 1);
        assert_eq!(store.alert_messages("c9").await.unwrap().len(), 1);
    })
    .await;
    assert!(told.is_empty(), "one alert: {told:?}");
    let all = AuditFilter { since_us: 0, until_us: now_us(), ..AuditFilter::default() };
    let of_one = AuditFilter { target: Some("t7".to_owned()), ..all.clone() };
    for (what, filter, rows) in [("changes", &all, 50), ("changes of a thing", &of_one, 10)] {
        let page = PageRequest { limit: 50, beside: None };
        let read = read_whole(url, &client, async |store| {
            assert_eq!(store.audit_trail(filter, &page).await.unwrap().rows.len(), rows);
        })
        .await;
        assert!(read.is_empty(), "{what}: {read:?}");
    }
    let (since_us, until_us) = (alerts.since_us, alerts.until_us);
    let failures = read_whole(url, &client, async |store| {
        for provider in [None, Some("p20".to_owned())] {
            let filter = FailureFilter { provider, states: Vec::new(), since_us, until_us };
            let page = PageRequest { limit: 50, beside: None };
            assert_eq!(store.provider_failures(&filter, &page).await.unwrap().rows.len(), 50);
            assert!(!store.provider_failure_counts(&filter).await.unwrap().is_empty());
        }
    })
    .await;
    assert!(failures.is_empty(), "failures: {failures:?}");
    let chains = read_whole(url, &client, async |store| {
        assert_eq!(store.chain_heads().await.unwrap().len(), 2);
        store.blocks("base", None, None, 50).await.unwrap();
        store.blocks("base", Some(90_000), None, 50).await.unwrap();
        store.blocks("base", None, Some(90_001), 50).await.unwrap();
    })
    .await;
    assert!(chains.is_empty(), "chains: {chains:?}");
    let market = read_whole(url, &client, async |store| {
        let filter = CandleFilter {
            asset: "asset-7".into(),
            quote: None,
            source: None,
            since_us: now_us() - 6 * 3_600_000_000,
            until_us: now_us(),
        };
        assert!(!store.candles(CandleStep::Hour, &filter, 100).await.unwrap().is_empty());
        store.newest_indices().await.unwrap();
        store.newest_providers().await.unwrap();
        store.newest_nodes().await.unwrap();
        let page = PageRequest { limit: 50, beside: None };
        store.wallets(&WalletFilter::default(), &page).await.unwrap();
    })
    .await;
    assert!(market.is_empty(), "market: {market:?}");
    let articles = read_whole(url, &client, async |store| {
        let filter = ArticleFilter { since_us: 0, until_us: now_us(), ..ArticleFilter::default() };
        let page = PageRequest { limit: 50, beside: None };
        assert_eq!(store.articles(&filter, &page).await.unwrap().rows.len(), 50);
    })
    .await;
    assert!(articles.is_empty(), "articles: {articles:?}");
    let sql = "EXPLAIN SELECT link FROM articles WHERE event_at >= now() - interval '30 days' \
               ORDER BY event_at DESC, md5(link || ' ' || source) DESC LIMIT 50";
    let plan = client.query(sql, &[]).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains("articles_newest")), "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_about_tokens_reads_a_table_from_begin_to_end() {
    let (database, _store, client) = database().await;
    fill(&client).await;
    let sql = "SELECT token, owner FROM token_transfers JOIN approvals USING (token, chain) \
               WHERE chain = 'base' LIMIT 1";
    let row = client.query_one(sql, &[]).await.unwrap();
    let [token, owner] = [0, 1].map(|at| Address::try_from(row.get::<_, &[u8]>(at)).unwrap());
    client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let url = database.url();
    let day_us = 86_400_000_000;
    let between = (now_us() - 2 * day_us, now_us());
    let read = read_whole(url, &client, async |store| {
        assert_eq!(store.token_seen(token, between.0).await.unwrap().len(), 1);
        assert_eq!(store.token_seen(Address::ZERO, between.0).await.unwrap(), []);
        for step in [VolumeStep::Hour, VolumeStep::Day] {
            let volume = store.token_volume(step, ("base", token), between, 100).await.unwrap();
            assert!(!volume.is_empty());
        }
    })
    .await;
    assert!(read.is_empty(), "a token: {read:?}");
    let read = read_whole(url, &client, async |store| {
        let open = store.open_approvals(owner, &ApprovalFilter::default(), 50).await.unwrap();
        assert!(!open.lines.is_empty());
    })
    .await;
    assert!(read.is_empty(), "approvals: {read:?}");
    let read = read_whole(url, &client, async |store| {
        let (since_us, until_us) = between;
        let filter = PoolFilter { chain: "base".into(), pool: token.to_vec(), since_us, until_us };
        let page = PageRequest { limit: 5, beside: None };
        assert_eq!(store.swaps_of(&filter, &page).await.unwrap().rows.len(), 5);
        assert!(!store.pool_volume(VolumeStep::Hour, &filter, 100).await.unwrap().is_empty());
        assert!(!store.pool_volume(VolumeStep::Day, &filter, 100).await.unwrap().is_empty());
    })
    .await;
    assert!(read.is_empty(), "a pool: {read:?}");
    let read = read_whole(url, &client, async |store| {
        for step in [GasStep::Minute, GasStep::Hour] {
            let between = (now_us() - 7_200_000_000, now_us());
            assert!(!store.gas(step, "base", between, 500).await.unwrap().is_empty());
        }
    })
    .await;
    assert!(read.is_empty(), "gas: {read:?}");
    let read = read_whole(url, &client, async |store| {
        let hour_us = 3_600_000_000;
        let last_us = now_us() / hour_us * hour_us - hour_us;
        let busiest = store.busiest_tokens(last_us, 200).await.unwrap();
        assert_eq!(busiest.len(), 200);
        let hours = (last_us - 5 * hour_us, last_us);
        assert!(store.token_hours(&busiest, hours).await.unwrap().len() >= 200);
        assert!(!store.asset_hours(hours).await.unwrap().is_empty());
    })
    .await;
    assert!(read.is_empty(), "hours: {read:?}");
}
