//! Rule sets over time: the texts of the files, what of them is in force at which message, and the look for changes.
//!
//! The active instance looks at the files. A set that is new and right is kept in the bucket `rule_state` by its digest,
//! and a tick with the digest goes into every stream that rules read. A reader of the stream takes the set at that tick,
//! or where a block ends after it, so that a replay takes it at the same message.

mod in_force;
mod listing;
mod store;
mod switches;
mod texts;
mod watch;

pub(crate) use self::{
    in_force::InForce,
    store::Sets,
    switches::Switches,
    texts::RuleTexts,
    watch::{FileWatch, in_short, log_problems},
};
pub use self::{
    listing::{RulesInForce, StreamSet, WrongFiles, rules_in_force},
    texts::load_rules,
};
