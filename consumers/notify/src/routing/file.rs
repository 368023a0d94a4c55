//! Reads and checks the file of routes: every problem with its line and a hint.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    hours::{Heartbeat, HeartbeatFile, QuietFile, QuietHours, duration_us},
    matcher::{Matcher, did_you_mean},
    tree::{Escalate, Inhibition, Node, Settings, Tree},
    weekly::{Times, TimesFile, WeeklySilence},
};

/// Something wrong in a file of routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteProblem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 = the file itself.
    pub line: usize,
    /// What is wrong, with what to write instead.
    pub what: String,
}

impl fmt::Display for RouteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            0 => write!(f, "{file}: {}", self.what),
            line => write!(f, "{file}:{line}: {}", self.what),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    root: Option<Spanned<NodeFile>>,
    route: Vec<Spanned<NodeFile>>,
    inhibit: Vec<Spanned<InhibitFile>>,
    silence: Vec<Spanned<SilenceFile>>,
    quiet: BTreeMap<String, Spanned<QuietFile>>,
    heartbeat: BTreeMap<String, Spanned<HeartbeatFile>>,
}

impl File {
    /// As a file is that was cut to nothing, or is about to be written.
    fn is_empty(&self) -> bool {
        let Self { root, route, inhibit, silence, quiet, heartbeat } = self;
        root.is_none()
            && route.is_empty()
            && inhibit.is_empty()
            && silence.is_empty()
            && quiet.is_empty()
            && heartbeat.is_empty()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NodeFile {
    name: Option<String>,
    #[serde(rename = "match")]
    matchers: Vec<Spanned<String>>,
    #[serde(rename = "continue")]
    goes_on: bool,
    destinations: Option<Vec<Spanned<String>>>,
    group_by: Option<Vec<String>>,
    collect: Option<Spanned<String>>,
    remind: Option<Spanned<String>>,
    quiet: Option<Spanned<QuietFile>>,
    escalate: Option<Spanned<EscalateFile>>,
    route: Vec<Spanned<NodeFile>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EscalateFile {
    after: String,
    to: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InhibitFile {
    source: Vec<Spanned<String>>,
    target: Vec<Spanned<String>>,
    #[serde(default)]
    equal: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SilenceFile {
    name: String,
    #[serde(rename = "match")]
    matchers: Vec<Spanned<String>>,
    when: Spanned<TimesFile>,
    reason: String,
}

/// Reads the file of routes.
///
/// # Errors
/// Every problem in it.
pub(crate) fn read(path: &Path, known: &BTreeSet<String>) -> Result<Tree, Vec<RouteProblem>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![RouteProblem { file: path.to_owned(), line: 0, what: error.to_string() }]
    })?;
    parse(path, &text, known)
}

/// The tree of a file's text.
///
/// # Errors
/// Every problem in it.
pub(crate) fn parse(
    path: &Path,
    text: &str,
    known: &BTreeSet<String>,
) -> Result<Tree, Vec<RouteProblem>> {
    let mut reader = Reader { path, text, known, problems: Vec::new() };
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, unknown_key(error.message()));
            return Err(reader.problems);
        }
    };
    if file.is_empty() {
        reader.problem(
            0,
            "there is nothing in it: write [root] with destinations, or take notify.routes out",
        );
    }
    let tree = reader.tree(file);
    if reader.problems.is_empty() { Ok(tree) } else { Err(reader.problems) }
}

