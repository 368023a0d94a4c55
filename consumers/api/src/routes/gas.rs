//! What gas costs on a chain.

use axum::extract::State;
use crypto_intel_store::{GasLine, GasStep};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{MAX_STEPS, Page, Window},
    parameters::{
        Asked, At, parameters, path_parameters,
        values::{ChainSlug, Moment, one_of},
    },
    problem::Problem,
    state::ApiState,
};

/// Minutes are added up from blocks: of more than a day hours say it.
const MAX_OF_MINUTES_US: i64 = 86_400_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Chain, cost::SUMMARY).by_position_of(OF_CHAINS);
    OpenApiRouter::new().routes(guard.of(routes!(gas)))
}

one_of!(GasStep, ["minute" => GasStep::Minute, "hour" => GasStep::Hour, "day" => GasStep::Day]);

path_parameters!(OfChain { chain: ChainSlug = "The chain." });

parameters! {
    /// Which gas.
    pub(crate) struct GasParameters {
        /// Width of a step: minute, hour or day (UTC); hour without a word.
        pub(crate) step: Option<GasStep>,
        /// From then on; seven days before `until` without a word, one day by minute.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// Base fee and gas of the blocks of a step. Fees are wei per gas, decimal text, null where the chain has no base fee.
#[derive(Debug, Serialize, ToSchema)]
struct GasItem {
    /// Begin of the step, microseconds UTC.
    bucket_us: i64,
    /// The fee that a tenth of the blocks did not exceed.
    p10: Option<String>,
    /// The fee that half of the blocks did not exceed.
    p50: Option<String>,
    /// The fee that nine tenths of the blocks did not exceed.
    p90: Option<String>,
    /// Lowest fee.
    min: Option<String>,
    /// Highest fee.
    max: Option<String>,
    /// How many blocks.
    blocks: u64,
    /// Their transactions.
    transactions: u64,
    /// Gas that they used, decimal text.
    gas_used: String,
    /// Gas that they had room for, decimal text.
    gas_limit: String,
}

impl From<GasLine> for GasItem {
    fn from(line: GasLine) -> Self {
        let [p10, p50, p90] = line.percentiles;
        let [min, max] = line.bounds;
        Self {
            bucket_us: line.bucket_us,
            p10,
            p50,
            p90,
            min,
            max,
            blocks: line.blocks,
            transactions: line.transactions,
            gas_used: line.gas_used,
            gas_limit: line.gas_limit,
        }
    }
}

/// Base fee and gas of a chain by minute, hour or day, oldest first; steps without a block are left out. At most 5,000, the newest of
/// the time that is asked for; minutes of a day at most.
#[utoipa::path(
    get,
    path = "/api/v1/gas/{chain}",
    tag = "blocks",
    params(OfChain, GasParameters),
    responses((status = 200, body = Page<GasItem>))
)]
async fn gas(
    State(state): State<ApiState>,
    caller: Caller,
    At(chain): At<ChainSlug>,
    AsOf(as_of): AsOf,
    asked: Asked<GasParameters>,
) -> Result<Page<GasItem>, Problem> {
    let wanted = asked.parameters;
    let step = wanted.step.unwrap_or(GasStep::Hour);
    let is_told = wanted.since.is_some();
    let mut window = Window::new(wanted.since, wanted.until)?;
    if step == GasStep::Minute && window.until_us - window.since_us > MAX_OF_MINUTES_US {
        if is_told {
            return Err(Problem::parameter("since", "minutes are of one day at most: ask by hour"));
        }
        window.since_us = window.until_us - MAX_OF_MINUTES_US;
    }
    if !caller.sees(&chain.0) {
        return Ok(Page { window: Some(window), as_of, ..Page::whole(Vec::new()) });
    }
    let found = state.store.gas(step, &chain.0, window.in_steps(step.us()), MAX_STEPS).await?;
    Ok(Page::of_steps(found.into_iter().map(GasItem::from).collect(), window, as_of))
}
