//! What happens by the clock: reminders, escalation, the ends of silences, signs of life.

use std::{collections::BTreeSet, sync::Arc};

use crypto_intel_schemas::{Alert, AlertState, Notification, short_code, subjects};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};

use super::{
    dispatch::Dispatcher,
    effects::Act,
    judge::{Stage, Verdict, View, targets},
    open::{CORRECTED_WITHIN_US, Due, Open, OpenRecord, Reminder},
    text,
    tree::Tree,
};
use crate::{
    records::delivery::{acknowledgement, delivery_id, notification},
    render::Words,
};

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
        self.tell_taken(now).await?;
        self.tell_overs(now).await?;
        self.save().await
    }

    async fn tick_by(&mut self, tree: &Tree, now: i64) -> anyhow::Result<()> {
        let due: Vec<String> = self
            .open
            .0
            .values()
            .filter(|open| open.record.is_due(now))
            .map(|open| open.record.alert.clone())
            .collect();
        let mut acts = Vec::new();
        for key in due {
            self.advance(tree, &key, now, &mut acts).await?;
        }
        self.act_all(acts).await?;
        self.beat(tree, now).await
    }

    /// Reminds of an open alert, escalates it or forgets it.
    async fn advance(
        &mut self,
        tree: &Tree,
        key: &str,
        now: i64,
        acts: &mut Vec<Act>,
    ) -> anyhow::Result<()> {
        let Some(open) = self.open.0.get(key).cloned() else { return Ok(()) };
        if open.record.forget_us.is_some_and(|at| at <= now) {
            // Those that it kept back are told first.
            if !open.record.inhibits {
                self.open.0.remove(key);
                self.unsaved.open.insert(key.to_owned());
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
                acts.extend(self.remind(tree, &open, reminder, now).await?);
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
                if !is_new {
                    continue;
                }
                let escalated = self.escalate(tree, &open, name, due, now).await?;
                if !matches!(escalated, Some(Act::Keep { .. })) {
                    record.told.insert(name.clone());
                }
                acts.extend(escalated);
            }
        }
        let is_over = !open.alert.ongoing && record.escalations.is_empty();
        if is_over && record.forget_us.is_none() {
            // A correction may follow, and those who were told are told of it.
            record.forget_us = Some(now + CORRECTED_WITHIN_US);
        }
        if let Some(open) = self.open.0.get_mut(key) {
            open.record = record;
        }
        self.unsaved.open.insert(key.to_owned());
        Ok(())
    }

    /// Tells once more that an alert lasts, unless it is kept back now or its destination sleeps.
    async fn remind(
        &self,
        tree: &Tree,
        open: &Open,
        reminder: &Reminder,
        now: i64,
    ) -> anyhow::Result<Option<Act>> {
        let (name, alert) = (&reminder.destination, &open.alert);
        let setup = self.setup;
        if !setup.destinations.contains(name) {
            return Ok(None);
        }
        let all = targets(tree, alert, &setup.destinations, setup.unrouted.as_ref()).known;
        let node = all.iter().find(|target| target.destination == *name);
        let node = node.map_or(&tree.root, |target| target.node);
        let view = View { tree, ..self.view() };
        if view.judge(alert, name, node, Stage::Collected, now) != Verdict::Send {
            return Ok(None);
        }
        let mut message = notification(&self.as_news(open).await?, name);
        message.id = format!("{}:remind:{}", message.id, reminder.count);
        let lasts = text::duration(now - open.record.since_us);
        message.alert.lines.push(setup.words(name).notices.lasts.replace("{}", &lasts));
        message.observed_at_us = now;
        Ok(Some(Act::Send { message, trace: None }))
    }

    /// Tells others, because no one acknowledged. `None`: it waits.
    async fn escalate(
        &mut self,
        tree: &Tree,
        open: &Open,
        name: &str,
        due: &Due,
        now: i64,
    ) -> anyhow::Result<Option<Act>> {
        let alert = &self.as_news(open).await?;
        let mut message = notification(alert, name);
        let after = text::duration(due.after_us);
        let words = self.setup.words(name);
        message.alert.lines.push(words.notices.not_acknowledged.replace("{}", &after));
        message.observed_at_us = now;
        let view = View { tree, ..self.view() };
        let act = match view.judge(alert, name, &tree.root, Stage::Collected, now) {
            Verdict::Keep(kept) => {
                self.mark_inhibiting(kept.source.as_deref());
                return Ok(Some(Act::Keep { message, kept }));
            }
            Verdict::Hold(hold) => {
                let words = BTreeSet::from([open.record.fired_sequence, open.record.sequence]);
                for sequence in words.into_iter().filter(|sequence| *sequence > 0) {
                    self.hold(alert, sequence, name, hold.clone());
                }
                None
            }
            Verdict::Send => Some(Act::Send { message, trace: None }),
        };
        tracing::warn!(
            code = alert.code,
            rule = alert.rule,
            destination = name,
            after,
            "alert was not acknowledged, others are told"
        );
        Ok(act)
    }

    /// Tells where alerts are incidents that someone takes care of one.
    async fn tell_taken(&mut self, now: i64) -> anyhow::Result<()> {
        if self.setup.incidents.is_empty() {
            return Ok(());
        }
        let mut taken = Vec::new();
        for (key, open) in &self.open.0 {
            let is_news = !open.record.is_taken_told && self.acknowledged.contains(key);
            if !is_news || open.alert.state == AlertState::Resolved || open.record.is_gone {
                continue;
            }
            for name in open.record.told.intersection(&self.setup.incidents) {
                self.send(acknowledgement(&open.alert, name, now), None).await?;
            }
            taken.push(key.clone());
        }
        for key in taken {
            if let Some(open) = self.open.0.get_mut(&key) {
                open.record.is_taken_told = true;
            }
            self.unsaved.open.insert(key);
        }
        Ok(())
    }

    /// An open alert for those who did not hear of its corrections: what it is, where it is now, and what became of it.
    async fn as_news(&self, open: &Open) -> anyhow::Result<Alert> {
        let Open { record, alert } = open;
        let mut news = alert.clone();
        if alert.state != AlertState::Corrected {
            return Ok(news);
        }
        news.state = AlertState::Fired;
        if record.fired_sequence > 0
            && let Some(fired) = self.store.alert(record.fired_sequence).await?
        {
            news.lines = [fired.lines, news.lines].concat();
        }
        Ok(news)
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
            let (words, lasting) = (self.setup.words(name), self.open.lasting().count());
            self.send(sign_of_life(name, words, due, lasting, now), None).await?;
            self.store.put(&key, &Beat { due_us: due }).await?;
            self.beats.insert(name.clone(), due);
        }
        Ok(())
    }
}

impl OpenRecord {
    fn is_due(&self, now: i64) -> bool {
        let waits = !self.is_gone
            && (self.reminders.iter().any(|reminder| reminder.due_us <= now)
                || self.escalations.iter().any(|due| due.due_us <= now));
        waits || self.forget_us.is_some_and(|at| at <= now)
    }
}

/// The message that says that this destination is reached.
fn sign_of_life(name: &str, words: &Words, due_us: i64, lasting: usize, now: i64) -> Notification {
    let notices = &words.notices;
    let lasts = match lasting {
        0 => notices.nothing_lasts.to_owned(),
        lasting => words.counted(&notices.last, lasting),
    };
    let alert = Alert {
        alert: format!("heartbeat:{due_us}"),
        code: short_code(&format!("heartbeat:{due_us}")),
        rule: "heartbeat".to_owned(),
        state: AlertState::Fired,
        n: 1,
        title: notices.reached.to_owned(),
        lines: vec![lasts],
        event_at_us: due_us,
        observed_at_us: now,
        seen_at_us: now,
        ..Alert::empty()
    };
    let id = delivery_id(&alert, name);
    Notification { id, ..notification(&alert, name) }
}
