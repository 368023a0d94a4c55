#![doc = include_str!("../README.md")]

mod condition;
mod config;
mod engine;
mod examples;
mod labels;
mod metrics;
mod nearest;
mod publish;
mod reference;
mod role;
mod rules;
mod run;
mod sets;
mod snapshot;
mod streams;
mod template;
mod ticks;
mod trial;
mod trial_range;
mod worker;

pub use config::Config;
pub use engine::{Applied, Engine};
pub use examples::{run_examples, run_examples_within};
pub use metrics::Metrics;
pub use reference::rules_reference;
pub use role::ROLE;
pub use rules::{DEFAULT_RULES, ListedRule, RuleFiles, RuleProblem, RuleSet, rules_without_routes};
pub use run::run;
pub use sets::{RulesInForce, StreamSet, WrongFiles, load_rules, rules_in_force};
pub use snapshot::SnapshotMeter;
pub use streams::RuleStream;
pub use trial::{Difference, HourCount, RuleFindings, Told, Trial};
pub use trial_range::{TrialBudget, TrialRead, read_trials};
