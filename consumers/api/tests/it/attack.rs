//! Requests made of the description: whatever fits it is answered as it says, whatever does not is refused.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, bail};
use crypto_intel_api::Config;
use crypto_intel_sandbox::tools;
use crypto_intel_schemas::ApiRole;
use crypto_intel_testkit::{Need, available};

use crate::{
    harness::{Api, Servers},
    seed::{blocks, write},
};

const RUN: &str = "from schemathesis.cli import schemathesis; schemathesis()";
/// Requests of each route and kind.
const EXAMPLES: &str = "6";
/// Other requests are made with another one: `CRYPTO_INTEL_ATTACK_SEED=7 cargo nextest run -E 'test(attack)'`.
const SEED: &str = "CRYPTO_INTEL_ATTACK_SEED";

/// The folder of `scripts/tools.sh schemathesis`.
fn schemathesis() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/schemathesis");
    if !folder.join("schemathesis").is_dir() {
        bail!("schemathesis is missing: scripts/tools.sh schemathesis");
    }
    folder.canonicalize().context("find schemathesis")
}

/// Attacks the API with these headers; the checks are those that do not depend on what is stored.
async fn attack(packages: &Path, api: &Api, headers: &[String], checks: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let seed = std::env::var(SEED).unwrap_or_else(|_| "1".to_owned());
    let mut command = tokio::process::Command::new(tools::python().unwrap());
    command
        .args(["-c", RUN, "run", "--no-color", "--max-examples", EXAMPLES, "--checks", checks])
        .args(["--phases", "examples,coverage,fuzzing", "--generation-database", "none"])
        .args(["--suppress-health-check", "all", "--request-timeout", "30", "--seed", &seed])
        // Its answers have no end.
        .args(["--exclude-path", "/api/v1/stream"])
        .arg(format!("{}/api/v1/openapi.json", api.url))
        .env("PYTHONPATH", packages)
        .current_dir(folder.path())
        .kill_on_drop(true);
    for header in headers {
        command.args(["--header", header]);
    }
    command.output().await.unwrap()
}

fn assert_clean(what: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_made_of_the_description_find_nothing() {
    let Some(packages) = available(Need::Python, schemathesis()) else { return };
    let servers = Servers::start().await;
    write(&servers.store, "EVM", &blocks("ethereum", 30), 10).await;
    let config = Config {
        cost_per_minute: 100_000_000,
        changes_per_minute: 100_000_000,
        // Texts are then refused by their own bounds.
        max_body_bytes: 16 << 20,
        ..Config::default()
    };
    let api = servers.api(config).await;
    // What a key may not see is answered as the description says, too.
    for role in ApiRole::ALL {
        let key = servers.key(&api, role, None).await;
        let headers = [format!("Authorization: Bearer {key}")];
        let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,unsupported_method";
        let output = attack(&packages, &api, &headers, checks).await;
        assert_clean(role.as_str(), &output);
    }
    let key = servers.key(&api, ApiRole::Admin, None).await;
    let headers = [format!("Authorization: Bearer {key}")];
    let output = attack(&packages, &api, &headers, "negative_data_rejection").await;
    assert_clean("what does not fit", &output);
}
