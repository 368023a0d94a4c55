use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::Explorers;
use crypto_intel_service::retry;
use tokio::sync::Mutex;

use super::{RuleTexts, Switches};
use crate::{
    config::Config,
    rules::{RuleProblem, RuleSet},
    streams::RuleStream,
};

/// Keys of sets by their digest, and of the switches of each stream.
const TEXTS: &str = "sets.texts.";
const SWITCHES: &str = "sets.switches.";

/// The rule sets that were and are in force, compiled once each.
#[derive(Debug)]
pub(crate) struct Sets {
    kv: Kv,
    destinations: Option<Vec<String>>,
    explorers: Explorers,
    compiled: Mutex<BTreeMap<String, Arc<RuleSet>>>,
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
            newest: Mutex::default(),
            reads_alerts: AtomicBool::new(false),
        })
    }

    /// The set of the files, or, where they are wrong, the newest that was in force.
    ///
    /// # Errors
    /// What is wrong with the files, where no set was ever in force.
    pub(crate) async fn at_start(&self, config: &Config) -> anyhow::Result<Arc<RuleSet>> {
        let (texts, mut problems) = RuleTexts::read(&config.rules);
        match self.compile(&texts) {
            Ok(rules) if problems.is_empty() => return Ok(self.keep(rules).await),
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        for stream in RuleStream::OF_RULES {
            let switches = self.switches(stream).await?;
            let Some(digest) = switches.as_ref().and_then(Switches::newest) else { continue };
            if let Some(rules) = self.get(digest).await? {
                return Ok(rules);
            }
        }
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::bail!("{} wrong in the rules:\n{}", texts.len(), texts.join("\n"))
    }

    /// The rules of texts.
    pub(crate) fn compile(&self, texts: &RuleTexts) -> Result<RuleSet, Vec<RuleProblem>> {
        let rules = texts.compile(self.destinations.as_deref())?;
        Ok(rules.with_explorers(self.explorers.clone()))
    }

    /// Remembers a set under its digest.
    pub(crate) async fn keep(&self, rules: RuleSet) -> Arc<RuleSet> {
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
        let compiled = texts.and_then(|texts| {
            let compiled = texts.compile(None);
            compiled.map_err(|problems| anyhow::anyhow!("{}", problems[0]))
        });
        match compiled {
            Ok(rules) => Ok(Some(self.keep(rules.with_explorers(self.explorers.clone())).await)),
            Err(error) => {
                tracing::warn!(set = digest, error = %format!("{error:#}"), "rule set that was in force cannot be used");
                Ok(None)
            }
        }
    }

    /// Keeps the texts of a set, and forgets those that no reader needs any more.
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
        let keys = retry("list rule sets", || self.kv.keys(TEXTS)).await?;
        for key in keys {
            if key.strip_prefix(TEXTS).is_some_and(|digest| !needed.contains(digest)) {
                retry("forget rule set", || self.kv.delete(&key)).await?;
            }
        }
        self.compiled.lock().await.retain(|digest, _| needed.contains(digest));
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
