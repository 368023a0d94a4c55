//! What several sources say of one thing: the price that is used, and whether every fact that someone uses is fresh.

mod choice;
mod elsewhere;
mod fact;
pub(crate) mod fact_metrics;
pub(crate) mod freshness;
mod pegs;
pub(crate) mod prices;
pub(crate) mod used;
