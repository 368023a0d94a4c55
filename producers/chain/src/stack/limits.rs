//! How far a chain is followed, and why not further.

use crate::source::family::Family;

/// The bounds within which a chain is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) family: Family,
    pub(crate) chain: String,
    /// A reorganisation that would drop more blocks than this is refused.
    pub(crate) max_reorg_depth: u64,
    /// More final numbers missing than this, and the chain is not caught up in order; 0 = always in order.
    pub(crate) catch_up_blocks: u64,
}

impl Limits {
    /// How many headers of a branch are linked: beyond what is allowed, so that the error says how deep it is.
    pub(crate) fn max_branch(&self) -> u64 {
        self.max_reorg_depth.saturating_mul(2).saturating_add(64)
    }
}

/// Why a branch is not followed. It needs an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It leaves the published chain deeper than allowed.
    #[error(
        "the branch of block {tip} leaves the published chain {depth} or more blocks below its top, but max_reorg_depth is {limit}: raise {family}.chains.{chain}.max_reorg_depth above {depth} if the reorganisation is real, else remove the endpoint that serves this branch"
    )]
    TooDeep {
        /// The chain's family.
        family: &'static str,
        /// The chain.
        chain: String,
        /// Number of the branch's newest block.
        tip: u64,
        /// How many published blocks it would drop, at least.
        depth: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// It leaves the published chain below what was final.
    #[error(
        "the branch of block {tip} leaves the published chain at or below block {finalized}, which was final: remove the endpoint that serves this branch, or, if the chain was made anew, purge it with `nats stream purge {stream} --subject '{family}.{chain}.>'`"
    )]
    BelowFinal {
        /// The chain's family.
        family: &'static str,
        /// The stream of its live lane.
        stream: &'static str,
        /// The chain.
        chain: String,
        /// Number of the branch's newest block.
        tip: u64,
        /// The highest final block that was published.
        finalized: u64,
    },
}

impl Refused {
    pub(crate) fn below_final(limits: &Limits, tip: u64, finalized: u64) -> Self {
        let Family { name, stream } = limits.family;
        Self::BelowFinal { family: name, stream, chain: limits.chain.clone(), tip, finalized }
    }

    pub(crate) fn too_deep(limits: &Limits, tip: u64, depth: u64) -> Self {
        let (family, chain) = (limits.family.name, limits.chain.clone());
        Self::TooDeep { family, chain, tip, depth, limit: limits.max_reorg_depth }
    }
}
