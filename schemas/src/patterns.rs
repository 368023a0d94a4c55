//! Patterns of subjects, as NATS understands them: `*` is any one token, `>` one or more at the end.

/// Whether `pattern` is one: non-empty tokens, `*` alone, `>` alone and last.
#[must_use]
pub fn is_pattern(pattern: &str) -> bool {
    let mut tokens = pattern.split('.').peekable();
    while let Some(token) = tokens.next() {
        let valid = match token {
            ">" => tokens.peek().is_none(),
            "*" => true,
            _ => !token.is_empty() && !token.contains(['*', '>', ' ', '\t', '\n', '\r']),
        };
        if !valid {
            return false;
        }
    }
    true
}

/// Whether a literal subject matches a pattern.
#[must_use]
pub fn matches(pattern: &str, subject: &str) -> bool {
    covers(pattern, subject)
}

/// Whether every subject that matches `narrow` also matches `wide`.
#[must_use]
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(left), Some(right)) if left == right => {}
            _ => return false,
        }
    }
}

/// Whether some subject matches both patterns.
#[must_use]
pub fn overlaps(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// The same subjects by as few patterns as possible, sorted; `None` when two of them overlap and neither covers the other:
/// JetStream rejects such filters of a consumer.
#[must_use]
pub fn without_overlap(mut patterns: Vec<String>) -> Option<Vec<String>> {
    patterns.sort();
    patterns.dedup();
    let all = patterns.clone();
    patterns.retain(|narrow| !all.iter().any(|wide| wide != narrow && covers(wide, narrow)));
    let crossing = patterns
        .iter()
        .enumerate()
        .any(|(index, one)| patterns[index + 1..].iter().any(|other| overlaps(one, other)));
    (!crossing).then_some(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_cover_and_overlap_as_in_nats() {
        assert!(matches("evm.*.transfer.erc20", "evm.base.transfer.erc20"));
        assert!(!matches("evm.*.transfer", "evm.base.transfer.erc20"));
        assert!(matches("evm.>", "evm.base.block") && !matches("evm.>", "evm"));
        assert!(covers("evm.*.>", "evm.base.transfer.*") && !covers("evm.*", "evm.>"));
        assert!(overlaps("evm.base.>", "evm.*.transfer.erc20"));
        assert!(!overlaps("evm.base.block", "evm.*.transfer.erc20"));
        assert!(is_pattern("evm.*.>") && !is_pattern("evm..x") && !is_pattern("evm.>.x"));
        assert!(!is_pattern("evm.b*") && !is_pattern(""));
    }

    #[test]
    fn covered_patterns_are_dropped_and_crossing_ones_refused() {
        let few = |patterns: [&str; 3]| without_overlap(patterns.map(str::to_owned).to_vec());
        assert_eq!(few(["evm.b.>", "evm.a.x", "evm.a.>"]).unwrap(), ["evm.a.>", "evm.b.>"]);
        assert_eq!(few(["a.*.x", "a.b.>", "c"]), None);
    }
}
