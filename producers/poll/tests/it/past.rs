//! The past of endpoints over real HTTP and a real nats-server: complete and once, whatever happens on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{Response, StatusCode},
};
use crypto_intel_nats::Bucket;
use crypto_intel_poll::{
    Config, HistorySettings, ProviderSettings, Span, dry_run_history, provider_reports,
    queue_history,
};
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, RunningRole, assert_same_set, eventually};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::harness::{event_of, start};

const HOUR_S: i64 = 3_600;
const SERIES: [&str; 2] = ["bitcoin", "ethereum"];

/// A provider of candles of an hour, the newest first, at most 50 of an answer whatever is asked for. There are none
/// in the second week before the first request, nor before the fifth.
struct Candles {
    url: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    asked: Vec<(String, Span)>,
    refuse: usize,
    now_s: i64,
}

impl Candles {
    async fn start() -> Self {
        let shared = Shared { now_s: now_us() / 1_000_000, ..Shared::default() };
        let shared = Arc::new(Mutex::new(shared));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, server }
    }

    fn asked(&self) -> Vec<(String, Span)> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// The next requests for candles are told to wait a second.
    fn refuse(&self, count: usize) {
        self.shared.lock().unwrap().refuse = count;
    }

    /// Candles that end later were open when this began.
    fn closed_s(&self) -> i64 {
        self.shared.lock().unwrap().now_s - 120
    }

    /// Ends of all closed candles after a moment: what has to be there.
    fn ends(&self, after_s: i64) -> BTreeSet<i64> {
        let (now_s, closed_s) = (self.closed_s() + 120, self.closed_s());
        let ends = opens(now_s).map(|open_s| open_s + HOUR_S);
        ends.filter(|end_s| (after_s..=closed_s).contains(end_s)).collect()
    }
}

