//! The route tree, as it is in force.

use std::{collections::BTreeMap, fmt::Write as _};

use crypto_intel_schemas::{Alert, AlertState};

use super::{
    hours::{Heartbeat, QuietHours},
    matcher::{Matcher, all_match, value},
    weekly::WeeklySilence,
};

/// Who is told of which alerts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    pub(crate) inhibitions: Vec<Inhibition>,
    /// Silences that come again.
    pub(crate) silences: Vec<WeeklySilence>,
    /// Quiet hours by destination.
    pub(crate) quiet: BTreeMap<String, QuietHours>,
    /// Signs of life by destination.
    pub(crate) heartbeats: BTreeMap<String, Heartbeat>,
}

/// One route: alerts that match it, and none of its children, are told as it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Its name, or its place such as `route 2`, behind those of its parents.
    pub(crate) path: String,
    /// Where it stands in the file.
    pub(crate) line: usize,
    pub(crate) matchers: Vec<Matcher>,
    /// Whether routes after it are asked too.
    pub(crate) goes_on: bool,
    pub(crate) settings: Settings,
    pub(crate) children: Vec<Node>,
}

/// What a route inherits where it does not say otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Absent: nothing was said; empty: no one, on purpose.
    pub(crate) destinations: Option<Vec<String>>,
    /// Alerts with the same values of these are told as one message.
    pub(crate) group_by: Vec<String>,
    /// How long a group collects.
    pub(crate) collect_us: i64,
    /// How often what lasts is told again; 0 = never.
    pub(crate) remind_us: i64,
    pub(crate) quiet: Option<QuietHours>,
    pub(crate) escalate: Option<Escalate>,
}

/// Who is told when no one acknowledges.
#[derive(Debug, Clone)]
pub(crate) struct Escalate {
    pub(crate) after_us: i64,
    pub(crate) to: Vec<String>,
}

/// While an alert that matches `source` lasts, those that match `target` are not told.
#[derive(Debug, Clone)]
pub(crate) struct Inhibition {
    pub(crate) source: Vec<Matcher>,
    pub(crate) target: Vec<Matcher>,
    /// Labels that both must have, with the same value.
    pub(crate) equal: Vec<String>,
}

impl Tree {
    /// The routes of an alert, in the order of the file. Not empty: without another it is the root.
    pub(crate) fn walk(&self, alert: &Alert) -> Vec<&Node> {
        let mut found = Vec::new();
        self.root.walk(alert, &mut found);
        found
    }
}

impl Node {
    fn walk<'a>(&'a self, alert: &Alert, found: &mut Vec<&'a Self>) {
        let before = found.len();
        for child in &self.children {
            if !all_match(&child.matchers, alert) {
                continue;
            }
            child.walk(alert, found);
            if !child.goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(self);
        }
    }

    /// Names the group of an alert at a destination.
    pub(crate) fn group(&self, alert: &Alert) -> String {
        let mut text = self.path.clone();
        for name in &self.settings.group_by {
            let value = value(alert, name).unwrap_or("-");
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}={value}");
        }
        text
    }
}

impl Inhibition {
    /// Whether a lasting alert keeps another one back. Nothing inhibits itself, and of two that each could inhibit the
    /// other neither does.
    pub(crate) fn holds(&self, source: &Alert, target: &Alert) -> bool {
        let lasts = source.ongoing && source.state != AlertState::Resolved;
        lasts
            && source.alert != target.alert
            && all_match(&self.source, source)
            && all_match(&self.target, target)
            && !(all_match(&self.target, source) && all_match(&self.source, target))
            && self.equal.iter().all(|name| {
                value(source, name).is_some() && value(source, name) == value(target, name)
            })
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::Labels;
    use proptest::prelude::*;

    use super::*;

    /// A route that asks for one label, or for nothing.
    fn node(depth: u32) -> BoxedStrategy<Node> {
        let own = (0..4_u8, any::<bool>());
        let children = match depth {
            0 => Just(Vec::new()).boxed(),
            depth => prop::collection::vec(node(depth - 1), 0..4).boxed(),
        };
        (own, children)
            .prop_map(|((label, goes_on), children)| Node {
                matchers: match label {
                    3 => Vec::new(),
                    label => vec![Matcher::exact(&format!("l{label}"), "1")],
                },
                goes_on,
                children,
                ..Node::default()
            })
            .boxed()
    }

    /// Gives every route its place as a name.
    fn name(node: &mut Node, path: &str) {
        path.clone_into(&mut node.path);
        for (index, child) in node.children.iter_mut().enumerate() {
            name(child, &format!("{path}.{index}"));
        }
    }

    /// The same by definition, route by route: it matches, no route before it or before one around it ended the walk, and none
    /// of its own matches.
    fn by_definition(node: &Node, alert: &Alert, found: &mut Vec<String>) {
        if !node.children.iter().any(|child| all_match(&child.matchers, alert)) {
            found.push(node.path.clone());
        }
        for (index, child) in node.children.iter().enumerate() {
            let ends = |before: &Node| all_match(&before.matchers, alert) && !before.goes_on;
            if all_match(&child.matchers, alert) && !node.children[..index].iter().any(ends) {
                by_definition(child, alert, found);
            }
        }
    }

    proptest! {
        #[test]
        fn the_walk_is_what_its_definition_says(mut root in node(3), labels in any::<[bool; 3]>()) {
            name(&mut root, "root");
            let set = (0..3).filter(|index| labels[*index]);
            let labels = set.map(|index| (format!("l{index}"), "1".to_owned())).collect();
            let alert = Alert { labels: Labels(labels), ..Alert::empty() };
            let mut expected = Vec::new();
            by_definition(&root, &alert, &mut expected);
            let tree = Tree { root, ..Tree::default() };
            let walked: Vec<String> = tree.walk(&alert).iter().map(|node| node.path.clone()).collect();
            prop_assert_eq!(walked, expected);
        }
    }
}
