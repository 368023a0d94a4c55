use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::Explorers;
use crypto_intel_service::{now_us, retry};
use tokio::sync::Mutex;

use super::{
    RuleTexts, Switches,
    listing::{PROBLEMS, WrongFiles},
};
use crate::{
    config::Config,
    rules::{RuleProblem, RuleSet},
    streams::RuleStream,
};

/// Keys of sets by their digest, and of the switches of each stream.
pub(super) const TEXTS: &str = "sets.texts.";
pub(super) const SWITCHES: &str = "sets.switches.";

/// So many texts of sets are kept beside those that are in force: a reader that is behind may not have met their ticks.
const MAX_KEPT: usize = 50;

/// So many problems of the files are kept for others to read.
const MAX_TOLD: usize = 50;

/// What the files hold: a set, or what is wrong with them.
pub(crate) type Verdict = Result<Arc<RuleSet>, Vec<RuleProblem>>;

/// The verdict on what was looked at last.
#[derive(Debug)]
struct Judged {
    digest: String,
    unreadable: Vec<RuleProblem>,
    verdict: Verdict,
}

/// The rule sets that were and are in force, compiled once each.
#[derive(Debug)]
pub(crate) struct Sets {
    kv: Kv,
    destinations: Option<Vec<String>>,
    explorers: Explorers,
    compiled: Mutex<BTreeMap<String, Arc<RuleSet>>>,
    judged: Mutex<Option<Judged>>,
    /// The newest set of each stream that this instance reads.
    newest: Mutex<BTreeMap<RuleStream, String>>,
    /// Whether the rules in force read alerts: only then does their stream need ticks.
    reads_alerts: AtomicBool,
}

impl Sets {
    /// Opens the bucket.
    pub(crate) async fn open(nats: &Nats, config: &Config) -> anyhow::Result<Self> {
        let kv = retry("open rule state", || nats.kv(Bucket::RuleState)).await;
        Ok(Self {
            kv: kv.context("open rule state")?,
            destinations: config.destinations.clone(),
            explorers: config.explorers.clone(),
            compiled: Mutex::default(),
            judged: Mutex::default(),
            newest: Mutex::default(),
            reads_alerts: AtomicBool::new(false),
        })
    }

    /// What the files hold now.
    pub(crate) async fn look(&self, files: &[PathBuf]) -> anyhow::Result<Verdict> {
        let (texts, unreadable) = RuleTexts::read_aside(files).await?;
        self.judge(&texts, unreadable).await
    }

    /// The set of texts that were read beside `unreadable` ones. What was judged last is not compiled again.
    pub(crate) async fn judge(
        &self,
        texts: &RuleTexts,
        unreadable: Vec<RuleProblem>,
    ) -> anyhow::Result<Verdict> {
        let digest = texts.digest();
        let mut judged = self.judged.lock().await;
        let is_same = |known: &&Judged| known.digest == digest && known.unreadable == unreadable;
        if let Some(known) = judged.as_ref().filter(is_same) {
            return Ok(known.verdict.clone());
        }
        let verdict = match self.compile(texts, self.destinations.clone()).await? {
            Ok(rules) if unreadable.is_empty() => Ok(self.keep(rules).await),
            Ok(_) => Err(unreadable.clone()),
            Err(found) => Err([unreadable.as_slice(), &found].concat()),
        };
        *judged = Some(Judged { digest, unreadable, verdict: verdict.clone() });
        Ok(verdict)
    }

    /// The newest set that was in force in any stream.
    pub(crate) async fn newest_in_force(&self) -> anyhow::Result<Option<Arc<RuleSet>>> {
        for stream in RuleStream::OF_RULES {
            let switches = self.switches(stream).await?;
            let Some(digest) = switches.as_ref().and_then(Switches::newest) else { continue };
            if let Some(rules) = self.get(digest).await? {
                return Ok(Some(rules));
            }
        }
        Ok(None)
    }

    /// The rules of texts, compiled beside everything else.
    async fn compile(
        &self,
        texts: &RuleTexts,
        destinations: Option<Vec<String>>,
    ) -> anyhow::Result<Result<RuleSet, Vec<RuleProblem>>> {
        let (texts, explorers) = (texts.clone(), self.explorers.clone());
        let compile = move || {
            let rules = texts.compile(destinations.as_deref())?;
            Ok(rules.with_explorers(explorers))
        };
        tokio::task::spawn_blocking(compile).await.context("compile the rules")
    }

    /// Remembers a set under its digest.
    async fn keep(&self, rules: RuleSet) -> Arc<RuleSet> {
        let rules = Arc::new(rules);
        let digest = rules.digest().to_owned();
        Arc::clone(self.compiled.lock().await.entry(digest).or_insert(rules))
    }

