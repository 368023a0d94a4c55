//! Every form in which a provider's file may ask, and in which an answer may come.

use crypto_intel_poll::{Config, DryRunAnswer, FetchError, ProviderSettings, dry_run};
use crypto_intel_schemas::QuotaWindow;
use crypto_intel_service::{Retryable, Secret};
use serde_json::json;

use crate::stand_in::{Asked, Reply, StandIn};

const EVENTS: &str = r#"events = '.prices[] | {asset: .id, quote: "usd", price: .value}'"#;
const EXAMPLE: &str = r#"example = '{"prices": [{"id": "bitcoin", "value": 1}]}'"#;
const ANSWER: &str = r#"{"prices": [{"id": "bitcoin", "value": 64000.5}]}"#;

/// A file with these lines of the provider, its endpoint and its filters.
fn file(provider: &str, endpoint: &str, filters: &str) -> String {
    format!(
        "name = \"own\"\ntitle = \"Own\"\ncategory = \"market\"\nfacts = \"a test\"\n\
         base_url = \"https://api.example.org\"\nquota = {{ per_minute = 6000, burst = 100 }}\n{provider}\n\
         [[endpoints]]\nname = \"prices\"\nkind = \"price\"\nevery_seconds = 60\ntimeout_ms = 5000\n{endpoint}\n\
         [endpoints.jq]\n{filters}\n"
    )
}

type Outcome = Result<DryRunAnswer, FetchError>;

/// What one run of a file gives at a stand-in, by endpoint, and what was asked.
async fn run(
    file: String,
    settings: ProviderSettings,
    replies: impl IntoIterator<Item = Reply>,
) -> (Vec<(String, Outcome)>, Vec<Asked>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let stand_in = StandIn::start(replies).await;
    let settings = ProviderSettings { base_url: Some(stand_in.url().into()), ..settings };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        only: vec!["own".to_owned()],
        providers: [("own".to_owned(), settings)].into(),
        ..Config::default()
    };
    let runs = dry_run(&config, "own", None).await.unwrap();
    let outcomes = runs.into_iter().map(|run| (run.endpoint, run.outcome)).collect();
    (outcomes, stand_in.requests())
}

/// The one outcome of a plain endpoint.
async fn outcome(endpoint: &str, filters: &str, replies: &[Reply]) -> (Outcome, Vec<Asked>) {
    let file = file("", &format!("path = \"/v1\"\n{endpoint}"), filters);
    let (mut outcomes, asked) = run(file, ProviderSettings::default(), replies.to_vec()).await;
    (outcomes.remove(0).1, asked)
}

fn filters() -> String {
    format!("{EVENTS}\n{EXAMPLE}")
}

async fn key_sent(key: &str, path: &str) -> Asked {
    let file = file(&format!("[key]\n{key}"), &format!("path = \"{path}\""), &filters());
    let settings =
        ProviderSettings { key: Secret::new("user:k/y?"), ..ProviderSettings::default() };
    let (mut outcomes, mut asked) = run(file, settings, [Reply::json(ANSWER)]).await;
    assert_eq!(outcomes.remove(0).1.unwrap().events.len(), 1);
    asked.remove(0)
}

#[tokio::test]
async fn a_key_goes_where_the_file_says() {
    let asked = key_sent("header = \"authorization\"\nprefix = \"Bearer \"", "/v1").await;
    assert_eq!(asked.headers["authorization"], "Bearer user:k/y?");
    let asked = key_sent("query = \"apikey\"", "/v1").await;
    assert_eq!(asked.query("apikey"), Some("user:k/y?"));
    let asked = key_sent("path = true", "/v1/{key}/prices").await;
    assert_eq!(asked.path, "/v1/user%3Ak%2Fy%3F/prices");
    let asked = key_sent("basic = true", "/v1").await;
    assert_eq!(asked.headers["authorization"], "Basic dXNlcjprL3k/");
    assert_eq!(asked.headers["accept"], "application/json");
}

