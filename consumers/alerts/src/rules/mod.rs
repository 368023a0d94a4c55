//! Rules: reading, checking, finding the ones that an event concerns.

mod check;
mod check_patterns;
pub(crate) mod example;
mod file;
mod files;
mod index;
mod listing;
mod patterns;
mod problem;
mod templates;
pub(crate) mod trigger;
mod unpriced;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use cel::Env;
use crypto_intel_schemas::{Block, Explorers, Kind, Labels, Severity};
use minijinja::Environment;

use crate::{
    condition::{Condition, fields::Field, functions, required::Required},
    streams::{RuleStream, kinds_of_pattern, reader_filters},
    template::{self, MessageTemplate, filters},
};

use self::{
    check::{RuleCheck, Surroundings},
    example::Example,
    problem::SourceText,
    trigger::{Finality, Lasting, Trigger},
    unpriced::Unpriced,
};
pub use self::{files::RuleFiles, listing::ListedRule, problem::RuleProblem};
pub(crate) use self::{
    files::{files_of, unreadable},
    index::SubjectIndex,
    listing::listed,
};

/// The rules that come with the program, as file name and text. All are for the destination `ops`.
pub const DEFAULT_RULES: &[(&str, &str)] = &[
    ("approvals.toml", include_str!("../../rules/approvals.toml")),
    ("chains.toml", include_str!("../../rules/chains.toml")),
    ("market.toml", include_str!("../../rules/market.toml")),
    ("signals.toml", include_str!("../../rules/signals.toml")),
    ("transfers.toml", include_str!("../../rules/transfers.toml")),
    ("wallets.toml", include_str!("../../rules/wallets.toml")),
];

/// [`DEFAULT_RULES`] for a configuration without destinations: their alerts are in the stream only.
#[must_use]
pub fn rules_without_routes() -> Vec<(&'static str, String)> {
    let silent = |text: &str| {
        text.replace("routes = [\"ops\"]\n", "routes = []                    # such as [\"ops\"]\n")
    };
    DEFAULT_RULES.iter().map(|(name, text)| (*name, silent(text))).collect()
}

/// One checked rule.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    /// Subject patterns, all of one stream.
    pub(crate) on: Vec<String>,
    pub(crate) stream: RuleStream,
    /// Every field that its events may have.
    pub(crate) fields: Vec<Field>,
    pub(crate) condition: Condition,
    pub(crate) unpriced: Unpriced,
    pub(crate) severity: Severity,
    pub(crate) cooldown_us: i64,
    /// Within a cooldown, an event at least so many times as large as what was told is told at once.
    pub(crate) larger_passes: Option<f64>,
    pub(crate) group_by: Vec<String>,
    pub(crate) max_event_age_us: i64,
    pub(crate) trigger: Trigger,
    /// Set for a rule that tells of a condition, and of its end.
    pub(crate) lasting: Option<Lasting>,
    pub(crate) finality: Finality,
    /// Operators of endpoints that must have announced a block.
    pub(crate) agreed: usize,
    pub(crate) message: MessageTemplate,
    /// What routes match, beside the chain and the values of `group_by`.
    pub(crate) labels: Labels,
    pub(crate) routes: Vec<String>,
    /// Events for which it must fire, or must not.
    pub(crate) examples: Vec<Example>,
}

impl Rule {
    /// What an event must have before it can concern the rule.
    pub(crate) fn required(&self) -> Option<&Required> {
        // A condition over single events hears of those that do not meet it, too.
        self.condition.required().filter(|_| !self.is_level())
    }

    /// Whether it hears of an event only once its block is known well enough.
    pub(crate) fn waits(&self) -> bool {
        self.finality != Finality::Seen || self.agreed > 1
    }

    /// Whether a block is known well enough for it, as the marker of a later block or its own says. What is final needs
    /// no agreement.
    pub(crate) fn is_known_enough(&self, number: u64, marker: &Block) -> bool {
        let is_deep = match self.finality {
            Finality::Seen => true,
            Finality::Confirmed(depth) => number + depth <= marker.block_number,
            Finality::Finalized => number <= marker.finalized_number,
        };
        let announced = marker.announced.get(self.agreed.saturating_sub(1));
        let is_agreed = self.agreed <= 1
            || announced.is_some_and(|announced| number <= *announced)
            || number <= marker.finalized_number;
        is_deep && is_agreed
    }

    /// Whether it is a condition whose newest event decides.
    pub(crate) fn is_level(&self) -> bool {
        self.lasting.is_some() && matches!(self.trigger, Trigger::Event)
    }
}

