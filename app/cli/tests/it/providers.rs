//! The commands by which a provider file is written and looked after.

use crypto_intel_sandbox::{ProviderOptions, ProviderServer};
use serde_json::Value;
use tempfile::TempDir;

use crate::servers::binary;

/// A configuration whose sources are stand-ins, and what a command says under it.
struct Sources {
    _server: ProviderServer,
    folder: TempDir,
}

impl Sources {
    async fn start(settings: &str) -> Self {
        let server = ProviderServer::start(ProviderOptions { generate: true }).await.unwrap();
        let sources = Self { folder: tempfile::tempdir().unwrap(), _server: server };
        let url = sources._server.url();
        let text =
            format!("[poll.providers.coingecko]\nbase_url = \"{url}/coingecko\"\n{settings}");
        std::fs::write(sources.folder.path().join("crypto-intel.toml"), text).unwrap();
        sources
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let config = self.folder.path().join("crypto-intel.toml");
        let output = binary(&config).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_shows_events_and_what_is_not_in_the_answer() {
    let sources =
        Sources::start("parameters = { assets = [\"bitcoin\", \"no-such-coin\"] }\n").await;
    let (code, out, err) = sources.run(&["providers", "try", "coingecko/simple-price"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("coingecko/simple-price: 1 events in "), "{out}");
    assert!(out.contains("price bitcoin/usd at 20") && out.contains("quote=usd"), "{out}");
    assert!(out.contains("not in the answer: no-such-coin/usd"), "{out}");

    let (code, out, _) = sources.run(&["--json", "providers", "try", "coingecko"]);
    let tried: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(tried[0]["endpoint"], "coingecko/simple-price");
    assert_eq!(tried[0]["events"][0]["asset"], "bitcoin");
    assert_eq!(tried[0]["missing"][0], "no-such-coin/usd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_answer_is_tried_without_a_request() {
    let sources = Sources::start("parameters = { assets = [\"bitcoin\", \"ethereum\"] }\n").await;
    let file = sources.folder.path().join("answer.json");
    std::fs::write(&file, r#"{"bitcoin": {"usd": 64000.125}, "ethereum": {"usd": -1}}"#).unwrap();
    let file = file.to_str().unwrap();
    let run = |name| sources.run(&["providers", "try", name, "--answer", file]);
    let (code, out, err) = run("coingecko/simple-price");
    assert_eq!(code, 1, "a part is dropped: {out}{err}");
    assert!(out.contains("price=64000.125") && out.contains("dropped: price -1"), "{out}");
    let (code, _, err) = run("coingecko");
    assert!(code == 1 && err.contains("NAME/ENDPOINT"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_fails_says_why_and_what_there_is() {
    let sources = Sources::start("").await;
    let (code, _, err) = sources.run(&["providers", "try", "coingeko"]);
    assert!(code == 1 && err.contains("coingeko") && err.contains("coingecko"), "{code} {err}");
    let (code, _, err) = sources.run(&["providers", "try", "coingecko/price"]);
    assert!(
        code == 1 && err.contains("no endpoint \"price\"") && err.contains("simple-price"),
        "{code} {err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_tested_on_its_example() {
    let sources = Sources::start("").await;
    let (code, out, err) = sources.run(&["providers", "test"]);
    assert!(code == 0 && out.contains("every example gives events"), "{out}{err}");
}
