//! Says who would be told of an alert, by which route, and what keeps it back now.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{AccountAddress, Alert, AlertAddress, Decimal, Labels, Severity};
use crypto_intel_service::{RecordingRetry, now_us};
use serde::Serialize;

use super::{
    judge::{By, SilenceList, Stage, Verdict, View, targets},
    matcher::did_you_mean,
    open::{OpenAlerts, RoutingStore},
    reload::tree_of,
    silences,
    subscriptions::SubscriptionList,
    text,
};
use crate::config::Config;

/// What would become of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Each destination that is concerned.
    pub destinations: Vec<ExplainedTarget>,
    /// A route says that no one is told.
    pub dropped: bool,
    /// What was looked at: silences, subscriptions and lasting alerts need a connection to NATS.
    pub complete: bool,
}

/// What would become of an alert at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedTarget {
    /// Its name.
    pub destination: String,
    /// What sends it there.
    pub by: String,
    /// Line of that route in the file; 0 = none.
    pub line: usize,
    /// `sent`, `silenced`, `inhibited`, `muted`, `waits` or `collected`.
    pub verdict: &'static str,
    /// More about it.
    pub detail: String,
    /// Who is told when no one acknowledges, and after how long.
    pub escalation: Option<String>,
    /// How often it is told again while it lasts.
    pub remind: Option<String>,
}

/// An alert that fires now with these values: `severity=critical`, `rule=depeg`, `address=0x…`, `usd=1000`, and labels.
///
/// # Errors
/// Names a value that is none.
pub fn alert_of(values: &[String]) -> anyhow::Result<Alert> {
    let mut labels = Labels::default();
    let mut usd = None;
    let mut alert = Alert { ongoing: true, n: 1, ..Alert::empty() };
    for text in values {
        let (name, value) = text
            .split_once('=')
            .with_context(|| format!("{text:?} is no label: write name=value"))?;
        match name.trim() {
            "rule" => value.trim().clone_into(&mut alert.rule),
            "severity" => alert.severity = severity(value.trim())?,
            "usd" => usd = Some(worth(value.trim())?),
            name => _ = labels.0.insert(name.to_owned(), value.trim().to_owned()),
        }
    }
    alert.chain = labels.get("chain").map(ToOwned::to_owned);
    // What rules group by is a label, too.
    let address: Option<AccountAddress> = labels.get("address").and_then(|it| it.parse().ok());
    let touched = address.map(|address| AlertAddress { address: address.to_string(), usd });
    alert.addresses.extend(touched);
    alert.labels = labels;
    Ok(alert)
}

fn worth(text: &str) -> anyhow::Result<Decimal> {
    Decimal::parse(text).ok().with_context(|| format!("{text:?} is no amount of dollars"))
}

fn severity(text: &str) -> anyhow::Result<Severity> {
    let all = [Severity::Info, Severity::Warning, Severity::Critical];
    let found = all.into_iter().find(|severity| severity.as_str() == text);
    found.with_context(|| {
        let hint = did_you_mean(text, all.map(Severity::as_str));
        format!("{text:?} is no severity{hint} (known: info, warning, critical)")
    })
}

/// What would become of an alert now. Without NATS nothing is known of silences and lasting alerts.
///
/// # Errors
/// When the file of routes is wrong, or a bucket cannot be read.
pub async fn explain(
    nats: Option<&Nats>,
    config: &Config,
    alert: &Alert,
) -> anyhow::Result<Explanation> {
    let tree = tree_of(config).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    let (silences, open, subscriptions) = match nats {
        Some(nats) => {
            let (silences, open) = in_force(nats).await?;
            (silences, open, SubscriptionList::read(nats).await?)
        }
        None => (SilenceList::default(), OpenAlerts::default(), SubscriptionList::default()),
    };
    let view = View { tree: &tree, silences: &silences, open: &open };
    let known = config.destinations.keys().cloned().collect();
    let mut all = targets(&tree, alert, &known, config.unrouted.as_ref());
    subscriptions.add_to(&mut all, &tree, alert, &known);
    let now = now_us();
    let destinations = all.known.iter().map(|target| {
        let settings = &target.node.settings;
        let verdict = view.judge(alert, &target.destination, target.node, Stage::New, now);
        let (verdict, detail) = describe(verdict, now);
        ExplainedTarget {
            destination: target.destination.clone(),
            by: match &target.by {
                By::Rule => "routes of the rule".to_owned(),
                By::Tree => target.node.path.clone(),
                By::Unrouted => "notify.unrouted".to_owned(),
                By::Subscription(id) => format!("subscription {id}"),
                By::Told => "told before".to_owned(),
            },
            line: if target.by == By::Tree { target.node.line } else { 0 },
            verdict,
            detail,
            escalation: settings.escalate.as_ref().map(|escalate| {
                format!("{} after {}", escalate.to.join(", "), text::duration(escalate.after_us))
            }),
            remind: (settings.remind_us > 0).then(|| text::duration(settings.remind_us)),
        }
    });
    Ok(Explanation {
        destinations: destinations.collect(),
        dropped: all.dropped,
        complete: nats.is_some(),
    })
}

fn describe(verdict: Verdict, now: i64) -> (&'static str, String) {
    match verdict {
        Verdict::Send => ("sent", String::new()),
        Verdict::Keep(kept) => (kept.state.as_str(), kept.why),
        Verdict::Hold(hold) => {
            let wait = text::duration(hold.until_us - now);
            match hold.quiet {
                true => ("waits", format!("quiet hours, for {wait}")),
                false => ("collected", format!("for {wait}, as {}", hold.group)),
            }
        }
    }
}

async fn in_force(nats: &Nats) -> anyhow::Result<(SilenceList, OpenAlerts)> {
    let kv = nats.kv(Bucket::Silences).await.context("open bucket silences")?;
    let mut list = SilenceList::default();
    for (id, entry) in kv.entries("").await.context("read the silences")? {
        list.set(&id, silences::decode(&entry.value));
    }
    let retry = RecordingRetry::default();
    // A person waits: no retry.
    retry.stop().cancel();
    let open = RoutingStore::open_to_look(nats, &retry).await?.look_open().await?;
    Ok((list, open))
}
