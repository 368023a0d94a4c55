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
    quiet: BTreeMap<String, Spanned<QuietFile>>,
    heartbeat: BTreeMap<String, Spanned<HeartbeatFile>>,
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
        Tree { root, inhibitions, quiet, heartbeats }
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::{Alert, Labels, Severity};

    use super::*;

    const GOOD: &str = r#"
[root]
destinations = ["ops"]
group_by = ["rule"]
collect = "5s"

[[route]]
name = "critical"
match = ["severity=critical"]
destinations = ["phone"]
continue = true
escalate = { after = "15m", to = ["desk"] }

[[route]]
name = "trading"
match = ["team=trading"]
destinations = ["desk"]

  [[route.route]]
  match = ["chain in (base, optimism)"]
  collect = "off"
  remind = "4h"

[[inhibit]]
source = ["rule=chain-stale"]
target = ["severity!=critical"]
equal = ["chain"]

[quiet.ops]
from = "22:00"
to = "07:00"
zone = "Europe/Madrid"

[heartbeat.ops]
at = "09:00"
zone = "Europe/Madrid"
"#;

    fn known() -> BTreeSet<String> {
        ["ops", "desk", "phone"].map(str::to_owned).into()
    }

    fn read_text(text: &str) -> Result<Tree, Vec<String>> {
        parse(Path::new("routes.toml"), text, &known())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn routes_are_walked_in_order_and_inherit() {
        let tree = read_text(GOOD).unwrap();
        let walk = |severity, labels: Labels| {
            let alert = Alert { severity, labels, rule: "depeg".into(), ..Alert::empty() };
            tree.walk(&alert).iter().map(|node| node.path.clone()).collect::<Vec<_>>()
        };
        let trading = || Labels::from([("team", "trading")]);
        assert_eq!(walk(Severity::Info, Labels::default()), ["root"]);
        assert_eq!(walk(Severity::Info, trading()), ["trading"]);
        assert_eq!(walk(Severity::Critical, trading()), ["critical", "trading"]);
        assert_eq!(walk(Severity::Critical, Labels::default()), ["critical"]);
        let on_base = Labels::from([("team", "trading"), ("chain", "base")]);
        assert_eq!(walk(Severity::Info, on_base), ["trading / route 1"]);
        let inner = &tree.root.children[1].children[0];
        assert_eq!(inner.settings.destinations, Some(vec!["desk".to_owned()]));
        assert_eq!((inner.settings.collect_us, inner.settings.remind_us), (0, 14_400_000_000));
        assert_eq!(inner.settings.group_by, ["rule"]);
        assert_eq!(inner.line, 19);
    }

    #[test]
    fn every_problem_has_its_line_and_a_hint() {
        for (from, to, line, part) in [
            ("[\"phone\"]", "[\"phon\"]", 10, "did you mean phone?"),
            ("remind = ", "remint = ", 22, "did you mean remind?"),
            ("[\"severity=critical\"]", "[\"severity=critcal\"]", 9, "did you mean critical?"),
            ("\"15m\"", "\"15x\"", 12, "15m"),
            ("collect = \"off\"", "collect = \"of\"", 21, "or off"),
            ("source = [\"rule=chain-stale\"]", "source = []", 24, "source and target"),
            ("[heartbeat.ops]", "[heartbeat.oops]", 34, "did you mean ops?"),
            ("to = \"07:00\"", "to = \"7\"", 29, "22:00"),
            ("match = [\"team=trading\"]\n", "", 14, "has no match"),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            let problems = read_text(&text).unwrap_err();
            let at = format!("routes.toml:{line}: ");
            assert!(
                problems.iter().any(|one| one.starts_with(&at) && one.contains(part)),
                "{from}: {problems:?}"
            );
        }
    }
}
