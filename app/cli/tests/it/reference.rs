//! docs/configuration.md is generated from the configuration types.

use std::path::Path;

use crypto_intel_cli::AppConfig;
use crypto_intel_service::markdown_reference;

#[test]
fn the_configuration_reference_is_current() {
    let schema = schemars::schema_for!(AppConfig);
    let defaults = serde_json::to_value(AppConfig::default()).unwrap();
    let text = format!(
        "# Configuration\n\n\
         Generated from the types by `make generate`. `crypto-intel init` writes a file to start from; \
         `crypto-intel check --print` shows what is in effect, secrets hidden.\n\n\
         Order: defaults, then `crypto-intel.toml` (or `--config`, or `CRYPTO_INTEL_CONFIG`), then the environment \
         (`CRYPTO_INTEL__NATS__URL`, two underscores between keys), then flags. In the environment a list is \
         `a.toml,b.toml` or `[\"a.toml\", \"b.toml\"]`, a truth `true` or `false` in any case, and names such as those of \
         streams, chains and destinations match without regard to case and with `_` for `-`. Any secret may come from \
         a file: `password_file` instead of `password`. Unknown keys are errors.\n\n{}",
        markdown_reference(&schema, &defaults)
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/configuration.md is out of date: run `make generate`");
}
