//! Questions to the API over HTTP, on many rows: how long, how many, and what the way around the question costs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_service::{Secret, now_us};
use crypto_intel_store::{PageRequest, ReadLimits, Side, Store, StoreConfig, TransferFilter};
use tokio::task::JoinSet;

use super::queries;
use crate::{
    child::Child,
    options::Options,
    report::{Line, Report, Verdict},
    setup,
    stats::percentile,
    usage::Usage,
    worker::{
        HttpClientsOutcome, HttpClientsTask, HttpConnection, LiveServerReady, LiveServerTask, Task,
    },
};

/// Addresses whose pages are asked for: from those with the most rows to common ones.
const WALLETS: u64 = 1_000;
const ROWS_OF_A_PAGE: u32 = 50;
/// Pages a second by the clock.
const PAGES_PER_SECOND: u64 = 300;
/// Connections of the role to the database, and of the bare loop.
const POOL: usize = 8;
const CONNECTIONS: usize = 8;
const WARM_UP_SECONDS: u64 = 1;
/// The goals.
const PAGE_MS: f64 = 10.0;
const PAGE_RATIO: f64 = 0.7;
const UNCHANGED_PER_SECOND: f64 = 10_000.0;
const UNCHANGED_MS: f64 = 5.0;
const SUMMARY_PER_SECOND: f64 = 5_000.0;

/// One kind of question, as fast as it is answered or by the clock.
#[derive(Debug)]
struct Asked {
    key: &'static str,
    what: &'static str,
    task: HttpClientsTask,
}

/// What came of it.
#[derive(Debug)]
struct Measured {
    outcome: HttpClientsOutcome,
    /// CPU time of the role for a request, microseconds.
    cpu_us: f64,
}

impl Measured {
    fn p99_ms(&self) -> f64 {
        percentile(self.outcome.took_ms.iter().copied(), 0.99)
    }

    /// Answers for a second of a core of the role.
    fn per_core(&self) -> f64 {
        1e6 / self.cpu_us.max(1e-9)
    }
}

/// Loads the rows, starts the role on them, and asks.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (broker, database) = tokio::try_join!(setup::broker(), setup::query_database())?;
    let loaded = queries::load(&database.connection, options.rows, options.days, now_us()).await?;
    report.say(&loaded.to_string());
    let task = LiveServerTask::Role {
        nats_url: broker.server.url(),
        database_url: Some(database.url().to_owned()),
    };
    let mut server = Child::start(&Task::LiveServer(task))?;
    let ready: LiveServerReady = server.answer().await?;
    let mut lines = Vec::new();
    let mut measured = Vec::new();
    warm_up(&ready).await?;
    for asked in questions(&ready, options.seconds.min(10)).await? {
        let one = ask(&server, &asked).await?;
        let took = &one.outcome.took_ms;
        let figures = [
            ("per_second", one.outcome.rate()),
            ("p50_ms", percentile(took.iter().copied(), 0.5)),
            ("p99_ms", one.p99_ms()),
            ("cpu_us", one.cpu_us),
        ];
        let mut line = Line::new(asked.what);
        for (name, figure) in figures {
            report.put(format!("rest_{}_{name}", asked.key), figure);
            line = line.number(figure);
        }
        lines.push(line);
        measured.push(one);
    }
    server.end().await?;
    let bare = bare_pages(database.url(), options.seconds.min(10)).await?;
    report.put("rest_bare_per_second", bare);
    lines.push(Line::new("the same pages by the library, without HTTP").number(bare));
    let head = format!("{} rows", options.rows);
    let heads = [head.as_str(), "answers/s", "p50 ms", "p99 ms", "role's CPU µs a request"];
    report.table(&heads, &lines);
    judge(&measured, bare, report);
    Ok(())
}

/// Every connection to the database plans a question five times over before it keeps a plan.
async fn warm_up(ready: &LiveServerReady) -> anyhow::Result<()> {
    let task = HttpClientsTask {
        address: ready.address,
        paths: paths(),
        header: None,
        status: 200,
        connections: CONNECTIONS,
        seconds: WARM_UP_SECONDS,
        per_second: None,
    };
    let _: HttpClientsOutcome = Child::run(&Task::HttpClients(task)).await.context("warm up")?;
    Ok(())
}

fn paths() -> Vec<String> {
    let wallets = (0..WALLETS).map(queries::rows::wallet);
    wallets
        .map(|wallet| format!("/api/v1/wallets/{wallet:#x}/transfers?limit={ROWS_OF_A_PAGE}"))
        .collect()
}

