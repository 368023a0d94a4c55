use std::collections::{BTreeMap, BTreeSet};

use super::error::FetchError;
use crate::{
    endpoint::{Endpoint, Pool},
    verify::{Checks, Demand, HEADER_HASH, TRANSACTIONS_ROOT, level::LogProof},
};

/// Rounds after which checks are relaxed without the answer of an endpoint that keeps up but does not know the block:
/// it may be on another branch.
const WAITS: u32 = 3;

/// Decides whether a failed check is the block's nature: if endpoints of two operators fail the same check, it is
/// relaxed. Before that, every endpoint is asked strictly.
#[derive(Debug)]
pub(super) struct CrossCheck {
    checks: Checks,
    claims: Vec<Claim>,
    /// How often each endpoint did not know the block.
    absent: BTreeMap<String, u32>,
}

/// An answer that fails a check.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    operator: String,
    endpoint: String,
    reason: &'static str,
}

impl CrossCheck {
    pub(super) fn new(checks: Checks) -> Self {
        Self { checks, claims: Vec::new(), absent: BTreeMap::new() }
    }

    /// What the next answer must pass.
    pub(super) fn checks(&self) -> Checks {
        self.checks
    }

    pub(super) fn note(&mut self, endpoint: &Endpoint, error: &FetchError) {
        match error {
            FetchError::InvalidResponse { source, .. } => {
                let claim = Claim {
                    operator: endpoint.operator().to_owned(),
                    endpoint: endpoint.label().to_owned(),
                    reason: source.reason(),
                };
                if !self.claims.contains(&claim) {
                    self.claims.push(claim);
                }
            }
            FetchError::NotFound { .. } => {
                *self.absent.entry(endpoint.label().to_owned()).or_default() += 1;
            }
            FetchError::NoEndpoint | FetchError::Endpoint(_) | FetchError::OfBlock { .. } => {}
        }
    }

    /// After a complete round: relaxes the checks that answers of several operators fail alike.
    pub(super) fn relax(&mut self, pool: &Pool) {
        let has_answered = |label: &str| self.claims.iter().any(|claim| claim.endpoint == label);
        let is_awaited = |endpoint: &Endpoint| {
            let absent = self.absent.get(endpoint.label()).copied().unwrap_or_default();
            (1..WAITS).contains(&absent) && !has_answered(endpoint.label())
        };
        if self.claims.is_empty() || pool.sound().iter().any(|endpoint| is_awaited(endpoint)) {
            return;
        }
        let mut logs = self.checks.logs;
        while logs != LogProof::Off && self.is_common_failure(logs.name()) {
            logs = logs.weaker();
        }
        let log_indexes = self.checks.log_indexes && !self.is_common_failure("log_index");
        let relaxed = |demand: Demand, reason| {
            if self.is_common_failure(reason) { demand.relaxed() } else { demand }
        };
        self.checks = Checks {
            logs,
            log_indexes,
            header: relaxed(self.checks.header, HEADER_HASH),
            transactions: relaxed(self.checks.transactions, TRANSACTIONS_ROOT),
            ..self.checks
        };
    }

    fn is_common_failure(&self, reason: &str) -> bool {
        let claims = self.claims.iter().filter(|claim| claim.reason == reason);
        claims.map(|claim| claim.operator.as_str()).collect::<BTreeSet<_>>().len() >= 2
    }

    /// Whether another operator failed the same check as this endpoint: then it is not at fault.
    pub(super) fn is_shared_by(&self, endpoint: &str) -> bool {
        let mut own = self.claims.iter().filter(|claim| claim.endpoint == endpoint);
        own.any(|claim| self.is_common_failure(claim.reason))
    }
}
