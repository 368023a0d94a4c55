//! docs/rules.md is generated from what rules are checked with.

use std::path::Path;

use crypto_intel_alerts::rules_reference;

#[test]
fn the_reference_of_rules_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let text = rules_reference();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/rules.md is out of date: run `make generate`");
}
