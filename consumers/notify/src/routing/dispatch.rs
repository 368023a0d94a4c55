//! Decides of alerts, one after the other, what becomes of them at each of their destinations: sent, kept back, or left to
//! wait. What was decided is then done side by side, and every step of that may be repeated after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{Acknowledgement, Alert, AlertState};
use crypto_intel_service::RecordingRetry;

use super::{
    effects::Act,
    judge::{By, SilenceList, Stage, Target, Targets, Verdict, View, targets},
    look_back::{Before, LookedBack},
    open::{
        CORRECTED_WITHIN_US, Due, GroupId, HeldGroup, Open, OpenAlerts, OpenRecord, Reminder,
        RoutingStore, Unsaved,
    },
    over::Overs,
    subscriptions::SubscriptionList,
    tree::Tree,
};
use crate::{
    metrics::Metrics,
    records::{delivery::notification, record::Records},
    render::{Language, Words},
};

/// What does not change while notify runs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) nats: Nats,
    /// Channels of the destinations, by their names.
    pub(crate) channels: BTreeMap<String, &'static str>,
    pub(crate) destinations: BTreeSet<String>,
    /// Destination of alerts that nothing places.
    pub(crate) unrouted: Option<String>,
    pub(crate) metrics: Metrics,
    /// Destinations where an alert is an incident.
    pub(crate) incidents: BTreeSet<String>,
    /// Languages of the destinations.
    pub(crate) languages: BTreeMap<String, Language>,
}

impl Setup {
    /// The words of a destination's language.
    pub(crate) fn words(&self, destination: &str) -> &'static Words {
        self.languages.get(destination).copied().unwrap_or_default().words()
    }
}

/// The router's state, while this instance routes.
#[derive(Debug)]
pub(crate) struct Dispatcher<'a> {
    pub(crate) setup: &'a Setup,
    /// This instance.
    pub(crate) owner: String,
    pub(crate) retry: RecordingRetry,
    pub(crate) records: Records,
    pub(crate) store: RoutingStore,
    /// The bucket of silences.
    pub(crate) silences_kv: Kv,
    pub(crate) tree: Arc<Tree>,
    pub(crate) silences: SilenceList,
    pub(crate) subscriptions: SubscriptionList,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) open: OpenAlerts,
    pub(crate) held: BTreeMap<GroupId, HeldGroup>,
    /// What has to be written.
    pub(crate) unsaved: Unsaved,
    /// What is over and not told everywhere yet.
    pub(crate) over: Overs,
    /// When each destination got its last sign of life.
    pub(crate) beats: BTreeMap<String, i64>,
}

impl<'a> Dispatcher<'a> {
    /// The state that the last instance left.
    pub(crate) async fn load(
        setup: &'a Setup,
        owner: &str,
        retry: &RecordingRetry,
    ) -> anyhow::Result<Self> {
        let store = RoutingStore::open(&setup.nats, retry).await?;
        let silences_kv = setup.nats.kv(Bucket::Silences).await.context("open bucket silences")?;
        let dispatcher = Self {
            setup,
            owner: owner.to_owned(),
            retry: retry.clone(),
            records: Records::open(&setup.nats, retry.clone())
                .await
                .context("open bucket deliveries")?,
            silences_kv,
            tree: Arc::default(),
            silences: SilenceList::default(),
            subscriptions: SubscriptionList::default(),
            acknowledged: BTreeSet::new(),
            open: store.load_open().await?,
            held: store.load_held().await?,
            unsaved: Unsaved::default(),
            over: Overs::default(),
            beats: BTreeMap::new(),
            store,
        };
        for name in &setup.destinations {
            dispatcher.count_held(name);
        }
        Ok(dispatcher)
    }

    /// Puts another tree in force. What waits for the end of quiet hours is judged by it at once.
    pub(crate) fn set_tree(&mut self, tree: Arc<Tree>) {
        self.tree = tree;
        for group in self.held.values_mut().filter(|group| group.hold.quiet) {
            group.hold.until_us = 0;
        }
    }