async fn questions(ready: &LiveServerReady, seconds: u64) -> anyhow::Result<Vec<Asked>> {
    let address = ready.address;
    let mut paths = paths();
    let first = paths.first().context("no wallet")?.clone();
    let found = HttpConnection::open(address).await?.get(&first, None).await?;
    let tag = found.header("etag").context("a page has no ETag")?;
    let unchanged = Some(format!("If-None-Match: {tag}"));
    // The same order for all, another than that of the rows.
    let half = paths.len() / 2;
    paths.rotate_left(half);
    let task = |paths: &[String]| HttpClientsTask {
        address,
        paths: paths.to_vec(),
        header: None,
        status: 200,
        connections: CONNECTIONS,
        seconds,
        per_second: None,
    };
    let clock = HttpClientsTask { per_second: Some(PAGES_PER_SECOND), ..task(&paths) };
    let cached = HttpClientsTask { header: unchanged, status: 304, ..task(&[first]) };
    let summary = task(&["/api/v1/market/summary".to_owned()]);
    Ok(vec![
        Asked {
            key: "clock",
            what: "pages of 50 transfers of a wallet, 300 a second",
            task: clock,
        },
        Asked { key: "page", what: "the same, as many as are answered", task: task(&paths) },
        Asked { key: "unchanged", what: "a page that did not change (304)", task: cached },
        Asked { key: "summary", what: "a summary that is kept", task: summary },
        Asked {
            key: "me",
            what: "a request without a question",
            task: task(&["/api/v1/me".to_owned()]),
        },
    ])
}

async fn ask(server: &Child, asked: &Asked) -> anyhow::Result<Measured> {
    let before = Usage::of(server.pid()).cpu_seconds;
    let outcome: HttpClientsOutcome = Child::run(&Task::HttpClients(asked.task.clone()))
        .await
        .with_context(|| asked.what.to_owned())?;
    let used = Usage::of(server.pid()).cpu_seconds - before;
    let cpu_us = used * 1e6 / outcome.took_ms.len().max(1) as f64;
    Ok(Measured { outcome, cpu_us })
}

/// Pages a second of the same wallets, asked of the database by as many tasks as the role has connections.
async fn bare_pages(url: &str, seconds: u64) -> anyhow::Result<f64> {
    let config = StoreConfig { url: Secret::new(url), ..StoreConfig::default() };
    let limits = ReadLimits {
        pool_size: POOL,
        statement_timeout: Duration::from_secs(5),
        wait: Duration::from_secs(5),
    };
    let store = Store::reader(&config, limits)?;
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let mut loops = JoinSet::new();
    for _ in 0..POOL {
        let (store, next) = (store.clone(), Arc::clone(&next));
        loops.spawn(async move {
            let mut asked = 0_u64;
            while began.elapsed() < Duration::from_secs(seconds) {
                let rank = next.fetch_add(1, Ordering::Relaxed) as u64 % WALLETS;
                let filter = of_wallet(rank);
                let page = PageRequest { limit: ROWS_OF_A_PAGE, beside: None };
                let found = store.transfers(&filter, &page).await?;
                // The other question of a page.
                let mut events: Vec<_> =
                    found.rows.into_iter().filter_map(|row| row.event).collect();
                store.put_labels(&mut events).await?;
                asked += 1;
            }
            anyhow::Ok(asked)
        });
    }
    let mut asked = 0;
    while let Some(one) = loops.join_next().await {
        asked += one.context("run a loop")??;
    }
    Ok(asked as f64 / began.elapsed().as_secs_f64())
}

fn of_wallet(rank: u64) -> TransferFilter {
    let now = now_us();
    TransferFilter {
        address: Some((queries::rows::wallet(rank), Side::Either)),
        ..TransferFilter::between(now - 7 * 86_400_000_000, now)
    }
}

fn judge(measured: &[Measured], bare: f64, report: &mut Report) {
    let [clock, page, unchanged, summary, _] = measured else { return };
    let ratio = page.outcome.rate() / bare.max(1e-9);
    report.put("rest_page_ratio", ratio);
    report.judge(
        "rest_page",
        Verdict::of(clock.p99_ms() < PAGE_MS && ratio >= PAGE_RATIO),
        &format!(
            "a wallet's page in {PAGE_MS} ms at p99 and {PAGES_PER_SECOND} a second, and {PAGE_RATIO} of the rate without HTTP; here {:.1} ms and {ratio:.2}",
            clock.p99_ms()
        ),
    );
    report.judge(
        "rest_unchanged",
        Verdict::of(
            unchanged.per_core() >= UNCHANGED_PER_SECOND && unchanged.p99_ms() < UNCHANGED_MS,
        ),
        &format!(
            "{UNCHANGED_PER_SECOND} unchanged pages a second and core, {UNCHANGED_MS} ms at p99; here {:.0} and {:.1} ms",
            unchanged.per_core(),
            unchanged.p99_ms()
        ),
    );
    report.judge(
        "rest_summary",
        Verdict::of(summary.outcome.rate() >= SUMMARY_PER_SECOND),
        &format!(
            "{SUMMARY_PER_SECOND} kept summaries a second; here {:.0}",
            summary.outcome.rate()
        ),
    );
}
