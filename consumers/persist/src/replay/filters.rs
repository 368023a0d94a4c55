//! Which subjects a replay reads for the requested ones.

use anyhow::bail;
use crypto_intel_schemas::{
    Kind,
    patterns::{covers, is_pattern},
    subjects::{self, Lane},
};

use crate::config::StreamSource;

/// The requested filters, plus those for block markers where they are missing: markers decide which rows are canonical. Without
/// any filter, everything that persist stores of the stream.
pub(super) fn with_markers(asked: &[String], source: &StreamSource) -> anyhow::Result<Vec<String>> {
    if asked.is_empty() {
        return Ok(source.filters.clone());
    }
    let mut filters = asked.to_vec();
    for filter in asked {
        if !is_pattern(filter) {
            bail!(
                "--subject {filter:?} is no pattern of subjects: write such as evm.ethereum.transfer.>"
            );
        }
        if !source.filters.iter().any(|stored| covers(stored, filter)) {
            let (stored, stream) = (source.filters.join(", "), &source.stream);
            bail!(
                "--subject {filter}: persist stores {stored} of stream {stream} and nothing else"
            );
        }
        let markers = markers_of(filter);
        filters.extend(markers.filter(|markers| !asked.iter().any(|wide| covers(wide, markers))));
    }
    filters.dedup();
    Ok(filters)
}

/// Pattern of the markers of the chains that a filter covers; `None` where it covers no chain events.
pub(super) fn markers_of(filter: &str) -> Option<String> {
    let mut tokens = filter.split('.');
    let lane = match tokens.next()? {
        "evm" => Lane::Live,
        "history" => Lane::History,
        _ => return None,
    };
    let chain = tokens.next()?;
    Some(subjects::chain(lane, if chain == ">" { "*" } else { chain }, Kind::Block))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(filters: &[&str]) -> anyhow::Result<Vec<String>> {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        with_markers(&filters, &StreamSource::new("EVM", &["evm.>"]))
    }

    #[test]
    fn markers_are_added_where_they_are_left_out() {
        assert_eq!(asked(&[]).unwrap(), ["evm.>"]);
        assert_eq!(asked(&["evm.base.>"]).unwrap(), ["evm.base.>"]);
        assert_eq!(
            asked(&["evm.base.transfer.>", "evm.base.log"]).unwrap(),
            ["evm.base.transfer.>", "evm.base.log", "evm.base.block"]
        );
        assert_eq!(asked(&["evm.*.swap"]).unwrap(), ["evm.*.swap", "evm.*.block"]);
        assert_eq!(asked(&["evm.*.*"]).unwrap(), ["evm.*.*"]);
    }

    #[test]
    fn subjects_that_persist_does_not_store_are_refused() {
        for filter in ["watch.>", "tick.evm", ">", "evm..x"] {
            let error = asked(&[filter]).unwrap_err().to_string();
            assert!(error.contains(filter), "{error}");
        }
    }
}
