//! When a rule fires, beyond single events: windows, sequences, absences, first events, and conditions that last.

mod agreed;
mod check;
mod check_window;
mod text;
pub(crate) mod values;

use crate::{condition::Condition, rules::trigger::values::PERCENTILES, template::MessageTemplate};

pub(super) use self::{
    check::Triggered,
    text::{TriggerText, take_unknown_keys},
};

/// What makes a rule fire.
#[derive(Debug, Default)]
pub(crate) enum Trigger {
    /// Each event that meets its condition.
    #[default]
    Event,
    /// The first event of a group within a period.
    First {
        /// Microseconds, as all periods here.
        over_us: i64,
    },
    Sequence(Sequence),
    Window(Box<Window>),
    Absence(Absence),
}

/// Events that follow each other.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) within_us: i64,
    /// At least two.
    pub(crate) steps: Vec<SequenceStep>,
}

#[derive(Debug)]
pub(crate) struct SequenceStep {
    pub(crate) on: Vec<String>,
    pub(crate) condition: Condition,
    pub(crate) group_by: Vec<String>,
}

/// Values over a window of time.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) over_us: i64,
    /// How far a window moves at a time; the whole of it for one that does not slide.
    pub(crate) step_us: i64,
    pub(crate) of: Option<ValueOf>,
    /// The field whose different values are counted.
    pub(crate) distinct: Option<String>,
    /// The percentiles that the rule names.
    pub(crate) percentiles: Vec<u32>,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) measured: Measured,
    pub(crate) having: Condition,
}

/// The value of an event.
#[derive(Debug)]
pub(crate) enum ValueOf {
    /// A field: exact.
    Field(String),
    Expression(Condition),
}

/// What is usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// The mean of the last 24 hours.
    DayMean,
    /// The median of this hour on the last seven days.
    SameHour,
}

/// What is compared with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measured {
    Count,
    Sum,
    Mean,
}

/// No event for so long.
#[derive(Debug)]
pub(crate) struct Absence {
    pub(crate) for_us: i64,
    /// Groups that are expected from the start on.
    pub(crate) keys: Vec<String>,
}

/// A condition that lasts.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    pub(crate) for_us: i64,
    pub(crate) keep_firing_for_us: i64,
    /// Ends when this is true; else when it is not true any more.
    pub(crate) resolve_when: Option<Condition>,
    /// What is said at its end.
    pub(crate) resolved: Option<MessageTemplate>,
}

/// How deep a block must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Finality {
    /// It need only be on the chain.
    #[default]
    Seen,
    /// So many blocks are on top of it.
    Confirmed(u64),
    /// It cannot leave the chain.
    Finalized,
}

impl Trigger {
    /// How long the steps of a sequence may take; 0 for all else.
    pub(crate) fn within_us(&self) -> i64 {
        match self {
            Self::Sequence(sequence) => sequence.within_us,
            _ => 0,
        }
    }
}

impl Window {
    /// Number of the first step that the window at this time contains.
    pub(crate) fn first_step(&self, now_us: i64) -> i64 {
        now_us.div_euclid(self.step_us) - self.over_us / self.step_us + 1
    }
}

/// The percent of a percentile's name: 95 of `p95`.
pub(crate) fn percent_of(name: &str) -> Option<u32> {
    PERCENTILES.iter().find(|(known, _)| *known == name).map(|(_, percent)| *percent)
}
