#![allow(clippy::unwrap_used)]

use crypto_intel_testkit::SeededRandom;
use rand::RngExt as _;

use super::*;
use crate::{
    channel::Scope, config::AfterUncertain, records::closed::Refusal,
    records::record::MAX_UNCERTAIN_ATTEMPTS,
};

const SECOND: i64 = 1_000_000;

fn fresh() -> Record {
    Record {
        delivery: "a:fired:1:ops".into(),
        step: Step::Wait { not_before_us: 0, why: String::new() },
        attempts: 0,
        uncertain: false,
        doubts: 0,
        plain: false,
        edited: Edited::No,
        carried: false,
        folded: Vec::new(),
        cause: None,
        owner: String::new(),
        at_us: 0,
    }
}

fn message() -> Message {
    Message {
        severity: Severity::Warning,
        since_us: SECOND,
        youngest_us: SECOND,
        is_idempotent: false,
    }
}

fn closed(next_us: i64) -> Closed {
    let refusal = Refusal { why: "chat not found", hint: "invite the bot", whole_bot: false };
    Closed { next_us, ..Closed::after(None, refusal, "", &[60], 0) }
}

fn state(record: &Record) -> Option<DeliveryState> {
    record.ending().map(|ending| ending.state)
}

fn uncertain() -> Outcome {
    Outcome::Uncertain { why: "502".into() }
}

#[test]
fn three_attempts_that_may_have_arrived_are_enough() {
    let policy = Policy { max_age_seconds: 0, ..Policy::default() };
    let mut record = fresh();
    for attempt in 1..=3 {
        assert_eq!(
            next(&mut record, &message(), &Input::Look(None), &policy, i64::MAX),
            Action::Attempt
        );
        record.begin(0, String::new(), None);
        let action = next(&mut record, &message(), &Input::Outcome(&uncertain()), &policy, 5);
        assert_eq!(action, if attempt < 3 { Action::Save } else { Action::End });
    }
    assert_eq!(state(&record), Some(DeliveryState::Uncertain));
    assert!(record.is_given_up());
}

#[test]
fn a_closed_destination_keeps_its_messages_until_they_are_too_old() {
    let policy = Policy { max_age_seconds: 100, ..Policy::default() };
    let mut record = fresh();
    let refused = Outcome::Closed { why: "gone".into(), hint: "hint", whole_bot: false };
    record.begin(0, String::new(), None);
    let action = next(&mut record, &message(), &Input::Outcome(&refused), &policy, 2 * SECOND);
    assert_eq!(action, Action::Save);
    let shut = closed(60 * SECOND);
    let look = |closed: Option<&Closed>, now_us| {
        let mut record = record.clone();
        (next(&mut record, &message(), &Input::Look(closed), &policy, now_us), state(&record))
    };
    assert_eq!(look(Some(&shut), 3 * SECOND).0, Action::WaitClosed { until_us: 60 * SECOND });
    assert_eq!(look(Some(&shut), 60 * SECOND).0, Action::Attempt, "the oldest tries again");
    assert_eq!(look(None, 3 * SECOND).0, Action::Attempt, "it was opened");
    assert_eq!(look(Some(&shut), 200 * SECOND), (Action::End, Some(DeliveryState::Dead)));
    assert_eq!(look(None, 200 * SECOND), (Action::End, Some(DeliveryState::Expired)));
}

#[test]
fn a_digest_that_is_too_old_lets_its_younger_members_go() {
    let policy = Policy { max_age_seconds: 100, ..Policy::default() };
    let late = Message { youngest_us: 90 * SECOND, ..message() };
    let mut record = Record { folded: vec![7, 8], ..fresh() };
    let look = Input::Look(None);
    assert_eq!(next(&mut record, &late, &look, &policy, 150 * SECOND), Action::End);
    assert_eq!((state(&record), record.folded.len()), (Some(DeliveryState::Expired), 0));
    // Where a copy may be out there they stay together: alone they would come without a mark.
    let mut record = Record { folded: vec![7, 8], uncertain: true, doubts: 1, ..fresh() };
    assert_eq!(next(&mut record, &late, &look, &policy, 150 * SECOND), Action::Attempt);
    assert_eq!(next(&mut record, &late, &look, &policy, 191 * SECOND), Action::End);
    assert_eq!((state(&record), record.folded.len()), (Some(DeliveryState::Uncertain), 2));
}