    /// The set with this digest; `None` where its texts are not kept, or mean nothing to this version.
    pub(crate) async fn get(&self, digest: &str) -> anyhow::Result<Option<Arc<RuleSet>>> {
        let known = self.compiled.lock().await.get(digest).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let key = format!("{TEXTS}{digest}");
        let stored = retry("read rule set", || self.kv.get(&key)).await.context("read rule set")?;
        let Some(stored) = stored else { return Ok(None) };
        let texts = serde_json::from_slice::<RuleTexts>(&stored.value)
            .with_context(|| format!("read rule set {digest}"));
        // Routes may have been renamed since: what was in force stays in force.
        let compiled = match texts {
            Ok(texts) => self.compile(&texts, None).await?.map_err(|problems| {
                anyhow::anyhow!("{}", problems.first().map(ToString::to_string).unwrap_or_default())
            }),
            Err(error) => Err(error),
        };
        match compiled {
            Ok(rules) => Ok(Some(self.keep(rules).await)),
            Err(error) => {
                tracing::warn!(set = digest, error = %format!("{error:#}"), "rule set that was in force cannot be used");
                Ok(None)
            }
        }
    }

    /// Keeps the texts of a set. Of those that are in force nowhere the newest stay, too: a tick that asks for one may lie
    /// before a reader that is behind.
    pub(crate) async fn put_texts(&self, texts: &RuleTexts) -> anyhow::Result<()> {
        let digest = texts.digest();
        let body = serde_json::to_vec(texts).context("encode rule set")?;
        let key = format!("{TEXTS}{digest}");
        retry("keep rule set", || self.kv.put(&key, body.clone()))
            .await
            .context("keep rule set")?;
        let mut needed = BTreeSet::from([digest]);
        for stream in RuleStream::OF_RULES {
            let switches = self.switches(stream).await?.unwrap_or_default();
            needed.extend(switches.digests().map(str::to_owned));
        }
        let stored = retry("list rule sets", || self.kv.entries(TEXTS)).await?;
        let digest_of = |key: String| key.strip_prefix(TEXTS).map(str::to_owned);
        let mut others: Vec<(u64, String)> = stored
            .into_iter()
            .filter_map(|(key, entry)| Some((entry.revision, digest_of(key)?)))
            .filter(|(_, digest)| !needed.contains(digest))
            .collect();
        others.sort();
        for (_, old) in others.iter().rev().skip(MAX_KEPT) {
            let key = format!("{TEXTS}{old}");
            retry("forget rule set", || self.kv.delete(&key)).await?;
        }
        self.compiled.lock().await.retain(|digest, _| needed.contains(digest));
        Ok(())
    }

    /// Tells others what is wrong with the files, or that nothing is.
    pub(crate) async fn put_problems(&self, problems: &[RuleProblem]) -> anyhow::Result<()> {
        if problems.is_empty() {
            let is_told = retry("read problems of rule files", || self.kv.get(PROBLEMS)).await?;
            if is_told.is_some() {
                retry("forget problems of rule files", || self.kv.delete(PROBLEMS)).await?;
            }
            return Ok(());
        }
        let told = WrongFiles {
            found_at_us: now_us(),
            count: problems.len(),
            problems: problems.iter().take(MAX_TOLD).cloned().collect(),
        };
        let body = serde_json::to_vec(&told).context("encode problems of rule files")?;
        retry("store problems of rule files", || self.kv.put(PROBLEMS, body.clone())).await?;
        Ok(())
    }

    /// Which sets are in force in a stream; `None` before the first.
    pub(crate) async fn switches(&self, stream: RuleStream) -> anyhow::Result<Option<Switches>> {
        let key = format!("{SWITCHES}{}", stream.slug());
        let read = async || -> Result<_, KvError> { self.kv.get(&key).await };
        let stored = retry("read rule switches", read).await.context("read rule switches")?;
        let Some(stored) = stored else { return Ok(None) };
        Ok(serde_json::from_slice(&stored.value)
            .inspect_err(|error| tracing::warn!(key, %error, "rule switches cannot be read"))
            .ok())
    }

    /// Whether the rules in force read alerts.
    pub(crate) fn reads_alerts(&self) -> bool {
        self.reads_alerts.load(Ordering::Relaxed)
    }

    /// Says what the rules in force of the stream of alerts read.
    pub(super) fn note_in_force(&self, stream: RuleStream, rules: &RuleSet) {
        if stream == RuleStream::Alert {
            self.reads_alerts.store(rules.streams().contains(&stream), Ordering::Relaxed);
        }
    }

    /// The newest set of a stream that this instance reads; `None` before it does.
    pub(crate) async fn newest(&self, stream: RuleStream) -> Option<String> {
        self.newest.lock().await.get(&stream).cloned()
    }

    /// Stores which sets are in force in a stream.
    pub(crate) async fn put_switches(
        &self,
        stream: RuleStream,
        switches: &Switches,
    ) -> anyhow::Result<()> {
        let key = format!("{SWITCHES}{}", stream.slug());
        let body = serde_json::to_vec(switches).context("encode rule switches")?;
        retry("store rule switches", || self.kv.put(&key, body.clone()))
            .await
            .context("store rule switches")?;
        let newest = switches.newest().unwrap_or_default().to_owned();
        self.newest.lock().await.insert(stream, newest);
        Ok(())
    }
}
