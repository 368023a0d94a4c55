//! Decides the next step of a message, without clock or I/O, from its record and the outcome of an
//! attempt.

use std::time::Duration;

use crypto_intel_schemas::{DeliveryState, Severity};

use crate::{
    channel::Outcome,
    config::{InDoubt, Policy},
    records::anchor::{Edited, Editing},
    records::closed::Closed,
    records::delivery::Ending,
    records::record::{Record, Step},
};

/// Assumed difference between the clocks of two machines.
const CLOCK_SKEW: Duration = Duration::from_secs(1);
/// Upper bound of the delays after attempts that certainly did not arrive: 1, 2, 4 … s.
const MAX_DELAY: Duration = Duration::from_secs(60);
/// First of the delays after attempts that may have arrived: 2, 4 … s.
const FIRST_UNCERTAIN_DELAY: Duration = Duration::from_secs(2);

/// What a decision depends on beside the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// The highest severity of its alerts.
    pub(crate) severity: Severity,
    /// Since when the message's own alert has been waiting, microseconds; 0 = unknown, never too old.
    pub(crate) since_us: i64,
    /// The same for the youngest alert that it carries.
    pub(crate) youngest_us: i64,
    /// The service knows a repetition by the delivery's id.
    pub(crate) is_idempotent: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// It was taken from the queue, or a wait is over; with the reason if its destination is closed.
    Look(Option<&'a Closed>),
    /// The recorded attempt is over without a result: it is unknown whether it arrived.
    Cut,
    /// An attempt ended.
    Outcome(&'a Outcome),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// An attempt of another instance may still be under way; it is over after this time.
    AwaitResult(Duration),
    /// Continue at this time, microseconds.
    Wait { until_us: i64 },
    /// The same, because the destination is closed: its fallback gets the messages meanwhile.
    WaitClosed { until_us: i64 },
    /// Record an attempt, then send.
    Attempt,
    /// Save the record, then continue.
    Save,
    /// The record says how it ended: save it, publish it, acknowledge the message.
    End,
}

/// Decides, and writes the decision into the record.
pub(crate) fn next(
    record: &mut Record,
    message: &Message,
    input: &Input<'_>,
    policy: &Policy,
    now_us: i64,
) -> Action {
    match input {
        Input::Look(closed) => look(record, message, *closed, policy, now_us),
        Input::Cut => {
            let why = "an attempt was cut in the middle";
            match record.editing() {
                Some(_) => wait(record, Duration::ZERO, why, now_us),
                None => doubt(record, message, policy, why, Duration::ZERO, now_us),
            }
        }
        Input::Outcome(outcome) => match record.editing() {
            Some(editing) => judge_edit(record, editing, outcome, now_us),
            None => judge(record, message, outcome, policy, now_us),
        },
    }
}

fn look(
    record: &mut Record,
    message: &Message,
    closed: Option<&Closed>,
    policy: &Policy,
    now_us: i64,
) -> Action {
    let not_before_us = match record.step {
        Step::Done { .. } => return Action::End,
        Step::Attempt { until_us, .. } => {
            // A wrong clock, then or now, must not delay it without limit.
            let left = u64::try_from(until_us.saturating_sub(now_us)).unwrap_or(0);
            let left = Duration::from_micros(left).min(policy.timeout());
            return Action::AwaitResult(left + CLOCK_SKEW);
        }
        Step::Wait { not_before_us, .. } => not_before_us,
    };
    if too_old(record, message, closed, policy, now_us) {
        return Action::End;
    }
    if let Some(closed) = closed.filter(|closed| closed.next_us > now_us) {
        return Action::WaitClosed { until_us: closed.next_us };
    }
    if not_before_us > now_us { Action::Wait { until_us: not_before_us } } else { Action::Attempt }
}

/// Ends a message that is too old to be sent. A digest of which no copy can have arrived releases
/// its members: each has its own age.
fn too_old(
    record: &mut Record,
    message: &Message,
    closed: Option<&Closed>,
    policy: &Policy,
    now_us: i64,
) -> bool {
    let seconds = policy.max_age_seconds;
    let is_past = |since_us: i64| {
        let age = now_us.saturating_sub(since_us) / 1_000_000;
        seconds > 0 && since_us > 0 && age > i64::try_from(seconds).unwrap_or(i64::MAX)
    };
    if record.uncertain {
        if !is_past(message.youngest_us) {
            return false;
        }
        let why = "an attempt was cut in the middle, and by now it is too old";
        end(record, DeliveryState::Uncertain, why, now_us);
        return true;
    }
    if !is_past(message.since_us) {
        return false;
    }
    record.folded.clear();
    match closed {
        Some(closed) => {
            let why = format!("older than {seconds} s, nothing could be sent: {}", closed.why);
            end(record, DeliveryState::Dead, &why, now_us);
        }
        None => end(record, DeliveryState::Expired, &format!("older than {seconds} s"), now_us),
    }
    true
}

fn judge(
    record: &mut Record,
    message: &Message,
    outcome: &Outcome,
    policy: &Policy,
    now_us: i64,
) -> Action {
    match outcome {
        Outcome::Sent { message_id } => {
            let is_repeat = record.uncertain && !message.is_idempotent;
            let state = if is_repeat { DeliveryState::Repeated } else { DeliveryState::Sent };
            sent(record, state, message_id, now_us);
            Action::End
        }
        Outcome::Wait { after, why, .. } => wait(record, *after, why, now_us),
        Outcome::NotSent { why } => wait(record, delay_after(record), why, now_us),
        Outcome::Uncertain { why } => {
            let delay = FIRST_UNCERTAIN_DELAY * (1 << record.doubts.min(8));
            doubt(record, message, policy, why, delay, now_us)
        }
        Outcome::PlainText { why } if !record.plain => {
            record.plain = true;
            wait(record, Duration::ZERO, why, now_us)
        }
        // What this says about the destination concerns all its messages and is kept there.
        Outcome::Closed { why, .. } | Outcome::Readdressed { why, .. } => {
            wait(record, Duration::ZERO, why, now_us)
        }
        Outcome::LostAnchor { why } if record.edited != Edited::Lost => {
            record.edited = Edited::Lost;
            wait(record, Duration::ZERO, why, now_us)
        }
        Outcome::PlainText { why } | Outcome::LostAnchor { why } | Outcome::Refused { why } => {
            end(record, DeliveryState::Dead, why, now_us);
            Action::End
        }
    }
}

/// The change of an earlier message is the same however often it is done, so nothing about it is in doubt. What it
/// cannot change is told by a new message.
fn judge_edit(record: &mut Record, editing: Editing, outcome: &Outcome, now_us: i64) -> Action {
    match outcome {
        Outcome::Sent { message_id } => {
            record.edited = Edited::Yes;
            match editing {
                Editing::Alone => {
                    sent(record, DeliveryState::Sent, message_id, now_us);
                    Action::End
                }
                Editing::ThenReply => {
                    wait(record, Duration::ZERO, "the first message is changed", now_us)
                }
            }
        }
        Outcome::Wait { after, why, .. } => wait(record, *after, why, now_us),
        Outcome::NotSent { why } | Outcome::Uncertain { why } => {
            wait(record, delay_after(record), why, now_us)
        }
        Outcome::PlainText { why } if !record.plain => {
            record.plain = true;
            wait(record, Duration::ZERO, why, now_us)
        }
        Outcome::Closed { why, .. } | Outcome::Readdressed { why, .. } => {
            wait(record, Duration::ZERO, why, now_us)
        }
        Outcome::LostAnchor { why } | Outcome::PlainText { why } | Outcome::Refused { why } => {
            record.edited = Edited::Lost;
            wait(record, Duration::ZERO, why, now_us)
        }
    }
}

fn sent(record: &mut Record, state: DeliveryState, message_id: &str, now_us: i64) {
    record.done(Ending {
        state,
        attempts: record.attempts,
        message_id: Some(message_id.to_owned()),
        error: None,
        done_at_us: now_us,
    });
}

/// A later word about the alert was told: the message ends as told by it.
pub(crate) fn overtaken(record: &mut Record, message_id: &str, now_us: i64) {
    // What may have arrived already may be a copy.
    let state = if record.uncertain { DeliveryState::Repeated } else { DeliveryState::Sent };
    sent(record, state, message_id, now_us);
}

/// 1, 2, 4 … s after each attempt that did not arrive.
fn delay_after(record: &Record) -> Duration {
    let doublings = record.attempts.saturating_sub(1).min(16);
    Duration::from_secs(1 << doublings).min(MAX_DELAY)
}

/// It is unknown whether it arrived: by policy it is repeated, marked, or not.
fn doubt(
    record: &mut Record,
    message: &Message,
    policy: &Policy,
    why: &str,
    delay: Duration,
    now_us: i64,
) -> Action {
    if message.is_idempotent {
        record.uncertain = true;
        return wait(record, delay_after(record).max(delay), why, now_us);
    }
    // A record of an earlier version has only the mark.
    record.doubts = record.doubts.max(u32::from(record.uncertain)) + 1;
    record.uncertain = true;
    let why = match policy.after_uncertain.of(message.severity) {
        InDoubt::Skip => format!("unknown whether it arrived, not repeated: {why}"),
        InDoubt::Repeat if record.is_given_up() => {
            format!("unknown whether any of {} attempts arrived: {why}", record.doubts)
        }
        InDoubt::Repeat => return wait(record, delay, why, now_us),
    };
    end(record, DeliveryState::Uncertain, &why, now_us);
    Action::End
}

fn wait(record: &mut Record, delay: Duration, why: &str, now_us: i64) -> Action {
    let delay_us = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    record.step =
        Step::Wait { not_before_us: now_us.saturating_add(delay_us), why: why.to_owned() };
    Action::Save
}

fn end(record: &mut Record, state: DeliveryState, why: &str, now_us: i64) {
    let error = Some(why.to_owned());
    let attempts = record.attempts;
    record.done(Ending { state, attempts, message_id: None, error, done_at_us: now_us });
}

#[cfg(test)]
mod tests;
