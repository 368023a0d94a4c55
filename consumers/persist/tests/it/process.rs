//! persist as a process of its own, to be killed and stopped: this test binary again, running nothing but [`instance`].

use crypto_intel_nats::{NatsConfig, connect};
use crypto_intel_persist::{Config, run};
use crypto_intel_service::{Context, Secret, TelemetryConfig, init_telemetry};
use crypto_intel_store::{Store, StoreConfig};
use crypto_intel_testkit::{TestProcess, end_with_parent};
use tokio_util::sync::CancellationToken;

use crate::rig::Rig;

const NATS_URL: &str = "CRYPTO_INTEL_PERSIST_NATS";
const DATABASE: &str = "CRYPTO_INTEL_PERSIST_DATABASE";
const INSTANCE: &str = "CRYPTO_INTEL_PERSIST_INSTANCE";

/// A persist process; killed when dropped.
pub(crate) fn start(rig: &Rig, instance: &str) -> TestProcess {
    let (nats_url, database) = (rig.server.url(), rig.database.url());
    let environment = [(NATS_URL, &*nats_url), (DATABASE, database), (INSTANCE, instance)];
    TestProcess::start("process::instance", &environment)
}

#[test]
#[ignore = "the persist process of the other tests"]
fn instance() {
    let (Ok(url), Ok(database), Ok(instance)) =
        (std::env::var(NATS_URL), std::env::var(DATABASE), std::env::var(INSTANCE))
    else {
        return;
    };
    end_with_parent();
    let log = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    init_telemetry(&TelemetryConfig { log, ..TelemetryConfig::default() }).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let never = CancellationToken::new();
        let config =
            NatsConfig { url: url.into(), request_timeout_ms: 3_000, ..NatsConfig::default() };
        let nats = connect(&config, &instance, &never).await.unwrap();
        let config = StoreConfig { url: Secret::new(database), ..StoreConfig::default() };
        let store = Store::connect(&config, &never).await.unwrap();
        run(Config::default(), nats, store, Context::new(instance)).await.unwrap();
    });
}