/// A service, a bucket and a process that dies now and then, around one message.
struct World {
    random: SeededRandom,
    now_us: i64,
    policy: Policy,
    message: Message,
    /// What the bucket has.
    saved: Record,
    closed: Option<Closed>,
    /// What an edit of the first message is worth, if there is one.
    anchor: Option<Editing>,
    /// Every copy that people saw, and whether it was marked.
    copies: Vec<bool>,
    endings: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = SeededRandom::with_seed(seed);
        let skip = if random.random_bool(0.2) { InDoubt::Skip } else { InDoubt::Repeat };
        let policy = Policy {
            max_age_seconds: [0, 30, 600, 86_400][random.random_range(0..4)],
            after_uncertain: AfterUncertain { warning: skip, ..AfterUncertain::default() },
            probe_after_seconds: vec![5, 20, 60],
            ..Policy::default()
        };
        let mut saved = fresh();
        saved.folded = (0..random.random_range(0..3)).collect();
        let youngest_us = SECOND + random.random_range(0..60) * SECOND;
        let message = Message { youngest_us, ..message() };
        let now_us = youngest_us;
        let (copies, closed, endings) = (Vec::new(), None, 0);
        let anchor =
            [None, None, Some(Editing::Alone), Some(Editing::ThenReply)][random.random_range(0..4)];
        if anchor.is_some() {
            saved.folded.clear();
        }
        Self { random, now_us, policy, message, saved, closed, anchor, copies, endings }
    }

    /// What the next attempt changes.
    fn editing(&self, record: &Record) -> Option<Editing> {
        self.anchor.filter(|_| record.edited == Edited::No)
    }

    /// What the service does with an attempt; the process may not live to hear it.
    fn send(&mut self, is_marked: bool, editing: Option<Editing>) -> Outcome {
        let why = String::new();
        let outcome = match self.random.random_range(0..10) {
            9 => Outcome::LostAnchor { why },
            0 | 1 => Outcome::Sent { message_id: "1".into() },
            2 => {
                let after = Duration::from_secs(self.random.random_range(1..90));
                Outcome::Wait { after, scope: Scope::Destination, why }
            }
            3 => Outcome::NotSent { why },
            4 | 5 => Outcome::Uncertain { why },
            6 => Outcome::PlainText { why },
            7 => Outcome::Closed { why, hint: "hint", whole_bot: false },
            _ if self.random.random_bool(0.3) => Outcome::Refused { why },
            _ => Outcome::Readdressed { why, hint: String::new() },
        };
        let arrives = match outcome {
            Outcome::Sent { .. } => true,
            Outcome::Uncertain { .. } => self.random.random_bool(0.5),
            _ => false,
        };
        if arrives && editing.is_none() {
            self.copies.push(is_marked);
        }
        outcome
    }

    /// Runs to the end, and checks what must hold on the way.
    fn run(&mut self) {
        let mut record = self.saved.clone();
        let mut outcome: Option<Outcome> = None;
        let mut cut = false;
        for _ in 0..100_000 {
            if self.random.random_bool(0.08) {
                // A crash: only the bucket remains.
                (record, outcome, cut) = (self.saved.clone(), None, false);
                self.now_us += self.random.random_range(0..20) * SECOND;
            }
            let closed = self.closed.clone();
            let input = match &outcome {
                Some(outcome) => Input::Outcome(outcome),
                None if cut => Input::Cut,
                None => Input::Look(closed.as_ref()),
            };
            let action = next(&mut record, &self.message, &input, &self.policy, self.now_us);
            (outcome, cut) = (None, false);
            match action {
                Action::AwaitResult(left) => {
                    assert!(left <= self.policy.timeout() + CLOCK_SKEW);
                    self.now_us += i64::try_from(left.as_micros()).unwrap();
                    cut = true;
                }
                Action::Wait { until_us } | Action::WaitClosed { until_us } => {
                    assert!(until_us > self.now_us);
                    self.now_us = until_us;
                }
                Action::Attempt => outcome = self.attempt(&mut record),
                Action::Save => self.saved = record.clone(),
                Action::End => {
                    self.saved = record.clone();
                    self.endings += 1;
                    return;
                }
            }
        }
        panic!("it never ends: {record:?}");
    }

    fn attempt(&mut self, record: &mut Record) -> Option<Outcome> {
        if let Step::Wait { not_before_us, .. } = self.saved.step {
            assert!(not_before_us <= self.now_us, "the service asked for a wait");
        }
        let is_open = self.closed.as_ref().is_none_or(|closed| closed.next_us <= self.now_us);
        assert!(is_open, "nothing is sent to a closed destination before its time");
        let editing = self.editing(record);
        record.begin(self.now_us + 15 * SECOND, String::new(), editing);
        self.saved = record.clone();
        if self.random.random_bool(0.05) {
            *record = self.saved.clone();
            return None;
        }
        let outcome = self.send(record.uncertain, record.editing());
        match &outcome {
            Outcome::Closed { why, hint, .. } => {
                let refusal = Refusal { why, hint, whole_bot: false };
                let schedule = &self.policy.probe_after_seconds;
                let closed =
                    Closed::after(self.closed.as_ref(), refusal, "", schedule, self.now_us);
                self.closed = Some(closed);
            }
            Outcome::Sent { .. } => self.closed = None,
            _ => {}
        }
        Some(outcome)
    }

    fn check(&self) {
        let state = state(&self.saved).unwrap();
        let copies = &self.copies;
        assert_eq!(self.endings, 1);
        assert!(copies.iter().skip(1).all(|is_marked| *is_marked), "an unmarked copy: {copies:?}");
        assert!(copies.len() <= MAX_UNCERTAIN_ATTEMPTS as usize);
        assert!(self.saved.doubts <= MAX_UNCERTAIN_ATTEMPTS);
        match state {
            DeliveryState::Sent => {
                let is_edit = self.saved.edited == Edited::Yes;
                let is_alone = is_edit && self.anchor == Some(Editing::Alone);
                assert_eq!(copies.len(), usize::from(!is_alone));
            }
            DeliveryState::Repeated => assert!(!copies.is_empty()),
            DeliveryState::Uncertain => assert!(self.saved.doubts > 0),
            DeliveryState::Expired => assert_eq!(copies.len(), 0),
            // An earlier copy may have arrived before the rejection.
            DeliveryState::Dead => assert!(copies.is_empty() || self.saved.uncertain),
            DeliveryState::Silenced | DeliveryState::Inhibited | DeliveryState::Muted => {
                panic!("the router's to say")
            }
        }
        let past = self.saved.folded.is_empty() || !matches!(state, DeliveryState::Expired);
        assert!(past, "a digest's members have ages of their own");
    }
}

#[test]
fn every_message_ends_once_and_every_further_copy_is_marked() {
    let mut seeds = SeededRandom::from_environment();
    for _ in 0..3_000 {
        let seed = seeds.random();
        let mut world = World::new(seed);
        world.run();
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.check()));
        assert!(checked.is_ok(), "world {seed}");
    }
}