    /// Someone takes care of an alert.
    pub(crate) fn acknowledged(&mut self, value: Option<&[u8]>) {
        let read = value.and_then(|value| serde_json::from_slice::<Acknowledgement>(value).ok());
        self.acknowledged.extend(read.map(|acknowledgement| acknowledgement.alert));
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { tree: &self.tree, silences: &self.silences, open: &self.open }
    }

    pub(super) fn targets<'t>(&self, tree: &'t Tree, alert: &Alert) -> Targets<'t> {
        let mut all = targets(tree, alert, &self.setup.destinations, self.setup.unrouted.as_ref());
        self.subscriptions.add_to(&mut all, tree, alert, &self.setup.destinations);
        let told = self.open.0.get(&alert.alert).map(|open| &open.record.told);
        for name in told.into_iter().flatten() {
            if all.known.iter().all(|target| target.destination != *name)
                && self.setup.destinations.contains(name)
            {
                let (destination, node) = (name.clone(), &tree.root);
                all.known.push(Target { destination, node, by: By::Told });
            }
        }
        all
    }

    /// Decides what becomes of an alert at all its destinations. Nothing is done yet, but that earlier messages of the alert
    /// which wait are told first.
    pub(crate) async fn decide(
        &mut self,
        alert: &Alert,
        sequence: u64,
        trace: Option<&str>,
        back: &LookedBack,
        now: i64,
    ) -> anyhow::Result<Decided> {
        let tree = Arc::clone(&self.tree);
        let Targets { known, unknown, dropped } = self.targets(&tree, alert);
        let mut told = BTreeSet::new();
        let mut acts = Vec::new();
        for target in &known {
            let name = &target.destination;
            let Some(verdict) = self.verdict(&tree, alert, target, back, now) else { continue };
            match verdict {
                Verdict::Send => {
                    self.release_earlier(&tree, alert, name).await?;
                    let trace = trace.map(ToOwned::to_owned);
                    acts.push(Act::Send { message: notification(alert, name), trace });
                    told.insert(name.clone());
                }
                Verdict::Hold(hold) => {
                    self.hold(alert, sequence, name, hold);
                    told.insert(name.clone());
                }
                Verdict::Keep(kept) => {
                    self.mark_inhibiting(kept.source.as_deref());
                    acts.push(Act::Keep { message: notification(alert, name), kept });
                }
            }
        }
        self.remember(alert, sequence, &known, told, now);
        let any = !known.is_empty();
        Ok(Decided { routed: Routed { unknown, any, dropped }, acts })
    }

    /// Writes what was decided.
    pub(crate) async fn save(&mut self) -> anyhow::Result<()> {
        self.store.save(&mut self.unsaved, &self.open, &self.held).await
    }

    /// What becomes of an alert at a destination: a follow-up as what it follows. `None` for a destination that never
    /// heard of it, because the routes have changed since.
    fn verdict(
        &self,
        tree: &Tree,
        alert: &Alert,
        target: &Target<'_>,
        back: &LookedBack,
        now: i64,
    ) -> Option<Verdict> {
        let name = &target.destination;
        let view = View { tree, ..self.view() };
        let judge = |stage| view.judge(alert, name, target.node, stage, now);
        let before = back.get(&(alert.alert.clone(), name.clone())).cloned().flatten();
        if alert.state == AlertState::Fired {
            // It is told, whatever would be decided of it now: others are told of it in time, and of its end.
            let is_told = matches!(before, Some(Before::Told));
            return Some(if is_told { Verdict::Send } else { judge(Stage::New) });
        }
        match before {
            Some(Before::Kept(kept)) if self.was_kept(alert, name) => Some(Verdict::Keep(kept)),
            Some(Before::Told) => Some(judge(Stage::FollowUp)),
            Some(Before::Kept(_)) | None => {
                let open = self.open.0.get(&alert.alert).map(|open| &open.record);
                let is_told = open.is_none_or(|record| record.told.contains(name));
                is_told.then(|| judge(Stage::FollowUp))
            }
        }
    }

    /// Whether the message before this one may have been kept back: its destination was not told of the alert since.
    pub(super) fn was_kept(&self, alert: &Alert, name: &str) -> bool {
        let open = self.open.0.get(&alert.alert);
        open.is_none_or(|open| !open.record.told.contains(name))
    }

    /// An alert keeps another one back.
    pub(super) fn mark_inhibiting(&mut self, source: Option<&str>) {
        let Some(open) = source.and_then(|source| self.open.0.get_mut(source)) else { return };
        if !open.record.inhibits {
            open.record.inhibits = true;
            self.unsaved.open.insert(open.record.alert.clone());
        }
    }

    /// Keeps what lasts or may escalate, and what is over, for a while.
    fn remember(
        &mut self,
        alert: &Alert,
        sequence: u64,
        targets: &[Target<'_>],
        told: BTreeSet<String>,
        now: i64,
    ) {
        if alert.state != AlertState::Fired {
            let open = self.open.0.get_mut(&alert.alert);
            if open.is_some_and(|open| open.follow(alert, sequence, now)) {
                self.unsaved.open.insert(alert.alert.clone());
            }
            return;
        }
        let before = self.open.0.get(&alert.alert);
        // One that comes again after a later word about it changes nothing.
        if before.is_some_and(|open| alert.n <= open.alert.n) {
            return;
        }
        let record = OpenRecord::of(alert, sequence, targets, told, now);
        let mut record = record.after(before.map(|open| &open.record));
        if !alert.ongoing && record.escalations.is_empty() {
            // Where it is an incident people may still say that they take care of it.
            if record.told.is_disjoint(&self.setup.incidents) {
                return;
            }
            record.forget_us = Some(now + CORRECTED_WITHIN_US);
        }
        self.unsaved.open.insert(alert.alert.clone());
        self.open.0.insert(alert.alert.clone(), Open { record, alert: alert.clone() });
    }
}

