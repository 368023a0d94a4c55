//! What happens by the clock: reminders, escalation, the ends of silences, signs of life.

use std::sync::Arc;

use crypto_intel_schemas::{Alert, AlertState, Notification, short_code, subjects};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};

use super::{
    dispatch::Dispatcher,
    judge::{Stage, Verdict, View, targets},
    open::{Due, Open, Reminder},
    text,
    tree::Tree,
};
use crate::records::delivery::{delivery_id, notification};

/// When a destination got its last sign of life: a value of the bucket `routing`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Beat {
    due_us: i64,
}

impl Dispatcher<'_> {
    /// Does all whose time has come.
    pub(crate) async fn tick(&mut self) -> anyhow::Result<()> {
        let now = now_us();
        self.release_due(now).await?;
        let tree = Arc::clone(&self.tree);
        self.tick_by(&tree, now).await?;
        self.end_silences(now).await?;
        self.end_inhibitions(now).await
    }

    async fn tick_by(&mut self, tree: &Tree, now: i64) -> anyhow::Result<()> {
        let due: Vec<String> = self
            .open
            .0
            .values()
            .filter(|open| open.record.is_due(now))
            .map(|open| open.record.alert.clone())
            .collect();
        for key in due {
            self.advance(tree, &key, now).await?;
        }
        self.beat(tree, now).await
    }

    /// Reminds of an open alert, escalates it or forgets it.
    async fn advance(&mut self, tree: &Tree, key: &str, now: i64) -> anyhow::Result<()> {
        let Some(open) = self.open.0.get(key).cloned() else { return Ok(()) };
        if open.record.forget_us.is_some_and(|at| at <= now) {
            // Those that it kept back are told first.
            if !open.record.inhibits {
                self.store.forget_open(key).await?;
                self.open.0.remove(key);
            }
            return Ok(());
        }
        let mut record = open.record.clone();
        let is_taken = self.acknowledged.contains(key) || record.forget_us.is_some();
        for reminder in &mut record.reminders {
            if reminder.due_us > now {
                continue;
            }
            if !is_taken {
                self.remind(tree, &open.alert, reminder, record.since_us, now).await?;
                reminder.count += 1;
            }
            let missed = (now - reminder.due_us) / reminder.every_us.max(1);
            reminder.due_us += (missed + 1) * reminder.every_us.max(1);
        }
        let (due, later) = std::mem::take(&mut record.escalations)
            .into_iter()
            .partition(|due: &Due| due.due_us <= now);
        let due: Vec<Due> = due;
        record.escalations = later;
        for due in due.iter().filter(|_| !is_taken) {
            for name in &due.to {
                let is_new = self.setup.destinations.contains(name) && !record.told.contains(name);
                if is_new && self.escalate(tree, &open, name, due, now).await? {
                    record.told.insert(name.clone());
                }
            }
        }
        let is_over = !open.alert.ongoing && record.escalations.is_empty();
        if is_over && record.forget_us.is_none() {
            // A correction may follow, and those who were told are told of it.
            record.forget_us = Some(now + 86_400_000_000);
        }
        self.store.save_open(&record).await?;
        if let Some(open) = self.open.0.get_mut(key) {
            open.record = record;
        }
        Ok(())
    }

    /// Tells once more that an alert lasts, unless it is kept back now or its destination sleeps.
    async fn remind(
        &self,
        tree: &Tree,
        alert: &Alert,
        reminder: &Reminder,
        since_us: i64,
        now: i64,
    ) -> anyhow::Result<()> {
        let name = &reminder.destination;
        let setup = self.setup;
        if !setup.destinations.contains(name) {
            return Ok(());
        }
        let all = targets(tree, alert, &setup.destinations, setup.unrouted.as_ref()).known;
        let node = all.iter().find(|target| target.destination == *name);
        let node = node.map_or(&tree.root, |target| target.node);
        let view = View { tree, ..self.view() };
        if view.judge(alert, name, node, Stage::Collected, now) != Verdict::Send {
            return Ok(());
        }
        let mut message = notification(alert, name);
        message.id = format!("{}:remind:{}", message.id, reminder.count);
        let lasts = text::duration(now - since_us);
        message.alert.lines.push(format!("lasts for {lasts}, not acknowledged"));
        message.observed_at_us = now;
        self.send(message, None).await
    }

    /// Tells others, because no one acknowledged; whether they were told.
    async fn escalate(
        &mut self,
        tree: &Tree,
        open: &Open,
        name: &str,
        due: &Due,
        now: i64,
    ) -> anyhow::Result<bool> {
        let (alert, sequence) = (&open.alert, open.record.sequence);
        let mut message = notification(alert, name);
        let after = text::duration(due.after_us);
        message.alert.lines.push(format!("not acknowledged within {after}"));
        message.observed_at_us = now;
        let view = View { tree, ..self.view() };
        match view.judge(alert, name, &tree.root, Stage::Collected, now) {
            Verdict::Keep(kept) => {
                self.keep_back(&message, &kept).await?;
                return Ok(false);
            }
            Verdict::Hold(hold) => self.hold(alert, sequence, name, hold).await?,
            Verdict::Send => self.send(message, None).await?,
        }
        tracing::warn!(
            code = alert.code,
            rule = alert.rule,
            destination = name,
            after,
            "alert was not acknowledged, others are told"
        );
        Ok(true)
    }

    /// Signs of life.
    async fn beat(&mut self, tree: &Tree, now: i64) -> anyhow::Result<()> {
        for (name, heartbeat) in &tree.heartbeats {
            let key = format!("beat.{}", subjects::token(name));
            let last = match self.beats.get(name) {
                Some(last) => *last,
                None => {
                    // Of a destination that never had one the first comes at its next time.
                    let beat = self.store.get::<Beat>(&key).await?;
                    let beat = match beat {
                        Some(beat) => beat,
                        None => {
                            let beat = Beat { due_us: now };
                            self.store.put(&key, &beat).await?;
                            beat
                        }
                    };
                    self.beats.insert(name.clone(), beat.due_us);
                    beat.due_us
                }
            };
            let Some(due) = heartbeat.is_due(last, now) else { continue };
            self.send(sign_of_life(name, due, self.open.lasting().count(), now), None).await?;
            self.store.put(&key, &Beat { due_us: due }).await?;
            self.beats.insert(name.clone(), due);
        }
        Ok(())
    }
}

impl super::open::OpenRecord {
    fn is_due(&self, now: i64) -> bool {
        self.forget_us.is_some_and(|at| at <= now)
            || self.reminders.iter().any(|reminder| reminder.due_us <= now)
            || self.escalations.iter().any(|due| due.due_us <= now)
    }
}

/// The message that says that this destination is reached.
fn sign_of_life(name: &str, due_us: i64, lasting: usize, now: i64) -> Notification {
    let lasts = match lasting {
        0 => "no alert lasts".to_owned(),
        1 => "1 alert lasts".to_owned(),
        more => format!("{more} alerts last"),
    };
    let alert = Alert {
        alert: format!("heartbeat:{due_us}"),
        code: short_code(&format!("heartbeat:{due_us}")),
        rule: "heartbeat".to_owned(),
        state: AlertState::Fired,
        n: 1,
        title: "Alerts reach you here".to_owned(),
        lines: vec![lasts],
        event_at_us: due_us,
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    };
    let id = delivery_id(&alert, name);
    Notification { id, ..notification(&alert, name) }
}
