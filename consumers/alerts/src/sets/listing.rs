//! The rules in force, for readers that are no alerts role.

use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use serde::{Deserialize, Serialize};

use super::{
    RuleTexts, Switches,
    store::{SWITCHES, TEXTS},
};
use crate::{
    rules::{ListedRule, RuleProblem, listed},
    streams::RuleStream,
};

/// Key of what is wrong with the rule files; there is none while they are right.
pub(super) const PROBLEMS: &str = "sets.problems";

/// What is wrong with the rule files, for which the last good rules stay in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongFiles {
    /// When it was found, microseconds since 1970.
    pub found_at_us: i64,
    /// How many problems there are, those that are not told too.
    pub count: usize,
    /// The first of them.
    pub problems: Vec<RuleProblem>,
}

/// Which set a stream's reader has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamSet {
    /// Name of the stream.
    pub stream: &'static str,
    /// Digest of the newest set.
    pub set: String,
}

/// The rules in force, as alerts keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RulesInForce {
    /// Digest of the newest set; `None` before alerts ran.
    pub set: Option<String>,
    /// Which set each stream's reader has: another one for a moment after a change.
    pub streams: Vec<StreamSet>,
    /// The rules of the newest set, in the order of their files.
    pub rules: Vec<ListedRule>,
    /// What is wrong with the files now, where they are wrong.
    pub wrong: Option<WrongFiles>,
}

/// Reads the rules in force.
///
/// # Errors
/// When the bucket does not answer.
pub async fn rules_in_force(nats: &Nats) -> Result<RulesInForce, KvError> {
    let kv = nats.kv(Bucket::RuleState).await?;
    let mut found =
        RulesInForce { wrong: decoded(&kv, PROBLEMS).await?, ..RulesInForce::default() };
    for stream in RuleStream::OF_RULES {
        let switches: Option<Switches> =
            decoded(&kv, &format!("{SWITCHES}{}", stream.slug())).await?;
        let Some(set) = switches.as_ref().and_then(Switches::newest) else { continue };
        found.streams.push(StreamSet { stream: stream.name(), set: set.to_owned() });
    }
    let Some(newest) = found.streams.first().map(|stream| stream.set.clone()) else {
        return Ok(found);
    };
    let texts: Option<RuleTexts> = decoded(&kv, &format!("{TEXTS}{newest}")).await?;
    let files = texts.as_ref().map(RuleTexts::files).unwrap_or_default();
    found.rules = files.iter().flat_map(|(path, text)| listed(path, text)).collect();
    found.set = Some(newest);
    Ok(found)
}

/// What a key holds; `None`, said aloud, where this version cannot read it.
async fn decoded<T: for<'de> Deserialize<'de>>(kv: &Kv, key: &str) -> Result<Option<T>, KvError> {
    let Some(stored) = kv.get(key).await? else { return Ok(None) };
    let read = serde_json::from_slice(&stored.value);
    Ok(read.inspect_err(|error| tracing::warn!(key, %error, "rule sets cannot be read")).ok())
}