impl OpenRecord {
    /// That of an alert which has fired, by the routes that told of it.
    fn of(
        alert: &Alert,
        sequence: u64,
        targets: &[Target<'_>],
        told: BTreeSet<String>,
        now: i64,
    ) -> Self {
        let mut reminders = Vec::new();
        let mut escalations: Vec<Due> = Vec::new();
        for target in targets.iter().filter(|target| told.contains(&target.destination)) {
            let settings = &target.node.settings;
            if alert.ongoing && settings.remind_us > 0 {
                reminders.push(Reminder {
                    destination: target.destination.clone(),
                    every_us: settings.remind_us,
                    due_us: now.saturating_add(settings.remind_us),
                    count: 1,
                });
            }
            let due = settings.escalate.as_ref().map(|escalate| Due {
                to: escalate.to.clone(),
                after_us: escalate.after_us,
                due_us: now.saturating_add(escalate.after_us),
            });
            escalations.extend(due.filter(|due| !escalations.contains(due)));
        }
        Self {
            alert: alert.alert.clone(),
            sequence,
            fired_n: alert.n,
            fired_sequence: sequence,
            since_us: now,
            told,
            inhibits: false,
            reminders,
            escalations,
            is_taken_told: false,
            is_gone: false,
            forget_us: None,
        }
    }

    /// The same for an alert that had fired before.
    fn after(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.since_us = earlier.since_us;
            self.told.extend(earlier.told.iter().cloned());
            self.inhibits = earlier.inhibits;
        }
        self
    }
}

/// What an alert comes to.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) routed: Routed,
    /// In the order of its destinations.
    pub(crate) acts: Vec<Act>,
}

/// What became of an alert as a whole.
#[derive(Debug)]
pub(crate) struct Routed {
    /// Destinations that it names and that are not configured.
    pub(crate) unknown: Vec<String>,
    /// It has a destination.
    pub(crate) any: bool,
    /// A route says that no one is told.
    pub(crate) dropped: bool,
}
