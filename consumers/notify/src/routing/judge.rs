//! Decides what becomes of an alert at a destination, without clock or I/O.

use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_schemas::{Alert, DeliveryState, Severity, Silence};

use super::{
    matcher::{Matcher, all_match},
    open::OpenAlerts,
    tree::{Node, Tree},
};

/// Name of the group of what waits for the end of quiet hours. No route has it: those that collect name a label, too.
pub(crate) const QUIET_GROUP: &str = "quiet hours";

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent now.
    Send,
    /// It is not sent, on purpose.
    Keep(Kept),
    /// It waits.
    Hold(Hold),
}

/// Why a message is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) state: DeliveryState,
    /// Id of the silence, or code of the alert that inhibits it.
    pub(crate) cause: Option<String>,
    /// For people.
    pub(crate) why: String,
    /// Key of the alert that inhibits it.
    pub(crate) source: Option<String>,
}

/// Where a message waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) group: String,
    pub(crate) until_us: i64,
    /// For quiet hours; else for a group.
    pub(crate) quiet: bool,
}

/// One destination of an alert.
#[derive(Debug, Clone)]
pub(crate) struct Target<'t> {
    pub(crate) destination: String,
    pub(crate) node: &'t Node,
    /// Who says so.
    pub(crate) by: By,
}

/// What names a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum By {
    /// The alert's own `routes`.
    Rule,
    /// The route tree.
    Tree,
    /// `notify.unrouted`.
    Unrouted,
    /// A subscription, by its id.
    Subscription(String),
    /// It was told of the alert before.
    Told,
}

/// Which checks are left for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All.
    New,
    /// It has been in its group.
    Collected,
    /// It corrects or ends what people were told: only its hour counts.
    FollowUp,
}

/// The silences that are kept, by id.
#[derive(Debug, Default)]
pub(crate) struct SilenceList(pub(crate) BTreeMap<String, (Silence, Vec<Matcher>)>);

impl SilenceList {
    /// Takes a value of the bucket. `None` removes it.
    pub(crate) fn set(&mut self, id: &str, silence: Option<Silence>) {
        let Some(silence) = silence else {
            self.0.remove(id);
            return;
        };
        let matchers: Result<Vec<_>, _> =
            silence.matchers.iter().map(|text| Matcher::parse(text)).collect();
        match matchers {
            Ok(matchers) if !matchers.is_empty() => {
                self.0.insert(id.to_owned(), (silence, matchers));
            }
            Ok(_) => tracing::error!(id, "a silence without matchers is ignored"),
            Err(error) => {
                tracing::error!(id, error = %error, "a silence that cannot be read is ignored");
            }
        }
    }

    fn matching(&self, alert: &Alert, now_us: i64) -> Option<&Silence> {
        let mut active = self.0.values().filter(|(silence, _)| silence.is_active(now_us));
        active.find(|(_, matchers)| all_match(matchers, alert)).map(|(silence, _)| silence)
    }
}

/// Everything that a verdict depends on, beside the alert.
#[derive(Debug)]
pub(crate) struct View<'v> {
    pub(crate) tree: &'v Tree,
    pub(crate) silences: &'v SilenceList,
    pub(crate) open: &'v OpenAlerts,
}

/// The destinations of an alert, each once, and those that it names and that are not configured.
#[derive(Debug)]
pub(crate) struct Targets<'t> {
    pub(crate) known: Vec<Target<'t>>,
    pub(crate) unknown: Vec<String>,
    /// A route says that no one is told.
    pub(crate) dropped: bool,
}

/// Who is told of an alert. Destinations that it names itself come before the tree, and the tree before `unrouted`.
pub(crate) fn targets<'t>(
    tree: &'t Tree,
    alert: &Alert,
    destinations: &BTreeSet<String>,
    unrouted: Option<&String>,
) -> Targets<'t> {
    let root = &tree.root;
    let own: BTreeSet<&String> = alert.routes.iter().collect();
    let (own, unknown): (Vec<&String>, Vec<&String>) =
        own.into_iter().partition(|name| destinations.contains(*name));
    let unknown = unknown.into_iter().cloned().collect();
    let target =
        |name: &String, node: &'t Node, by: By| Target { destination: name.clone(), node, by };
    if !own.is_empty() {
        let known = own.into_iter().map(|name| target(name, root, By::Rule)).collect();
        return Targets { known, unknown, dropped: false };
    }
    let mut known: Vec<Target<'t>> = Vec::new();
    let mut dropped = false;
    for node in tree.walk(alert) {
        dropped |= node.settings.destinations.as_ref().is_some_and(Vec::is_empty);
        for name in node.settings.destinations.iter().flatten() {
            // A destination that is gone since the file was read is as one that was never named.
            let is_new = known.iter().all(|one| one.destination != *name);
            if is_new && destinations.contains(name) {
                known.push(target(name, node, By::Tree));
            }
        }
    }
    dropped &= known.is_empty();
    if known.is_empty() && !dropped {
        known.extend(unrouted.map(|name| target(name, root, By::Unrouted)));
    }
    Targets { known, unknown, dropped }
}

