//! persist as a separate process that can be killed and paused: this test binary again, running only [`instance`].

use crypto_intel_persist::{Config, run};
use crypto_intel_service::{Context, TelemetryConfig, init_telemetry};
use crypto_intel_testkit::{TestProcess, connect_to, end_with_parent};

use crate::harness::{Servers, store};

const NATS_URL: &str = "CRYPTO_INTEL_PERSIST_NATS";
const DATABASE: &str = "CRYPTO_INTEL_PERSIST_DATABASE";
const INSTANCE: &str = "CRYPTO_INTEL_PERSIST_INSTANCE";

/// A persist process; killed when dropped.
pub(crate) fn start(servers: &Servers, instance: &str) -> TestProcess {
    let (nats_url, database) = (servers.broker.url(), servers.database.url());
    let environment = [(NATS_URL, &*nats_url), (DATABASE, database), (INSTANCE, instance)];
    TestProcess::start("process::instance", &environment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the persist process of the other tests"]
async fn instance() {
    let (Ok(url), Ok(database), Ok(instance)) =
        (std::env::var(NATS_URL), std::env::var(DATABASE), std::env::var(INSTANCE))
    else {
        return;
    };
    end_with_parent();
    let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    init_telemetry(&TelemetryConfig { log, ..TelemetryConfig::default() }).unwrap();
    let (nats, store) = (connect_to(url, &instance).await, store(&database).await);
    run(Config::default(), nats, store, Context::new(instance)).await.unwrap();
}
