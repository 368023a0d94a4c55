//! The demo's configuration: an ordinary file, so that every other command works beside it.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use crypto_intel_nats::Topology;

use super::servers::Servers;
use crate::args::DemoArguments;

/// What the chat stand-in takes for a bot; not a real one.
const BOT_TOKEN: &str = "100:demo";
/// Bound of each stream.
const STREAM_BYTES: u64 = 256 << 20;
/// Rules of the demo.
const RULES: &str = include_str!("rules.toml");
/// A source of the demo's own, beside those that are shipped.
const NEWS: &str = include_str!("demo_news.toml");
/// The demo's own token.
const ASSETS: &str = include_str!("assets.toml");

/// Writes `crypto-intel.toml`, `rules.toml`, `assets.toml` and `sources` into the demo's folder.
pub(super) fn write(servers: &Servers, options: &DemoArguments) -> anyhow::Result<PathBuf> {
    let folder = &servers.folder;
    let place = folder.display();
    let text = format!(
        r#"# Written by `crypto-intel demo`; its servers live only as long as the demo.
# While it runs: crypto-intel --config {place}/crypto-intel.toml tail 'evm.>'

[nats]
url = "{nats}"

[database]
url = "{database}"

[admin]
listen = "{admin}"

[api]
listen = "{api}"
anonymous_role = "operator"
anonymous_cost_per_minute = 6000

[telemetry]
log = "info"
format = "text"
file = "{place}/crypto-intel.log"

{chain}
# JetStream sets these aside on the disk; the streams of a deployment are larger.
[streams.streams]
{limits}

[poll]
catalogue = "sources"
only = ["coingecko", "binance", "alternative_me", "demo_news"]

[poll.providers.coingecko]
base_url = "{provider}/coingecko"
every_seconds = 5
per_minute = 600
parameters = {{ assets = ["bitcoin", "ethereum", "usd-coin", "tether", "dai"] }}

[poll.providers.binance]
base_url = "{provider}/binance"
every_seconds = 5
per_minute = 600

[poll.providers.alternative_me]
base_url = "{provider}/alternative_me"
every_seconds = 10
per_minute = 600

[poll.providers.demo_news]
base_url = "{provider}/news"

[alerts]
rules = ["{place}/rules.toml"]

[notify.destinations.telegram]
channel = "telegram"
api_url = "{chat}"
token = "{token}"
chat_id = 1001

[notify.destinations.discord]
channel = "discord"
webhook_url = "{discord}"
"#,
        limits = small_streams()?,
        nats = servers.nats.url(),
        database = servers.database_url,
        admin = options.admin,
        api = options.api,
        chain = servers.chain.settings(&place.to_string()),
        provider = servers.provider.url(),
        chat = servers.chat.url(),
        token = BOT_TOKEN,
        discord = servers.chat.discord_webhook_url("1", "demo"),
    );
    let path = folder.join("crypto-intel.toml");
    fs::create_dir_all(folder.join("sources")).with_context(|| format!("make {place}/sources"))?;
    for (name, content) in [
        ("crypto-intel.toml", text.as_str()),
        ("rules.toml", RULES),
        ("assets.toml", ASSETS),
        ("sources/demo_news.toml", NEWS),
    ] {
        fs::write(folder.join(name), content).with_context(|| format!("write {place}/{name}"))?;
    }
    Ok(path)
}

/// Every stream at a size that any disk has.
fn small_streams() -> anyhow::Result<String> {
    let topology = Topology::embedded().context("read the stream definitions")?;
    let line = |name: &&str| format!("{name} = {{ max_bytes = {STREAM_BYTES} }}");
    Ok(topology.stream_names().iter().map(line).collect::<Vec<_>>().join("\n"))
}
