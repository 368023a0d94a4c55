//! Does what was decided of an alert at each of its destinations: sends, keeps back, or lets wait. Every step may be
//! repeated after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{Acknowledgement, Alert, AlertState};
use crypto_intel_service::{RecordingRetry, now_us};

use super::{
    judge::{By, Kept, SilenceList, Stage, Target, Targets, Verdict, View, targets},
    open::{Due, HeldGroup, Open, OpenAlerts, OpenRecord, Reminder, RoutingStore},
    tree::Tree,
};
use crate::{
    metrics::Metrics,
    records::{
        delivery::{delivery_id, notification},
        record::{Records, UnreadableRecord},
    },
};

/// What is over is remembered so long: its last message may come again.
const FORGET_AFTER_US: i64 = 600_000_000;

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
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) open: OpenAlerts,
    pub(crate) held: BTreeMap<(String, String), HeldGroup>,
    /// Summaries that wait for the end of quiet hours, by what is over.
    pub(crate) postponed: BTreeMap<String, i64>,
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
            acknowledged: BTreeSet::new(),
            open: store.load_open().await?,
            held: store.load_held().await?,
            postponed: BTreeMap::new(),
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
        self.postponed.clear();
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

    /// Brings an alert to all its destinations. Returns those that are not configured, and whether there was any.
    pub(crate) async fn route(
        &mut self,
        alert: &Alert,
        sequence: u64,
        trace: Option<&str>,
    ) -> anyhow::Result<Routed> {
        let now = now_us();
        let tree = Arc::clone(&self.tree);
        self.release_due(now).await?;
        self.route_by(&tree, alert, sequence, trace, now).await
    }

    async fn route_by(
        &mut self,
        tree: &Tree,
        alert: &Alert,
        sequence: u64,
        trace: Option<&str>,
        now: i64,
    ) -> anyhow::Result<Routed> {
        let Targets { known, unknown, dropped } = self.targets(tree, alert);
        let mut told = BTreeSet::new();
        let mut sources = BTreeSet::new();
        for target in &known {
            let Some(verdict) = self.verdict(tree, alert, target, now).await? else { continue };
            match verdict {
                Verdict::Send => {
                    self.release_earlier(tree, alert, &target.destination).await?;
                    self.send(notification(alert, &target.destination), trace).await?;
                    told.insert(target.destination.clone());
                }
                Verdict::Hold(hold) => {
                    self.hold(alert, sequence, &target.destination, hold).await?;
                    told.insert(target.destination.clone());
                }
                Verdict::Keep(kept) => {
                    self.keep_back(&notification(alert, &target.destination), &kept).await?;
                    sources.extend(kept.source);
                }
            }
        }
        for source in sources {
            self.mark_inhibiting(&source).await?;
        }
        self.remember(alert, sequence, &known, told, now).await?;
        let any = !known.is_empty();
        Ok(Routed { unknown, any, dropped })
    }

    /// What becomes of an alert at a destination: a follow-up as what it follows. `None` for a destination that never
    /// heard of it, because the routes have changed since.
    async fn verdict(
        &self,
        tree: &Tree,
        alert: &Alert,
        target: &Target<'_>,
        now: i64,
    ) -> anyhow::Result<Option<Verdict>> {
        let view = View { tree, ..self.view() };
        let judge = |stage| view.judge(alert, &target.destination, target.node, stage, now);
        if alert.state == AlertState::Fired {
            return Ok(Some(judge(Stage::New)));
        }
        if let Some(kept) = self.kept_before(alert, &target.destination).await? {
            return Ok(Some(Verdict::Keep(kept)));
        }
        let open = self.open.0.get(&alert.alert).map(|open| &open.record);
        let is_told = open.is_none_or(|record| record.told.contains(&target.destination));
        Ok(is_told.then(|| judge(Stage::FollowUp)))
    }

    /// Why the message before this one was kept back, if it was and its end was not told since.
    pub(super) async fn kept_before(
        &self,
        alert: &Alert,
        name: &str,
    ) -> anyhow::Result<Option<Kept>> {
        let open = self.open.0.get(&alert.alert).map(|open| &open.record);
        if open.is_some_and(|record| record.told.contains(name)) {
            return Ok(None);
        }
        let n = open.map_or(1, |record| record.fired_n);
        let fired = Alert { state: AlertState::Fired, n, ..alert.clone() };
        let loaded = self.records.load(name, &delivery_id(&fired, name)).await;
        let stored = match loaded {
            Err(error) if error.is::<UnreadableRecord>() => None,
            other => other?,
        };
        let Some((record, ending)) =
            stored.and_then(|stored| stored.record.ending().map(|ending| (stored.record, ending)))
        else {
            return Ok(None);
        };
        Ok(ending.state.is_kept_back().then(|| Kept {
            state: ending.state,
            cause: record.cause,
            why: format!("as what it follows: {}", ending.error.unwrap_or_default()),
            source: None,
        }))
    }

    pub(crate) async fn mark_inhibiting(&mut self, source: &str) -> anyhow::Result<()> {
        let Some(open) = self.open.0.get_mut(source) else { return Ok(()) };
        if open.record.inhibits {
            return Ok(());
        }
        open.record.inhibits = true;
        let record = open.record.clone();
        self.store.save_open(&record).await
    }

    /// Keeps what lasts or may escalate, and what is over, for a while.
    async fn remember(
        &mut self,
        alert: &Alert,
        sequence: u64,
        targets: &[Target<'_>],
        told: BTreeSet<String>,
        now: i64,
    ) -> anyhow::Result<()> {
        if alert.state != AlertState::Fired {
            let Some(open) = self.open.0.get_mut(&alert.alert) else { return Ok(()) };
            (open.record.sequence, open.alert) = (sequence, alert.clone());
            open.record.forget_us = Some(now + FORGET_AFTER_US);
            let record = open.record.clone();
            return self.store.save_open(&record).await;
        }
        let before = self.open.0.get(&alert.alert).map(|open| &open.record);
        if before.is_some_and(|record| record.sequence == sequence) {
            return Ok(());
        }
        let is_told = |target: &&Target<'_>| told.contains(&target.destination);
        let mut reminders = Vec::new();
        let mut escalations: Vec<Due> = Vec::new();
        for target in targets.iter().filter(is_told) {
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
        if !alert.ongoing && escalations.is_empty() {
            return Ok(());
        }
        let earlier = before.cloned();
        let record = OpenRecord {
            alert: alert.alert.clone(),
            sequence,
            fired_n: alert.n,
            since_us: earlier.as_ref().map_or(now, |record| record.since_us),
            told: earlier.iter().flat_map(|record| record.told.clone()).chain(told).collect(),
            inhibits: earlier.is_some_and(|record| record.inhibits),
            reminders,
            escalations,
            forget_us: None,
        };
        self.store.save_open(&record).await?;
        self.open.0.insert(alert.alert.clone(), Open { record, alert: alert.clone() });
        Ok(())
    }
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