/// All enabled rules, checked and compiled.
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    /// Place of each in `rules`, by its id.
    by_id: HashMap<String, usize>,
    pub(crate) templates: Environment<'static>,
    pub(crate) explorers: Explorers,
    pub(crate) conditions: Arc<Env>,
    digest: String,
    files: usize,
    /// Paths with `*` that name no file.
    unmatched: Vec<PathBuf>,
    /// What is allowed and probably not meant.
    warnings: Vec<RuleProblem>,
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RuleSet").field("rules", &self.ids()).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Ids of the enabled rules, in the order of their files.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.rules.iter().map(|rule| rule.id.as_str()).collect()
    }

    /// Whether no rule is enabled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Place of a rule in `rules`.
    pub(crate) fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The rule of an id.
    pub(crate) fn find(&self, id: &str) -> Option<&Rule> {
        self.rules.get(self.index_of(id)?)
    }

    /// How many examples the enabled rules have.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.rules.iter().map(|rule| rule.examples.len()).sum()
    }

    /// How many files the rules came from.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files
    }

    /// Configured paths with `*` that name no file.
    #[must_use]
    pub fn unmatched(&self) -> &[PathBuf] {
        &self.unmatched
    }

    /// What is allowed and probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[RuleProblem] {
        &self.warnings
    }

    /// Ids of enabled rules without routes: their alerts are in the stream only.
    #[must_use]
    pub fn without_routes(&self) -> Vec<&str> {
        let silent = self.rules.iter().filter(|rule| rule.routes.is_empty());
        silent.map(|rule| rule.id.as_str()).collect()
    }

    /// The streams that rules read.
    #[must_use]
    pub fn streams(&self) -> BTreeSet<RuleStream> {
        self.rules.iter().map(|rule| rule.stream).collect()
    }

    /// Subject filters of a stream's reader: what its rules ask for, block markers, ticks.
    #[must_use]
    pub fn filters(&self, stream: RuleStream) -> Vec<String> {
        let patterns = self.rules.iter().filter(|rule| rule.stream == stream);
        reader_filters(stream, patterns.flat_map(|rule| rule.on.iter().map(String::as_str)))
    }

    /// The kinds of event that the rules of a stream read.
    #[must_use]
    pub fn kinds(&self, stream: RuleStream) -> BTreeSet<Kind> {
        let patterns = self.rules.iter().filter(|rule| rule.stream == stream);
        patterns.flat_map(|rule| &rule.on).flat_map(|pattern| kinds_of_pattern(pattern)).collect()
    }

    /// Ids of rules that every event on their subjects must be tried with, since their condition
    /// names no text that it needs: each costs a little on every such event.
    #[must_use]
    pub fn unindexed(&self) -> Vec<&str> {
        let scanned = self.rules.iter().filter(|rule| rule.required().is_none());
        scanned.map(|rule| rule.id.as_str()).collect()
    }

    /// Links transactions to these explorers.
    #[must_use]
    pub fn with_explorers(mut self, explorers: Explorers) -> Self {
        filters::add_explorers(&mut self.templates, explorers.clone());
        self.explorers = explorers;
        self
    }

    /// Reads rules from texts instead of files: file name and text of each.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        texts: &[(&str, &str)],
        known_destinations: Option<&[String]>,
    ) -> Result<Self, Vec<RuleProblem>> {
        let texts: Vec<(&Path, &str)> =
            texts.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
        Self::of_files(&texts, Vec::new(), known_destinations)
    }

    /// The same of files that were read, and paths that named none.
    pub(crate) fn of_files(
        files: &[(&Path, &str)],
        unmatched: Vec<PathBuf>,
        known_destinations: Option<&[String]>,
    ) -> Result<Self, Vec<RuleProblem>> {
        let mut loader = Loader::new(known_destinations);
        loader.unmatched = unmatched;
        for (path, text) in files {
            loader.add(path, text);
        }
        loader.finish()
    }

    /// Names this very set: that of its texts. Empty where it is of no files.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The set under the digest of its texts.
    pub(crate) fn with_digest(mut self, digest: String) -> Self {
        self.digest = digest;
        self
    }
}

struct Loader<'d> {
    destinations: Option<&'d [String]>,
    conditions: Arc<Env>,
    templates: Environment<'static>,
    rules: Vec<Rule>,
    /// Where each id was seen first.
    ids: BTreeMap<String, String>,
    files: usize,
    unmatched: Vec<PathBuf>,
    problems: Vec<RuleProblem>,
    warnings: Vec<RuleProblem>,
}

impl<'d> Loader<'d> {
    fn new(destinations: Option<&'d [String]>) -> Self {
        Self {
            destinations,
            conditions: Arc::new(functions::environment()),
            templates: template::environment(),
            rules: Vec::new(),
            ids: BTreeMap::new(),
            files: 0,
            unmatched: Vec::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn add(&mut self, path: &Path, text: &str) {
        let source = SourceText { path, text };
        let rules = file::read(source, &mut self.problems);
        self.files += 1;
        let surroundings =
            Surroundings { conditions: &self.conditions, destinations: self.destinations };
        for rule_text in &rules {
            let id = rule_text.id.get_ref();
            if let Some(first) = self.ids.get(id) {
                let message = format!("another rule has this id, in {first}");
                self.problems.push(source.at(rule_text.id.span(), Some(id), message, None));
                continue;
            }
            self.ids.insert(id.clone(), path.display().to_string());
            let check = RuleCheck::new(source, rule_text, &surroundings, &mut self.problems);
            if let Some(rule) = check.run(&mut self.templates)
                && rule_text.enabled
            {
                self.warnings.extend(check::warning_of(source, rule_text, &rule));
                self.rules.push(rule);
            }
        }
    }

    fn finish(self) -> Result<RuleSet, Vec<RuleProblem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let Self { rules, templates, conditions, files, unmatched, warnings, .. } = self;
        let explorers = Explorers::default();
        let digest = String::new();
        let by_id =
            rules.iter().enumerate().map(|(index, rule)| (rule.id.clone(), index)).collect();
        Ok(RuleSet {
            rules,
            by_id,
            templates,
            explorers,
            conditions,
            digest,
            files,
            unmatched,
            warnings,
        })
    }
}

#[cfg(test)]
mod tests;
