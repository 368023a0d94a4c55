use std::{collections::BTreeMap, sync::Arc};

use crypto_intel_nats::{Bucket, KvError, Nats};
use crypto_intel_schemas::{AssetPrice, Event, Price, SourcePrice, SourceVerdict};
use crypto_intel_service::now_us;
use parking_lot::Mutex;

use super::{
    choice::label_of,
    pegs::{self, DOLLAR, Rate, Rates},
    price_choice::{self, Context},
    shared_values::{SharedValues, Written},
};
use crate::{config::PriceSettings, metrics::Metrics};

/// Writes what sources say of prices into the bucket, and which price is used, after their events were acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct PriceWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    values: SharedValues,
    settings: PriceSettings,
    metrics: Metrics,
    /// Quotes by whether they are off their peg, so that each change is logged once.
    off_peg: Mutex<BTreeMap<String, bool>>,
}

impl PriceWriter {
    pub(crate) fn new(nats: Nats, settings: PriceSettings, metrics: Metrics) -> Self {
        let values = SharedValues::new(nats, Bucket::Prices);
        let shared = Shared { values, settings, metrics, off_peg: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Offers the prices among the events. A failed write is logged, and the next answer repeats it.
    pub(crate) async fn offer(&self, events: &[Event]) {
        let mut prices: Vec<&Price> = events
            .iter()
            .filter_map(|event| match event {
                Event::Price(price) => Some(price),
                _ => None,
            })
            .collect();
        // Those that say what a quote is worth come first: the others are valued by them.
        prices.sort_by_key(|price| !self.proves(&price.asset));
        let mut rates = None;
        for price in prices {
            let proves = self.proves(&price.asset);
            if !self.counts(price, proves) {
                self.count(price, "not_dollars");
                continue;
            }
            let result = match &rates {
                _ if proves => self.write(price, &Rates::default()).await,
                Some(rates) => self.write(price, rates).await,
                None => {
                    let read = self.rates().await;
                    self.write(price, rates.insert(read)).await
                }
            };
            match result {
                Ok(label) => self.count(price, label),
                Err(error) => {
                    self.count(price, "failed");
                    tracing::warn!(
                        asset = price.asset,
                        error = %format!("{error:#}"),
                        "cannot write prices, the next answer repeats them"
                    );
                    return;
                }
            }
        }
    }

    /// Whether the asset is one whose price says what a quote is worth.
    fn proves(&self, asset: &str) -> bool {
        self.shared.settings.dollar_quotes.values().any(|proof| proof == asset)
    }

    /// Whether a price is one in dollars. What a quote is worth is not told by another such quote: two coins that lost
    /// their peg together would prove each other.
    fn counts(&self, price: &Price, proves: bool) -> bool {
        price.quote == DOLLAR
            || (!proves && self.shared.settings.dollar_quotes.contains_key(&price.quote))
    }

    fn count(&self, price: &Price, result: &str) {
        self.shared.metrics.prices.with_label_values(&[price.source.as_str(), result]).inc();
    }

    /// What the quotes are worth now. One that cannot be read now is a dollar until it can.
    async fn rates(&self) -> Rates {
        let mut rates = Rates::default();
        for (quote, asset) in &self.shared.settings.dollar_quotes {
            let read = self.shared.values.read::<AssetPrice>(&AssetPrice::key(asset)).await;
            let own = read.ok().and_then(|(own, _)| own);
            let rate = pegs::rate(own.as_ref(), now_us(), &self.shared.settings);
            self.log_change(quote, asset, &rate, own.as_ref());
            rates.set(quote, rate);
        }
        rates
    }

    fn log_change(&self, quote: &str, asset: &str, rate: &Rate, own: Option<&AssetPrice>) {
        let off = *rate != Rate::Dollar;
        if self.shared.off_peg.lock().insert(quote.to_owned(), off).unwrap_or(false) == off {
            return;
        }
        let price = own.map(|own| own.price.to_string()).unwrap_or_default();
        if off {
            tracing::warn!(
                quote,
                asset,
                price,
                "quote is not worth a dollar, prices in it are converted by its own price while that is fresh"
            );
        } else {
            tracing::info!(quote, asset, price, "quote is worth a dollar again");
        }
    }

    /// Notes what a source says and what follows from it; returns what became of it.
    async fn write(&self, price: &Price, rates: &Rates) -> Result<&'static str, KvError> {
        let offered = SourcePrice {
            source: price.source.clone(),
            price: price.price.clone(),
            quote: price.quote.clone(),
            at_us: price.event_at_us,
            dollars: None,
            verdict: SourceVerdict::Unknown,
        };
        let next = |known: Option<&AssetPrice>| {
            let context = Context { settings: &self.shared.settings, rates, now_us: now_us() };
            price_choice::next(known, offered.clone(), &context)
        };
        let key = AssetPrice::key(&price.asset);
        let written = self.shared.values.change(&key, &price.source, next).await?;
        Ok(match written {
            Written::Unchanged => "unchanged",
            Written::Outrun => "outrun",
            Written::Stored(value) => {
                let of_source = value.sources.iter().find(|said| said.source == price.source);
                of_source.map_or("unchanged", |said| label_of(said.verdict))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::Decimal;
    use crypto_intel_service::prometheus::Registry;
    use crypto_intel_testkit::Broker;

    use super::*;

    const WRITERS: usize = 12;
    const ROUNDS: i64 = 8;

    fn says(source: &str, at_us: i64) -> Event {
        let price = Decimal::parse("64000.5").unwrap();
        let asset = "bitcoin".to_owned();
        Event::Price(Price { asset, price, ..Price::at(source, at_us, at_us) })
    }

    #[tokio::test]
    async fn what_many_writers_say_at_once_is_all_there() {
        let broker = Broker::start().await;
        let now = now_us();
        let writer = |_| {
            let metrics = Metrics::new(&Registry::new()).unwrap();
            PriceWriter::new(broker.nats.clone(), PriceSettings::default(), metrics)
        };
        let tasks = (0..WRITERS).map(writer).enumerate().map(|(index, writer)| {
            tokio::spawn(async move {
                let source = format!("source-{index}");
                for round in 0..ROUNDS {
                    writer.offer(&[says(&source, now - ROUNDS + round)]).await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let bucket = broker.nats.kv(Bucket::Prices).await.unwrap();
        let entry = bucket.get("bitcoin").await.unwrap().unwrap();
        let value: AssetPrice = serde_json::from_slice(&entry.value).unwrap();
        assert_eq!(value.sources.len(), WRITERS, "{value:?}");
        assert!(value.sources.iter().all(|price| price.at_us == now - 1), "{value:?}");
        assert_eq!(value.sources.iter().filter(|p| p.verdict == SourceVerdict::Used).count(), 1);
    }
}