impl View<'_> {
    /// What becomes of an alert at a destination.
    pub(crate) fn judge(
        &self,
        alert: &Alert,
        destination: &str,
        node: &Node,
        stage: Stage,
        now_us: i64,
    ) -> Verdict {
        if stage != Stage::FollowUp
            && let Some(kept) = self.kept(alert, now_us)
        {
            return Verdict::Keep(kept);
        }
        if alert.severity == Severity::Critical {
            return Verdict::Send;
        }
        let quiet = [self.tree.quiet.get(destination), node.settings.quiet.as_ref()];
        let quiet = quiet.into_iter().flatten();
        let in_force = quiet.filter_map(|hours| Some((hours.drop, hours.until(now_us)?)));
        // Of two the one that drops counts, else the one that ends later.
        if let Some((drop, until_us)) = in_force.max() {
            if drop && stage != Stage::FollowUp {
                return Verdict::Keep(Kept {
                    state: DeliveryState::Muted,
                    cause: None,
                    why: format!("quiet hours of {destination}, which drop"),
                    source: None,
                });
            }
            return Verdict::Hold(Hold { group: QUIET_GROUP.to_owned(), until_us, quiet: true });
        }
        let collect_us = node.settings.collect_us;
        if stage != Stage::Collected && collect_us > 0 && !node.settings.group_by.is_empty() {
            let until_us = now_us.saturating_add(collect_us);
            return Verdict::Hold(Hold { group: node.group(alert), until_us, quiet: false });
        }
        Verdict::Send
    }

    /// Whether a silence or another alert keeps it back.
    pub(crate) fn kept(&self, alert: &Alert, now_us: i64) -> Option<Kept> {
        if let Some(silence) = self.silences.matching(alert, now_us) {
            return Some(Kept {
                state: DeliveryState::Silenced,
                cause: Some(silence.id.clone()),
                why: format!("silence {} by {}: {}", silence.id, silence.author, silence.reason),
                source: None,
            });
        }
        if let Some((silence, window)) = self
            .tree
            .silences
            .iter()
            .find_map(|silence| Some((silence, silence.holds(alert, now_us)?)))
        {
            let cause = silence.cause(window);
            return Some(Kept {
                state: DeliveryState::Silenced,
                why: format!("silence {cause}: {}", silence.reason),
                cause: Some(cause),
                source: None,
            });
        }
        self.tree.inhibitions.iter().find_map(|inhibition| {
            let mut lasting = self.open.lasting();
            let source = lasting.find(|source| inhibition.holds(source, alert))?;
            Some(Kept {
                state: DeliveryState::Inhibited,
                cause: Some(source.code.clone()),
                why: format!("inhibited by {} #{}: {}", source.rule, source.code, source.title),
                source: Some(source.alert.clone()),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use crypto_intel_schemas::Labels;

    use super::*;
    use crate::routing::{
        file::parse,
        open::{Open, OpenRecord},
    };

    const NOW: i64 = 1_780_000_000_000_000;

    fn tree(text: &str) -> Tree {
        let known = ["ops".to_owned(), "desk".to_owned()].into();
        parse(Path::new("routes.toml"), text, &known).unwrap()
    }

    fn alert(key: &str, rule: &str, severity: Severity) -> Alert {
        let labels = Labels::from([("chain", "base")]);
        Alert { alert: key.into(), rule: rule.into(), severity, labels, ..Alert::empty() }
    }

    fn open(alert: Alert) -> OpenAlerts {
        let record = OpenRecord {
            alert: alert.alert.clone(),
            sequence: 1,
            fired_n: 1,
            fired_sequence: 1,
            since_us: 0,
            told: BTreeSet::new(),
            inhibits: false,
            reminders: Vec::new(),
            escalations: Vec::new(),
            is_taken_told: false,
            is_gone: false,
            forget_us: None,
        };
        OpenAlerts([(alert.alert.clone(), Open { record, alert })].into())
    }

    fn kept(tree: &Tree, open: &OpenAlerts, alert: &Alert) -> Option<DeliveryState> {
        let silences = SilenceList::default();
        let view = View { tree, silences: &silences, open };
        view.kept(alert, NOW).map(|kept| kept.state)
    }

    const INHIBIT: &str = "[[inhibit]]\nsource = [\"rule=~.*stale\"]\ntarget = [\"severity!=critical\"]\nequal = [\"chain\"]\n";

    #[test]
    fn only_what_lasts_inhibits_and_only_others() {
        let tree = tree(INHIBIT);
        let target = alert("t", "gas", Severity::Warning);
        let source = alert("s", "chain-stale", Severity::Critical);
        let lasting = Alert { ongoing: true, ..source.clone() };
        let inhibited = Some(DeliveryState::Inhibited);
        assert_eq!(kept(&tree, &open(lasting.clone()), &target), inhibited);
        assert_eq!(kept(&tree, &open(source), &target), None, "an event is over at once");
        assert_eq!(kept(&tree, &open(lasting.clone()), &lasting), None);
        let mut over = open(lasting.clone());
        over.0.get_mut("s").unwrap().record.forget_us = Some(NOW);
        assert_eq!(kept(&tree, &over, &target), None);
        let nowhere = Alert { labels: Labels::default(), ..target.clone() };
        assert_eq!(kept(&tree, &open(lasting.clone()), &nowhere), None, "missing is not equal");
        let both_miss = Alert { labels: Labels::default(), ..lasting.clone() };
        assert_eq!(kept(&tree, &open(both_miss), &nowhere), None);
        // Both could inhibit the other: neither does.
        let soft = Alert { severity: Severity::Warning, ..lasting };
        let other = alert("o", "price-stale", Severity::Info);
        assert_eq!(kept(&tree, &open(soft), &other), None);
    }

    #[test]
    fn a_silence_counts_while_it_is_in_force_and_before_an_inhibition() {
        let mut silences = SilenceList::default();
        let silence = Silence {
            id: "K7Q2M".into(),
            matchers: vec!["rule=gas".into(), "chain=base".into()],
            starts_us: NOW,
            ends_us: NOW + 10,
            author: "ana".into(),
            reason: "upgrade".into(),
            ended_by: None,
            told_us: None,
        };
        silences.set("K7Q2M", Some(silence.clone()));
        silences.set("BAD", Some(Silence { matchers: vec!["rule".into()], ..silence }));
        let tree = tree(INHIBIT);
        let source = Alert { ongoing: true, ..alert("s", "chain-stale", Severity::Critical) };
        let open = open(source);
        let view = View { tree: &tree, silences: &silences, open: &open };
        let target = alert("t", "gas", Severity::Warning);
        let state = |at| view.kept(&target, at).map(|kept| kept.state);
        assert_eq!(state(NOW - 1), Some(DeliveryState::Inhibited));
        assert_eq!(state(NOW), Some(DeliveryState::Silenced));
        assert_eq!(state(NOW + 9), Some(DeliveryState::Silenced));
        assert_eq!(state(NOW + 10), Some(DeliveryState::Inhibited));
    }

    #[test]
    fn destinations_come_from_the_rule_else_the_tree_else_the_rest() {
        let tree = tree(
            "[[route]]\nmatch = [\"rule=gas\"]\ndestinations = [\"desk\"]\n[[route]]\nmatch = [\"rule=test\"]\ndestinations = []\n",
        );
        let known = ["ops".to_owned(), "desk".to_owned()].into();
        let rest = "ops".to_owned();
        let of = |rule: &str, routes: &[&str]| {
            let routes = routes.iter().map(|route| (*route).to_owned()).collect();
            let alert = Alert { routes, ..alert("a", rule, Severity::Info) };
            let all = targets(&tree, &alert, &known, Some(&rest));
            let names: Vec<(String, By)> =
                all.known.into_iter().map(|target| (target.destination, target.by)).collect();
            (names, all.unknown, all.dropped)
        };
        let one = |name: &str, by| vec![(name.to_owned(), by)];
        assert_eq!(of("gas", &["ops"]), (one("ops", By::Rule), vec![], false));
        assert_eq!(of("gas", &[]), (one("desk", By::Tree), vec![], false));
        assert_eq!(of("whale", &[]), (one("ops", By::Unrouted), vec![], false));
        assert_eq!(of("test", &[]), (vec![], vec![], true));
        let gone = vec!["gone".to_owned()];
        assert_eq!(of("gas", &["gone", "ops"]), (one("ops", By::Rule), gone.clone(), false));
        assert_eq!(of("whale", &["gone"]), (one("ops", By::Unrouted), gone, false));
    }
}
