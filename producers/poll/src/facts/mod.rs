//! What several sources say of one thing: the value that is used, and whether every fact that someone uses is fresh.

mod choice;
mod elsewhere;
mod fact;
mod fact_choice;
pub(crate) mod fact_metrics;
mod families;
pub(crate) mod freshness;
mod pegs;
mod price_choice;
pub(crate) mod prices;
pub(crate) mod report;
mod shared_values;
pub(crate) mod stale;
pub(crate) mod used;
pub(crate) mod values;
