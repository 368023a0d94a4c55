use crypto_intel_nats::{Bucket, StreamMessage};
use crypto_intel_poll::{Config, ProviderSettings, run};
use crypto_intel_schemas::{AssetPrice, Event};
use crypto_intel_testkit::{Broker, RunningRole};

use crate::stand_in::StandIn;

/// Starts an instance of the role, as its own user.
pub(crate) async fn start(broker: &Broker, config: Config, instance: &str) -> RunningRole {
    let nats = broker.connect_as("poll").await;
    RunningRole::start(instance, |context| run(config, nats, context))
}

pub(crate) async fn price_of(broker: &Broker, asset: &str) -> Option<AssetPrice> {
    let bucket = broker.nats.kv(Bucket::Prices).await.ok()?;
    let entry = bucket.get(asset).await.ok()??;
    Some(serde_json::from_slice(&entry.value).unwrap())
}

/// A configuration in which only these sources are polled, each at its stand-in.
pub(crate) fn only(sources: &[(&'static str, &StandIn, ProviderSettings)]) -> Config {
    let at = |(name, stand_in, settings): &(&'static str, &StandIn, ProviderSettings)| {
        (*name, stand_in.url(), settings.clone())
    };
    only_at(&sources.iter().map(at).collect::<Vec<_>>())
}

/// A configuration in which only these sources are polled, each at this address.
pub(crate) fn only_at(sources: &[(&str, String, ProviderSettings)]) -> Config {
    let settings_of = |(name, url, settings): &(&str, String, ProviderSettings)| {
        let settings = ProviderSettings {
            base_url: Some(url.as_str().into()),
            per_minute: Some(6_000),
            ..settings.clone()
        };
        ((*name).to_owned(), settings)
    };
    Config {
        only: sources.iter().map(|(name, _, _)| (*name).to_owned()).collect(),
        providers: sources.iter().map(settings_of).collect(),
        ..Config::default()
    }
}

pub(crate) fn event_of(message: &StreamMessage) -> Event {
    Event::decode(&message.payload).unwrap()
}
