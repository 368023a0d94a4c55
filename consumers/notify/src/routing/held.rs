//! Messages that wait for their group or for the end of quiet hours.

use std::{collections::BTreeSet, sync::Arc};

use crypto_intel_schemas::{Alert, AlertState};
use crypto_intel_service::now_us;
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{
    dispatch::Dispatcher,
    judge::{Hold, Kept, Stage, Verdict, View},
    look_back::Before,
    open::{AT_ONCE, GroupId, HeldGroup},
    tree::Tree,
};
use crate::records::delivery::notification;

impl Dispatcher<'_> {
    /// Lets a message wait.
    pub(crate) fn hold(&mut self, alert: &Alert, sequence: u64, destination: &str, hold: Hold) {
        let id = HeldGroup::id(destination, &hold.group);
        let group =
            self.held.entry(id.clone()).or_insert_with(|| HeldGroup::new(destination, hold));
        group.alerts.insert(alert.alert.clone());
        if let Some(part) = group.add(sequence) {
            self.unsaved.held.insert((id, part));
        }
        self.count_held(destination);
    }

    pub(crate) fn count_held(&self, destination: &str) {
        let own = self.held.values().filter(|group| group.destination == destination);
        let count: usize = own.map(HeldGroup::len).sum();
        let gauge = self.setup.metrics.held.with_label_values(&[destination]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A message that is sent at once does not overtake those of the same alert that wait in a group.
    pub(super) async fn release_earlier(
        &mut self,
        tree: &Tree,
        alert: &Alert,
        destination: &str,
    ) -> anyhow::Result<()> {
        let waits = |group: &HeldGroup| {
            group.destination == destination
                && !group.hold.quiet
                && group.alerts.contains(&alert.alert)
        };
        let ids: Vec<_> =
            self.held.iter().filter(|(_, group)| waits(group)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.release(tree, &id).await?;
        }
        Ok(())
    }

    /// Tells the groups whose time has come.
    pub(crate) async fn release_due(&mut self, now: i64) -> anyhow::Result<()> {
        let due = self.held.iter().filter(|(_, group)| group.hold.until_us <= now);
        let ids: Vec<_> = due.map(|(id, _)| id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let tree = Arc::clone(&self.tree);
        for id in ids {
            self.release(&tree, &id).await?;
        }
        Ok(())
    }

    /// Judges the oldest messages of a group again and sends those that are left, as one. The next ones come with the next
    /// call: a long night must not delay what is urgent.
    async fn release(&mut self, tree: &Tree, id: &GroupId) -> anyhow::Result<()> {
        let Some(mut group) = self.held.get(id).cloned() else { return Ok(()) };
        let Some((number, sequences)) = group.first_part() else {
            self.held.remove(id);
            return Ok(());
        };
        let now = now_us();
        let destination = group.destination.clone();
        let mut messages = Vec::with_capacity(sequences.len());
        let mut waiting = BTreeSet::new();
        for (sequence, alert) in self.read(sequences).await? {
            let Some(alert) = alert else {
                tracing::error!(sequence, "a waiting alert is no longer in ALERT and is not told");
                continue;
            };
            match self.judge_again(tree, &alert, &group, now).await? {
                Verdict::Send => messages.push(notification(&alert, &destination)),
                Verdict::Keep(kept) => self.keep_held(&alert, &destination, kept).await?,
                Verdict::Hold(hold) if hold.group == group.hold.group => {
                    group.hold = hold;
                    waiting.insert(sequence);
                }
                Verdict::Hold(hold) => self.hold(&alert, sequence, &destination, hold),
            }
        }
        self.send_together(messages, &group, now).await?;
        group.keep_of_part(number, waiting);
        self.unsaved.held.insert((id.clone(), number));
        if group.first_part().is_none() {
            self.held.remove(id);
        } else {
            self.held.insert(id.clone(), group);
        }
        self.count_held(&destination);
        Ok(())
    }

    /// The alerts at these sequences of ALERT, in their order.
    async fn read(&self, sequences: Vec<u64>) -> anyhow::Result<Vec<(u64, Option<Alert>)>> {
        let reads = sequences.iter().map(|sequence| self.store.alert(*sequence).boxed());
        let reads: Vec<BoxFuture<'_, anyhow::Result<Option<Alert>>>> = reads.collect();
        let alerts: Vec<Option<Alert>> =
            stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(sequences.into_iter().zip(alerts).collect())
    }

    /// A message that waited is kept back after all.
    async fn keep_held(
        &mut self,
        alert: &Alert,
        destination: &str,
        kept: Kept,
    ) -> anyhow::Result<()> {
        self.keep_back(&notification(alert, destination), &kept).await?;
        if let Some(open) = self.open.0.get_mut(&alert.alert) {
            open.record.told.remove(destination);
            self.unsaved.open.insert(alert.alert.clone());
        }
        self.mark_inhibiting(kept.source.as_deref());
        Ok(())
    }

    async fn judge_again(
        &self,
        tree: &Tree,
        alert: &Alert,
        group: &HeldGroup,
        now: i64,
    ) -> anyhow::Result<Verdict> {
        let destination = &group.destination;
        let all = self.targets(tree, alert).known;
        let target = all.into_iter().find(|target| target.destination == *destination);
        let node = target.map_or(&tree.root, |target| target.node);
        let view = View { tree, ..self.view() };
        if alert.state == AlertState::Fired {
            return Ok(view.judge(alert, destination, node, Stage::Collected, now));
        }
        if self.was_kept(alert, destination)
            && let Some(Before::Kept(kept)) = self.told_before(alert, destination).await?
        {
            return Ok(Verdict::Keep(kept));
        }
        Ok(match view.judge(alert, destination, node, Stage::FollowUp, now) {
            Verdict::Hold(hold) if !hold.quiet => Verdict::Send,
            verdict => verdict,
        })
    }
}