#[tokio::test]
async fn a_path_has_no_place_for_a_key_that_is_not_there() {
    let file = file("key = { path = true }", "path = \"/v1/{key}/prices\"", &filters());
    let (_, asked) = run(file, ProviderSettings::default(), [Reply::json(ANSWER)]).await;
    assert_eq!(asked[0].path, "/v1/prices");
}

#[tokio::test]
async fn a_body_is_posted_as_written_or_as_a_filter_makes_it() {
    let endpoint = "method = \"POST\"\nbody = ' {\"id\": 1} '\nheaders = { x-own = \"1\" }";
    let (answer, asked) = outcome(endpoint, &filters(), &[Reply::json(ANSWER)]).await;
    assert_eq!(answer.unwrap().events.len(), 1);
    assert_eq!((asked[0].method.as_str(), asked[0].body.as_str()), ("POST", "{\"id\": 1}"));
    assert_eq!(asked[0].headers["content-type"], "application/json");
    assert_eq!(asked[0].headers["x-own"], "1");

    let provider = "[parameters]\nassets = [\"bitcoin\"]";
    let endpoint = r#"method = "POST"
body_jq = '{query: "q", variables: {ids: .assets, price: 1.10}}'
path_jq = '"/v" + (1 | tostring)'
query_jq = { since = 'now - 60 | floor', a = '.assets[0]' }"#;
    let file = file(provider, endpoint, &filters());
    let (_, asked) = run(file, ProviderSettings::default(), [Reply::json(ANSWER)]).await;
    assert_eq!(asked[0].body, r#"{"query":"q","variables":{"ids":["bitcoin"],"price":1.10}}"#);
    assert_eq!((asked[0].path.as_str(), asked[0].query("a")), ("/v1", Some("bitcoin")));
    assert!(asked[0].query("since").unwrap().parse::<i64>().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn one_endpoint_is_polled_for_each_entry() {
    let provider = "[parameters.chains]\nEthereum = 1\n\"arbitrum.one\" = 42161";
    let endpoint = r#"each = "chains"
path_jq = '"/\(.each.value)/\(.each.name)"'"#;
    let filters = format!(
        r#"{EXAMPLE}
expects = '"bitcoin/" + (.each.name | ascii_downcase)'
events = '.prices[] | {{asset: .id, quote: ($parameters.each.name | ascii_downcase), price: .value}}'"#
    );
    let file = || file(provider, endpoint, &filters);
    let reply = || Reply::json(ANSWER);
    let (outcomes, asked) = run(file(), ProviderSettings::default(), [reply()]).await;
    let names: Vec<&str> = outcomes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["prices-ethereum", "prices-arbitrum-one"]);
    let paths: Vec<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/1/Ethereum", "/42161/arbitrum.one"]);
    let first = outcomes[0].1.as_ref().unwrap();
    assert_eq!((first.events[0].key().as_str(), first.missing.len()), ("bitcoin/ethereum", 0));

    // The configuration replaces the entries like any parameter; a list has names alone.
    let parameters = [("chains".to_owned(), json!(["base"]))].into();
    let settings = ProviderSettings { parameters, ..ProviderSettings::default() };
    let (outcomes, asked) = run(file(), settings, [reply()]).await;
    assert_eq!((outcomes[0].0.as_str(), asked[0].path.as_str()), ("prices-base", "/base/base"));
}

#[tokio::test]
async fn feeds_and_texts_are_read_as_well_as_json() {
    let rss = r#"<rss version="2.0"><channel><title>t</title><item><title>bitcoin</title><guid>7</guid>
        <pubDate>Tue, 14 Nov 2023 22:13:19 GMT</pubDate></item></channel></rss>"#;
    let feed = format!(
        r#"events = '.entries[] | {{asset: .title, quote: "usd", price: .id, at: .published}}'
example = '''{rss}'''"#
    );
    let reply = Reply::json(rss).header("content-type", "text/xml");
    let (answer, asked) = outcome("format = \"feed\"", &feed, &[reply]).await;
    assert_eq!(answer.unwrap().events[0].event_at_us(), 1_699_999_999_000_000);
    assert!(asked[0].headers["accept"].to_str().unwrap().contains("application/rss+xml"));
    let page = Reply::json("<html><title>Just a moment</title>");
    let error = outcome("format = \"feed\"", &feed, &[page]).await.0.unwrap_err();
    assert!(error.outcome() == "not_json" && error.to_string().contains("is no feed"), "{error}");

    let text = r#"events = '{asset: "bitcoin", quote: "usd", price: rtrimstr("\n")}'
example = '850000'"#;
    let (answer, _) = outcome("format = \"text\"", text, &[Reply::json("912345\n")]).await;
    assert_eq!(answer.unwrap().events[0].to_json()["price"], "912345");
}

#[tokio::test]
async fn compressed_answers_are_read_and_bombs_are_not() {
    let (answer, asked) = outcome("", &filters(), &[Reply::json(ANSWER).gzip()]).await;
    assert_eq!(answer.unwrap().events.len(), 1);
    assert!(asked[0].headers["accept-encoding"].to_str().unwrap().contains("gzip"));
    let bomb = Reply::json(" ".repeat(100 << 20)).gzip();
    assert!(bomb.body.len() < 200_000, "{} bytes on the wire", bomb.body.len());
    let (answer, _) = outcome("max_body_bytes = 200000", &filters(), &[bomb]).await;
    assert!(matches!(answer.unwrap_err(), FetchError::TooLarge { limit: 200_000 }));
    let broken = Reply::json(ANSWER).header("content-encoding", "gzip");
    let (answer, _) = outcome("", &filters(), &[broken]).await;
    assert!(matches!(answer.unwrap_err(), FetchError::Transport { .. }));
}

#[tokio::test]
async fn pages_are_one_answer() {
    let page = |id: &str, next: &str| {
        Reply::json(format!(r#"{{"prices": [{{"id": "{id}", "value": 1}}], "next": {next}}}"#))
    };
    let endpoint = r#"query = { page = "1", size = "9" }
pages = { next_jq = 'if .next then {page: .next} else null end', limit = 3 }"#;
    let all = format!(
        r#"{}
expects = '"bitcoin/usd", "dai/usd", "mars/usd"'"#,
        filters()
    );
    let read = async |replies: &[Reply]| outcome(endpoint, &all, replies).await;
    let (answer, asked) = read(&[page("bitcoin", "2"), page("dai", "null")]).await;
    let answer = answer.unwrap();
    let keys: Vec<String> = answer.events.iter().map(|event| event.key()).collect();
    assert_eq!(keys, ["bitcoin/usd", "dai/usd"]);
    assert_eq!(answer.missing, ["mars/usd"]);
    let asked = asked.iter().map(|asked| (asked.query("page"), asked.query("size")));
    let pages: Vec<_> = asked.collect();
    assert_eq!(pages, [(Some("1"), Some("9")), (Some("2"), Some("9"))]);

    let (_, asked) = read(&[page("a", "2"), page("b", "3"), page("c", "4")]).await;
    assert_eq!(asked.len(), 3, "the limit");
    let (answer, asked) = read(&[page("a", "2")]).await;
    assert_eq!((answer.unwrap().events.len(), asked.len()), (1, 2), "a circle ends");
    let (answer, _) = read(&[page("a", "2"), Reply::json(r#"{"prices": []}"#)]).await;
    assert_eq!(answer.unwrap().events.len(), 1, "an empty last page is the end");
    let (answer, _) = read(&[page("a", "2"), Reply::status(503, "")]).await;
    assert!(matches!(answer.unwrap_err(), FetchError::Server { .. }));
    let (answer, _) = read(&[page("a", "[1]")]).await;
    assert!(answer.unwrap_err().to_string().contains("pages.next_jq"));
}

#[tokio::test]
async fn what_an_answer_says_of_a_failure_decides_what_follows() {
    let fault = format!("{}\nfault = '.fault'", filters());
    let failure = async |fault_value: &str| {
        let body = format!(r#"{{"prices": [], "fault": {fault_value}}}"#);
        outcome("", &fault, &[Reply::json(body)]).await.0.unwrap_err()
    };
    let error = failure(r#""gone""#).await;
    assert!(matches!(&error, FetchError::Fault { message } if message == "gone"), "{error}");
    let error =
        failure(r#"{"message": "slow down", "rate_limited": true, "wait_seconds": 2.5}"#).await;
    assert_eq!((error.outcome(), error.retry_after().unwrap().as_secs()), ("rate_limited", 3));
    let error = failure(r#"{"message": "credits", "spent": "month"}"#).await;
    assert!(matches!(error, FetchError::Spent { spent: QuotaWindow::Month, .. }), "{error}");
    assert!(error.retry_after().unwrap().as_secs() <= 31 * 86_400);
    let error = failure(r#"{"message": "not in your plan", "refused": true}"#).await;
    assert!(matches!(error, FetchError::Refused { status: 200, .. }), "{error}");
    let error = failure(r#"{"code": 7}"#).await;
    assert!(matches!(&error, FetchError::Fault { message } if message == "no message"), "{error}");
    let quiet = Reply::json(r#"{"prices": [], "fault": false}"#);
    let (answer, _) = outcome("empty = \"ok\"", &fault, &[quiet]).await;
    assert_eq!(answer.unwrap().events.len(), 0);
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    for (reply, kind) in [
        (Reply { truncated: true, ..Reply::json(ANSWER) }, "transport"),
        (Reply::json(r#"{"prices": [{"id": "bitcoin", "value": NaN}]}"#), "not_json"),
        (Reply::json(r#"{"prices": [{"id": "bitcoin", "value": "NaN"}]}"#), "shape"),
        (Reply::json(r#"{"prices": [{"id": "bitcoin", "value": 1e999999}]}"#), "shape"),
        (Reply::json(r#"{"prices": [{"id": 7, "value": 1}]}"#), "shape"),
        (Reply::json(r#"{"prices": "bitcoin"}"#), "shape"),
        (Reply::json(r#"["prices"]"#), "shape"),
        (Reply::json("[".repeat(100_000)), "not_json"),
        (Reply::json(b"\x1f\x8b\x08\xff".to_vec()), "not_json"),
        (Reply::status(204, ""), "not_json"),
        (Reply::status(304, ""), "status"),
        (Reply::status(302, ""), "redirect"),
    ] {
        let shown: String = format!("{reply:?}").chars().take(200).collect();
        let error = outcome("", &filters(), &[reply]).await.0.unwrap_err();
        assert_eq!(error.outcome(), kind, "{shown}: {error}");
    }
}

#[tokio::test]
async fn redirects_within_the_host_are_followed_but_not_for_ever() {
    let to = |place: &str| Reply::status(302, "").header("location", place);
    let (answer, asked) = outcome("", &filters(), &[to("/v2"), Reply::json(ANSWER)]).await;
    assert_eq!((answer.unwrap().events.len(), asked[1].path.as_str()), (1, "/v2"));
    let (answer, asked) = outcome("", &filters(), &[to("/v1")]).await;
    let error = answer.unwrap_err();
    let is_loop = matches!(&error, FetchError::Redirect { status: 302, to } if to.ends_with("/v1"));
    assert!(is_loop, "{error}");
    assert_eq!(asked.len(), 4);
    let elsewhere = to("https://elsewhere.example/login?key=1");
    let error = outcome("", &filters(), &[elsewhere]).await.0.unwrap_err().to_string();
    assert!(error.contains("https://elsewhere.example/login "), "{error}");
    assert!(!error.contains("key=1"), "{error}");
}