impl Drop for Candles {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whole hours of five weeks but the second, the open one last.
fn opens(now_s: i64) -> impl DoubleEndedIterator<Item = i64> {
    let week_s = 7 * 24 * HOUR_S;
    let newest = now_s / HOUR_S;
    (newest - 5 * 7 * 24..=newest)
        .map(|hour| hour * HOUR_S)
        .filter(move |open_s| !(now_s - 2 * week_s..now_s - week_s).contains(open_s))
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response<Body> {
    let mut shared = shared.lock().unwrap();
    let Some(from_s) = query.get("from") else {
        // The live endpoint.
        return Response::new(Body::from(r#"{"price": "1.5"}"#));
    };
    let [from_s, to_s] = [from_s, &query["to"]].map(|text| text.parse().unwrap());
    if shared.refuse > 0 {
        shared.refuse -= 1;
        let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
        return response.header("retry-after", "1").body(Body::empty()).unwrap();
    }
    shared.asked.push((query["of"].clone(), Span { from_s, to_s }));
    let within = opens(shared.now_s).rev().filter(|open_s| (from_s..to_s).contains(open_s));
    let candles: Vec<String> =
        within.take(50).map(|open_s| format!(r#"[{open_s}, "{}.25"]"#, open_s / HOUR_S)).collect();
    Response::new(Body::from(format!("[{}]", candles.join(","))))
}

/// The configuration of this one provider, with 35 days of its past.
fn config(candles: &Candles, per_minute: u32) -> (TempDir, Config) {
    let file = format!(
        r#"
name = "own"
title = "Own"
category = "exchange"
facts = "this test"
base_url = "{}"
[quota]
per_minute = {per_minute}
burst = 100
[parameters]
assets = ["bitcoin", "ethereum"]
[[endpoints]]
name = "spot"
kind = "price"
each = "assets"
path = "/spot"
every_seconds = 3600
[endpoints.jq]
events = '{{asset: $parameters.each.name, quote: "usd", price: .price}}'
example = '{{"price": "1.5"}}'
[endpoints.history]
path = "/candles"
step_seconds = 3600
max_points = 100
[endpoints.history.query_jq]
of = '$parameters.each.name'
from = '$parameters.range.from_s'
to = '$parameters.range.to_s'
[endpoints.history.jq]
events = '.[] | {{asset: $parameters.each.name, quote: "usd", price: .[1], at_s: (.[0] + 3600)}}'
example = '[[1700000000, "1.5"]]'
"#,
        candles.url
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let settings = ProviderSettings {
        base_url: Some(candles.url.as_str().into()),
        ..ProviderSettings::default()
    };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        only: vec!["own".to_owned()],
        providers: [("own".to_owned(), settings)].into(),
        history: HistorySettings { days: 34, only: Vec::new() },
        ..Config::default()
    };
    (folder, config)
}

/// Ends of the candles of each series on the history lane, as often as they are there.
async fn published(broker: &Broker) -> BTreeMap<String, Vec<i64>> {
    let mut published: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for message in broker.messages("HISTORY").await {
        let Event::Price(price) = event_of(&message) else { panic!("{message:?}") };
        let end_s = price.event_at_us / 1_000_000;
        assert_eq!(message.subject, format!("history.market.price.{}", price.asset));
        assert_eq!(message.schema.as_deref(), Some("market.price/1"));
        assert_eq!(price.id, format!("own:price:{}/usd:{}", price.asset, price.event_at_us));
        assert_eq!(price.price.as_str(), format!("{}.25", end_s / HOUR_S - 1));
        published.entry(price.asset).or_default().push(end_s);
    }
    published
}

/// Until nothing is left to be asked for, but for hours that end meanwhile.
async fn until_complete(role: &RunningRole) {
    let metric = |name: &str| role.metric(&format!("crypto_intel_poll_history_{name}"), &["own"]);
    eventually(async || metric("requests_total") >= 1.0 && metric("remaining_points") <= 2.0).await;
}

async fn percent(config: &Config, broker: &Broker) -> i64 {
    let reports = provider_reports(config, &broker.nats).await.unwrap();
    let (_, report) = reports.into_iter().find(|(one, _)| one.name == "own").unwrap();
    let sum = |of: fn(&crypto_intel_poll::HistoryReport) -> i64| -> i64 {
        report.histories.iter().map(of).sum()
    };
    sum(|one| one.covered_seconds) * 100 / sum(|one| one.wanted_seconds)
}

#[tokio::test]
async fn every_candle_is_there_although_instances_die_and_the_provider_refuses() {
    let broker = Broker::start_with_users().await;
    let candles = Candles::start().await;
    let (_folder, config) = config(&candles, 6_000);
    for (round, count) in [3, 9, 15].into_iter().enumerate() {
        candles.refuse(2);
        let role = start(&broker, config.clone(), &format!("instance{round}")).await;
        eventually(async || candles.asked().len() >= count).await;
        role.kill().await;
    }
    let role = start(&broker, config.clone(), "last").await;
    until_complete(&role).await;
    assert!(percent(&config, &broker).await >= 99);

    let begin_s = now_us() / 1_000_000 - 34 * 24 * HOUR_S;
    let published = published(&broker).await;
    assert_eq!(published.keys().map(String::as_str).collect::<Vec<_>>(), SERIES);
    for (asset, mut ends) in published {
        // A crash between the stream and the progress repeats an answer, which rows do not.
        ends.sort_unstable();
        ends.dedup();
        // An hour may end while this runs.
        ends.retain(|end_s| *end_s > begin_s + HOUR_S && *end_s <= candles.closed_s());
        assert_same_set(candles.ends(begin_s + HOUR_S + 1), ends.iter().copied());
        assert!(ends.len() > 500, "{asset}: {}", ends.len());
    }
    // Each range once, but for the one that each of three crashes may have cut off.
    let asked = candles.asked();
    let distinct: BTreeSet<_> = asked.iter().collect();
    assert!(asked.len() <= distinct.len() + 3, "{} of {} requests", distinct.len(), asked.len());
    // The week without candles was looked at, and is not asked for again.
    assert!(role.metric("crypto_intel_poll_history_remaining_points", &["own"]) <= 2.0);
    role.stop().await;
    let older = Span { from_s: begin_s - 30 * HOUR_S, to_s: begin_s + 2 * HOUR_S };
    queue_history(&config, &broker.nats, "own", None, older).await.unwrap();
    let again = start(&broker, config.clone(), "again").await;
    eventually(async || candles.asked().len() > asked.len()).await;
    until_complete(&again).await;
    let more = &candles.asked()[asked.len()..];
    assert!(more.iter().all(|(_, span)| span.to_s <= begin_s + HOUR_S), "{more:?}");
    again.stop().await;
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    let entry = cursors.get("poll.history.own.spot-bitcoin").await.unwrap().unwrap();
    let progress: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(progress["covered"].as_array().unwrap().len(), 1, "one range: {progress}");
    assert!(!progress["empty"].as_array().unwrap().is_empty(), "{progress}");
}

#[tokio::test]
async fn the_past_leaves_a_quarter_of_the_minute_and_what_is_polled() {
    let broker = Broker::start_with_users().await;
    let candles = Candles::start().await;
    let (_folder, config) = config(&candles, 12);
    let role = start(&broker, config, "a").await;
    // Nine of twelve, less what two polls an hour take.
    eventually(async || candles.asked().len() == 8).await;
    role.until_healthy("poll.own.spot-bitcoin").await;
    role.until_healthy("poll.own.spot-ethereum").await;
    assert_eq!(candles.asked().len(), 8, "the rest is for live polling");
    assert_eq!(broker.count("MARKET").await, 2);
    role.stop().await;
}

#[tokio::test]
async fn a_range_is_fetched_by_hand_where_the_configuration_wants_none() {
    let broker = Broker::start_with_users().await;
    let candles = Candles::start().await;
    let (_folder, config) = config(&candles, 6_000);
    let config = Config { history: HistorySettings::default(), ..config };
    let now_s = now_us() / 1_000_000;
    let span = Span { from_s: now_s - 20 * HOUR_S, to_s: now_s - 10 * HOUR_S };
    let unknown = queue_history(&config, &broker.nats, "own", Some("candles"), span).await;
    let problem = unknown.unwrap_err().to_string();
    assert!(problem.contains("no past of \"candles\"") && problem.contains("spot"), "{problem}");
    let names = queue_history(&config, &broker.nats, "own", Some("spot"), span).await.unwrap();
    assert_eq!(names, ["spot-bitcoin", "spot-ethereum"]);

    let role = start(&broker, config.clone(), "a").await;
    eventually(async || broker.count("HISTORY").await == 2).await;
    let wanted = candles.ends(span.from_s).into_iter().filter(|end_s| *end_s <= span.to_s);
    let wanted: Vec<i64> = wanted.collect();
    assert_eq!(wanted.len(), 10);
    for (_, mut ends) in published(&broker).await {
        ends.sort_unstable();
        assert!(ends.iter().all(|end_s| wanted.contains(end_s)) && ends.len() >= 9, "{ends:?}");
    }
    role.stop().await;
}

#[tokio::test]
async fn a_try_shows_a_range_and_publishes_nothing() {
    let candles = Candles::start().await;
    let (_folder, config) = config(&candles, 6_000);
    let now_s = now_us() / 1_000_000;
    let span = Span { from_s: now_s - 30 * HOUR_S, to_s: now_s };
    let runs = dry_run_history(&config, "own", Some("spot"), span).await.unwrap();
    assert_eq!((runs.len(), runs[0].endpoint.as_str()), (1, "spot-bitcoin"));
    let events = &runs[0].outcome.as_ref().unwrap().events;
    assert_eq!(events.len(), 29, "the open candle, and the one that begins before, are left out");
    let short = Span { from_s: now_s - 60, to_s: now_s - 30 };
    let error = dry_run_history(&config, "own", None, short).await.unwrap_err();
    assert!(error.to_string().contains("no whole step of 3600 s"), "{error}");
}

#[tokio::test]
async fn a_past_that_is_not_there_is_named_in_the_configuration() {
    let candles = Candles::start().await;
    let (_folder, config) = config(&candles, 6_000);
    for (name, part) in
        [("own/candles", "it gives that of: spot"), ("theirs", "no provider \"theirs\"")]
    {
        let history = HistorySettings { days: 1, only: vec![name.to_owned()] };
        let config = Config { history, ..config.clone() };
        let error = crypto_intel_poll::check_settings(&config).unwrap_err().to_string();
        assert!(error.contains("poll.history.only") && error.contains(part), "{error}");
    }
}