/// The parser's text of an unknown key, with the nearest known one.
fn unknown_key(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = match quoted.next() {
        Some(name) if message.starts_with("unknown field") => did_you_mean(name, quoted),
        _ => String::new(),
    };
    format!("{message}{hint}")
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    known: &'a BTreeSet<String>,
    problems: Vec<RouteProblem>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.as_bytes()[..at.min(self.text.len())].iter().filter(|b| **b == b'\n').count()
    }

    fn problem(&mut self, at: usize, what: impl Into<String>) {
        let line = self.line(at);
        self.problems.push(RouteProblem { file: self.path.to_owned(), line, what: what.into() });
    }

    fn tree(&mut self, file: File) -> Tree {
        let (at, root) = match file.root {
            Some(root) => (root.span().start, root.into_inner()),
            None => (0, NodeFile::default()),
        };
        if !root.matchers.is_empty() || root.goes_on || !root.route.is_empty() {
            self.problem(
                at,
                "the root matches everything: it has neither match, continue nor route",
            );
        }
        let settings = self.settings(&root, &Settings::default());
        let children = self.children(file.route, "", &settings);
        let root = Node {
            path: "root".to_owned(),
            line: self.line(at),
            settings,
            children,
            ..Node::default()
        };
        let inhibitions =
            file.inhibit.into_iter().map(|inhibit| self.inhibition(inhibit)).collect();
        let mut quiet = BTreeMap::new();
        for (name, hours) in file.quiet {
            self.destination(hours.span().start, &name);
            if let Some(hours) = self.quiet(&hours) {
                quiet.insert(name, hours);
            }
        }
        let mut heartbeats = BTreeMap::new();
        for (name, beat) in file.heartbeat {
            self.destination(beat.span().start, &name);
            match Heartbeat::read(beat.get_ref()) {
                Ok(read) => _ = heartbeats.insert(name, read),
                Err(what) => self.problem(beat.span().start, format!("heartbeat: {what}")),
            }
        }
        let silences = self.silences(file.silence);
        Tree { root, inhibitions, silences, quiet, heartbeats }
    }

    fn children(
        &mut self,
        files: Vec<Spanned<NodeFile>>,
        above: &str,
        inherited: &Settings,
    ) -> Vec<Node> {
        let mut names = BTreeSet::new();
        let mut nodes = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let at = file.span().start;
            let file = file.into_inner();
            let name = file.name.clone().unwrap_or_else(|| format!("route {}", index + 1));
            if !names.insert(name.clone()) {
                self.problem(at, format!("two routes beside each other are named {name:?}"));
            }
            let path = if above.is_empty() { name } else { format!("{above} / {name}") };
            if file.matchers.is_empty() {
                self.problem(
                    at,
                    format!("{path} has no match: what all routes share is the root's"),
                );
            }
            let settings = self.settings(&file, inherited);
            let matchers = self.matchers(&file.matchers);
            let children = self.children(file.route, &path, &settings);
            let line = self.line(at);
            nodes.push(Node { path, line, matchers, goes_on: file.goes_on, settings, children });
        }
        nodes
    }

    fn settings(&mut self, file: &NodeFile, inherited: &Settings) -> Settings {
        let mut settings = inherited.clone();
        if let Some(destinations) = &file.destinations {
            settings.destinations = Some(self.destinations(destinations));
        }
        if let Some(group_by) = &file.group_by {
            settings.group_by.clone_from(group_by);
        }
        if let Some(collect) = &file.collect {
            settings.collect_us = self.duration("collect", collect);
        }
        if let Some(remind) = &file.remind {
            settings.remind_us = self.duration("remind", remind);
            if (1..60_000_000).contains(&settings.remind_us) {
                self.problem(remind.span().start, "remind is less than a minute");
            }
        }
        if let Some(quiet) = &file.quiet {
            settings.quiet = self.quiet(quiet);
        }
        if let Some(escalate) = &file.escalate {
            let EscalateFile { after, to } = escalate.get_ref();
            let to = self.destinations(to);
            match duration_us(after) {
                Ok(after_us) => settings.escalate = Some(Escalate { after_us, to }),
                Err(what) => self.problem(escalate.span().start, format!("escalate: {what}")),
            }
        }
        settings
    }

    fn inhibition(&mut self, file: Spanned<InhibitFile>) -> Inhibition {
        let at = file.span().start;
        let InhibitFile { source, target, equal } = file.into_inner();
        if source.is_empty() || target.is_empty() {
            self.problem(
                at,
                "an inhibition needs source and target: without one it keeps back everything",
            );
        }
        Inhibition { source: self.matchers(&source), target: self.matchers(&target), equal }
    }

    fn silences(&mut self, files: Vec<Spanned<SilenceFile>>) -> Vec<WeeklySilence> {
        let mut names = BTreeSet::new();
        let mut silences = Vec::new();
        for file in files {
            let at = file.span().start;
            let SilenceFile { name, matchers, when, reason } = file.into_inner();
            if name.trim().is_empty() || !names.insert(name.clone()) {
                self.problem(at, format!("a silence needs a name of its own, not {name:?}"));
            }
            if matchers.is_empty() || reason.trim().is_empty() {
                self.problem(at, format!("silence {name:?} needs a match and a reason"));
            }
            let matchers = self.matchers(&matchers);
            match Times::read(when.get_ref()) {
                Ok(times) => silences.push(WeeklySilence::new(name, matchers, reason, times)),
                Err(what) => self.problem(when.span().start, format!("when: {what}")),
            }
        }
        silences
    }

    fn matchers(&mut self, texts: &[Spanned<String>]) -> Vec<Matcher> {
        let mut matchers = Vec::new();
        for text in texts {
            match Matcher::parse(text.get_ref()) {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => self.problem(text.span().start, error.to_string()),
            }
        }
        matchers
    }

    fn destinations(&mut self, names: &[Spanned<String>]) -> Vec<String> {
        for name in names {
            self.destination(name.span().start, name.get_ref());
        }
        names.iter().map(|name| name.get_ref().clone()).collect()
    }

    fn destination(&mut self, at: usize, name: &str) {
        if self.known.contains(name) {
            return;
        }
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let hint = did_you_mean(name, known.iter().copied());
        let known = known.join(", ");
        self.problem(at, format!("no destination {name:?} is configured{hint} (known: {known})"));
    }

    fn duration(&mut self, key: &str, text: &Spanned<String>) -> i64 {
        let given = text.get_ref().as_str();
        if given == "off" {
            return 0;
        }
        duration_us(given).unwrap_or_else(|what| {
            self.problem(text.span().start, format!("{key}: {what}, or off"));
            0
        })
    }

    fn quiet(&mut self, file: &Spanned<QuietFile>) -> Option<QuietHours> {
        match QuietHours::read(file.get_ref()) {
            Ok(hours) => Some(hours),
            Err(what) => {
                self.problem(file.span().start, format!("quiet: {what}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
