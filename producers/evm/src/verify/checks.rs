//! Which checks an answer has to pass.

use super::{invalid_response::InvalidResponse, level::LogProof, receipt};
use crate::{block::Header, config::ChainConfig};

/// What is verified beyond hashes and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checks {
    /// How the logs are proven to be all logs of the block.
    pub(crate) logs: LogProof,
    /// The configured proof.
    pub(crate) wanted: LogProof,
    /// Log indexes must be 0, 1, 2, …
    pub(crate) log_indexes: bool,
    /// The header must match its hash.
    pub(crate) header: Demand,
    /// The transactions must match the header; checked only if that matches its hash.
    pub(crate) transactions: Demand,
    /// Below this block the chain's receipts have a state root and no status.
    pub(crate) byzantium: u64,
}

/// Consequence of a failed check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    /// The check is not made.
    #[default]
    Off,
    /// The block is marked as unverified.
    Noted,
    /// The answer is refused.
    Strict,
}

impl Demand {
    /// The demand after several endpoints failed the check alike.
    pub(crate) fn relaxed(self) -> Self {
        match self {
            Self::Strict => Self::Noted,
            other => other,
        }
    }
}

impl Checks {
    pub(crate) fn of(config: &ChainConfig) -> Self {
        let demand = if config.check_header { Demand::Strict } else { Demand::Off };
        Self {
            log_indexes: config.check_log_indexes,
            header: demand,
            transactions: demand,
            byzantium: receipt::byzantium(config.chain_id),
            ..Self::strict(config.check_logs)
        }
    }

    /// Strict checks of log indexes and logs; none of the header.
    pub(crate) const fn strict(logs: LogProof) -> Self {
        let (header, transactions) = (Demand::Off, Demand::Off);
        Self { logs, wanted: logs, log_indexes: true, header, transactions, byzantium: 0 }
    }

    /// Refuses a header that does not match its hash.
    pub(crate) fn check(self, header: &Header) -> Result<(), InvalidResponse> {
        if self.header == Demand::Strict && !header.hash_holds {
            return Err(InvalidResponse::HeaderHash { number: header.number });
        }
        Ok(())
    }
}
