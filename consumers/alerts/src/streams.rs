//! Which stream a subject pattern reads, what kinds of event it can match, and which filters a
//! reader needs.

use crypto_intel_schemas::{Kind, patterns::without_overlap, subjects};

pub use crypto_intel_schemas::Stream as RuleStream;

/// The stream that holds a subject, by its first token; `None` where rules read none.
pub(crate) fn stream_of_pattern(pattern: &str) -> Option<RuleStream> {
    let prefix = pattern.split('.').next()?;
    let mut streams = RuleStream::OF_RULES.into_iter();
    streams.find(|stream| readable_of(*stream).any(|readable| readable == prefix))
}

/// First tokens of subjects that rules may name.
pub(crate) fn readable_prefixes() -> Vec<&'static str> {
    RuleStream::OF_RULES.into_iter().flat_map(readable_of).collect()
}

/// First tokens of a stream's subjects, without ticks and copies for watched addresses.
fn readable_of(stream: RuleStream) -> impl Iterator<Item = &'static str> {
    let prefixes = stream.subjects().iter().filter_map(|subject| subject.split('.').next());
    prefixes.filter(|prefix| !["tick", "watch"].contains(prefix))
}

/// The kinds that rules read, in the order of the documentation.
fn kinds_in_rules() -> impl Iterator<Item = Kind> {
    Kind::ALL.iter().copied().filter(|kind| kind.is_in_rules())
}

/// The kinds of event that a pattern can match, in the order of the documentation.
pub(crate) fn kinds_of_pattern(pattern: &str) -> Vec<Kind> {
    kinds_in_rules().filter(|kind| kind.is_on(pattern)).collect()
}

/// The kinds of event that any of the patterns can match.
pub(crate) fn kinds_of_patterns<P: AsRef<String>>(patterns: &[P]) -> Vec<Kind> {
    let is_on_any = |kind: &Kind| patterns.iter().any(|pattern| kind.is_on(pattern.as_ref()));
    kinds_in_rules().filter(is_on_any).collect()
}

/// Patterns of a single kind each, for suggestions.
pub(crate) fn example_patterns() -> Vec<String> {
    kinds_in_rules().flat_map(Kind::patterns).collect()
}

/// More filters than this are more expensive for the server than reading everything.
const MAX_FILTERS: usize = 6;

/// The filters of a stream's reader: patterns of rules, block markers and ticks, without overlap,
/// which JetStream refuses.
pub(crate) fn reader_filters<'a>(
    stream: RuleStream,
    patterns: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let tick = stream.tick_pattern();
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
        assert_eq!(kinds_of_pattern("market.price.>"), [Kind::Price]);
        assert_eq!(kinds_of_pattern("market.funding-rate.*"), [Kind::Metric]);
        assert_eq!(kinds_of_pattern("market.>"), [Kind::Price, Kind::Metric]);
        assert_eq!(kinds_of_pattern("gas.fast.ethereum"), [Kind::Metric]);
        assert_eq!(kinds_of_pattern("news.>"), [Kind::Article]);
        assert_eq!(kinds_of_pattern("whale.bitcoin"), [Kind::Whale]);
        assert_eq!(kinds_of_pattern("status.>"), [Kind::ProviderStatus]);
        assert_eq!(kinds_of_pattern("evm.*.swap"), [Kind::Swap]);
        assert_eq!(kinds_of_pattern("alert.critical.>"), [Kind::Alert]);
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
