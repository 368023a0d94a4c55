use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crypto_intel_nats::{Nats, OutMessage, PublishError};
use crypto_intel_schemas::{Event, Kind, Tick, polled_event_id, subjects};
use crypto_intel_service::{Probe, now_us};

use super::{RuleTexts, Sets};
use crate::{
    config::Config,
    metrics::Metrics,
    rules::{RuleProblem, RuleSet},
    streams::RuleStream,
};

/// So many problems are logged at once; the rest is counted.
const MAX_LOGGED: usize = 20;

/// A set that is not taken is asked for again after this: its tick may lie before what was read.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Looks at the rule files, and asks for what is new and right in them.
pub(crate) struct FileWatch {
    pub(crate) nats: Nats,
    pub(crate) config: Config,
    pub(crate) sets: Arc<Sets>,
    pub(crate) metrics: Metrics,
    /// Shown by `/ready`, which does not depend on it: rules are evaluated as before.
    pub(crate) probe: Probe,
}

impl FileWatch {
    /// Looks until the process stops. What the files held at the start is asked for, too: the set in force may be
    /// another one.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut handled = None;
        let mut seen = None;
        let mut wanted = None;
        let mut asked: BTreeMap<RuleStream, (String, Instant)> = BTreeMap::new();
        loop {
            let (texts, unreadable) = RuleTexts::read_aside(&self.config.rules).await?;
            let now = (texts.digest(), unreadable.len());
            // A file that is being written is looked at again before it counts.
            let is_still = seen.as_ref().is_none_or(|seen| *seen == now);
            if is_still && handled.as_ref() != Some(&now) {
                wanted = self.handle(&texts, unreadable).await?.or(wanted);
                handled = Some(now.clone());
            }
            seen = Some(now);
            if let Some(wanted) = &wanted {
                self.ask_for(wanted, &mut asked).await;
            }
            tokio::time::sleep(self.config.reload_interval()).await;
        }
    }

    /// Keeps the set of the files, if it is right, and returns its digest.
    async fn handle(
        &self,
        texts: &RuleTexts,
        unreadable: Vec<RuleProblem>,
    ) -> anyhow::Result<Option<String>> {
        let rules = match self.sets.judge(texts, unreadable).await? {
            Ok(rules) => rules,
            Err(problems) => {
                self.refuse(&problems);
                self.sets.put_problems(&problems).await?;
                return Ok(None);
            }
        };
        self.metrics.rules_wrong.set(0);
        say_of(&rules);
        let (count, digest) = (rules.ids().len(), rules.digest().to_owned());
        self.sets.put_texts(texts).await?;
        self.sets.put_problems(&[]).await?;
        self.probe.healthy(format!("{count} rules, set {digest}"));
        Ok(Some(digest))
    }

    /// Asks for a set in the streams where another one is the newest. An answer may take a while. What a stream refuses is
    /// asked for again at the next look: files may change meanwhile.
    async fn ask_for(&self, digest: &str, asked: &mut BTreeMap<RuleStream, (String, Instant)>) {
        for stream in RuleStream::OF_RULES {
            let newest = self.sets.newest(stream).await;
            if newest.is_none_or(|newest| newest == digest) {
                continue;
            }
            let is_asked = asked
                .get(&stream)
                .is_some_and(|(asked, at)| asked == digest && at.elapsed() < ASK_AGAIN);
            if is_asked {
                continue;
            }
            match self.ask(stream, digest).await {
                Ok(()) => {
                    asked.insert(stream, (digest.to_owned(), Instant::now()));
                    tracing::info!(
                        stream = stream.name(),
                        set = digest,
                        "asked for the changed rules"
                    );
                }
                Err(error) => {
                    tracing::warn!(stream = stream.name(), set = digest, %error, "cannot ask for the changed rules, trying again");
                }
            }
        }
    }

    fn refuse(&self, problems: &[RuleProblem]) {
        self.metrics.rules_wrong.set(1);
        log_problems(problems, "the last good rules stay in force");
        self.probe.unhealthy(in_short(problems, "the last good rules stay in force"));
    }

    /// Puts the digest into a stream: its readers take the set there.
    async fn ask(&self, stream: RuleStream, digest: &str) -> Result<(), PublishError> {
        let now = now_us();
        let id = polled_event_id("alerts", Kind::Tick, &format!("{}:{digest}", stream.slug()), now);
        let tick = Tick {
            id: id.clone(),
            stream: stream.slug().to_owned(),
            rules: Some(digest.to_owned()),
            ..Tick::at("alerts", now, now)
        };
        let event = Event::from(tick);
        let message = OutMessage::new(subjects::of(&event), event.encode())
            .schema(Kind::Tick.schema())
            .message_id(id);
        self.nats.publish_once(stream.name(), message).await.map(drop)
    }
}

/// Logs what is wrong with rule files, and what that means.
pub(crate) fn log_problems(problems: &[RuleProblem], meaning: &str) {
    for problem in problems.iter().take(MAX_LOGGED) {
        tracing::error!(%problem, "rule files are wrong, {meaning}");
    }
}

/// The same for `/ready`.
pub(crate) fn in_short(problems: &[RuleProblem], meaning: &str) -> String {
    let first = problems.first().map(RuleProblem::place).unwrap_or_default();
    format!("{} wrong in the rule files, {meaning}; the first in {first}", problems.len())
}

/// What people should know of rules that are right.
fn say_of(rules: &RuleSet) {
    if rules.is_empty() {
        tracing::warn!("no rule is enabled, nothing to evaluate");
    }
    let scanned = rules.unindexed();
    if !scanned.is_empty() {
        tracing::info!(rules = ?scanned, "evaluated for every event on their subjects: their conditions have no text to index by");
    }
    let silent = rules.without_routes();
    if !silent.is_empty() {
        tracing::info!(rules = ?silent, "name no destination: without a route in notify their alerts are only in stream ALERT");
    }
    for warning in rules.warnings() {
        tracing::info!(%warning, "rule is probably not meant so");
    }
}
