//! Which stream a subject pattern reads, what kinds of event it can match, and which filters a
//! reader needs.

use crypto_intel_schemas::{
    Kind,
    patterns::{overlaps, without_overlap},
    subjects,
};

/// A stream that rules may read. A rule reads exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleStream {
    /// Live events of all EVM chains.
    Evm,
    /// Prices and other polled market data.
    Market,
    /// News, indices, provider-reported transfers.
    Signals,
    /// Health of providers and nodes.
    Status,
}

impl RuleStream {
    /// Name of the JetStream stream.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evm => "EVM",
            Self::Market => "MARKET",
            Self::Signals => "SIGNALS",
            Self::Status => "STATUS",
        }
    }

    /// The name in lower case: in tick subjects, probes, metrics and state keys.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Evm => "evm",
            Self::Market => "market",
            Self::Signals => "signals",
            Self::Status => "status",
        }
    }

    /// Subject of this stream's ticks.
    #[must_use]
    pub fn tick_subject(self) -> String {
        subjects::tick(self.slug())
    }

    /// The stream that holds a subject, by its first token.
    pub(crate) fn of_pattern(pattern: &str) -> Option<Self> {
        match pattern.split('.').next()? {
            "evm" => Some(Self::Evm),
            "market" | "gas" | "defi" | "network" => Some(Self::Market),
            "news" | "sentiment" | "whale" => Some(Self::Signals),
            "status" | "check" => Some(Self::Status),
            _ => None,
        }
    }
}

/// First tokens of subjects that rules may name.
pub(crate) const READABLE_PREFIXES: &[&str] =
    &["evm", "market", "gas", "defi", "network", "news", "sentiment", "whale", "status", "check"];

/// Pattern of all subjects of a kind; `None` for kinds that rules do not read.
fn pattern_of_kind(kind: Kind) -> Option<String> {
    match kind {
        Kind::Price => Some("market.price.*".to_owned()),
        Kind::Index => Some("sentiment.*".to_owned()),
        Kind::NodeStatus | Kind::Tick | Kind::Alert | Kind::Notification | Kind::Delivery => None,
        Kind::Block
        | Kind::Reorg
        | Kind::Finalized
        | Kind::Jump
        | Kind::NativeTransfer
        | Kind::Erc20Transfer
        | Kind::Erc721Transfer
        | Kind::Erc1155Transfer
        | Kind::Approval
        | Kind::InternalTransfer
        | Kind::Swap
        | Kind::Liquidity
        | Kind::ContractEvent
        | Kind::ContractCreation
        | Kind::Log => Some(subjects::chain_filter(subjects::Lane::Live, "*", kind)),
    }
}

/// The kinds of event that a pattern can match, in the order of the documentation.
pub(crate) fn kinds_of_pattern(pattern: &str) -> Vec<Kind> {
    Kind::ALL
        .iter()
        .copied()
        .filter(|kind| pattern_of_kind(*kind).is_some_and(|of_kind| overlaps(pattern, &of_kind)))
        .collect()
}

/// Patterns of a single kind each, for suggestions.
pub(crate) fn example_patterns() -> Vec<String> {
    Kind::ALL.iter().copied().filter_map(pattern_of_kind).collect()
}

/// More filters than this are more expensive for the server than reading everything.
const MAX_FILTERS: usize = 6;

/// The filters of a stream's reader: patterns of rules, block markers and ticks, without overlap,
/// which JetStream refuses.
pub(crate) fn reader_filters<'a>(
    stream: RuleStream,
    patterns: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let tick = stream.tick_subject();
    let mut wanted: Vec<String> = patterns.into_iter().map(str::to_owned).collect();
    if stream == RuleStream::Evm {
        wanted.push(subjects::chain(subjects::Lane::Live, "*", Kind::Block));
    }
    let few = without_overlap(wanted.clone()).filter(|few| few.len() <= MAX_FILTERS);
    let mut filters = few.unwrap_or_else(|| {
        let mut prefixes: Vec<String> = wanted
            .iter()
            .filter_map(|pattern| pattern.split('.').next())
            .map(|prefix| format!("{prefix}.>"))
            .collect();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    });
    filters.push(tick);
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_knows_its_kinds() {
        assert_eq!(kinds_of_pattern("evm.*.transfer.erc20"), [Kind::Erc20Transfer]);
        assert_eq!(kinds_of_pattern("evm.base.transfer.*").len(), 5);
        assert_eq!(kinds_of_pattern("market.price.bitcoin"), [Kind::Price]);
        assert_eq!(kinds_of_pattern("evm.*.transfers"), []);
        assert_eq!(kinds_of_pattern("evm.*.event.answer_updated"), [Kind::ContractEvent]);
    }

    #[test]
    fn filters_never_overlap() {
        assert_eq!(
            reader_filters(RuleStream::Evm, ["evm.*.transfer.erc20", "evm.base.transfer.erc20"]),
            ["evm.*.block", "evm.*.transfer.erc20", "tick.evm"]
        );
        assert_eq!(
            reader_filters(RuleStream::Evm, ["evm.*.transfer.erc20", "evm.base.>"]),
            ["evm.>", "tick.evm"]
        );
        assert_eq!(
            reader_filters(RuleStream::Market, ["market.price.bitcoin"]),
            ["market.price.bitcoin", "tick.market"]
        );
    }
}
