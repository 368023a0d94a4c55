use crate::{
    event::{
        body::event,
        event_kind::EventKind,
        ids::polled_event_id,
        polled_values::{check_line, check_name},
    },
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US, decimal},
    streams::Stream,
    subjects::forms as subjects,
    types::{decimal::Decimal, labels::Labels},
};

/// What metrics are about; the first part of their names.
const FAMILIES: [&str; 4] = ["gas", "defi", "network", "market"];
/// Longest second part of a name, bytes.
const MAX_WHAT: usize = 64;
/// Maximum number of labels, and of characters in one.
const MAX_LABELS: usize = 16;
const MAX_LABEL_CHARS: usize = 200;

event! {
    /// A number that a provider gives of a chain, an asset, a protocol or a pool.
    pub struct Metric: base {
        /// What is measured: `<family>.<what>`, such as `gas.fast`; families are `gas`, `defi`, `network` and `market`.
        pub name: String,
        /// What it is measured of, lower case, such as `ethereum`: a chain, an asset, a protocol, a pool.
        pub key: String,
        /// The number.
        pub value: Decimal,
        /// Unit of the number, lower case, such as `gwei`.
        pub unit: String,
        /// What else is to be said of it. Labels describe: two numbers of one name and key at one time are one.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        pub labels: Labels,
    }
}

impl Metric {
    /// Both parts of the name; no second part where it has no point.
    fn parts(&self) -> (&str, &str) {
        self.name.split_once('.').unwrap_or((&self.name, ""))
    }
}

impl EventKind for Metric {
    const NAME: &'static str = "metric";
    const SCHEMA: &'static str = "metric/1";
    const SUBJECT: &'static str = "<family>.<what>.<key>";
    const PATTERNS: &'static [&'static str] = &["gas.*.*", "defi.*.*", "network.*.*", "market.*.*"];
    // Prices.
    const NOT_ITS_SUBJECTS: &'static [&'static str] = &["market.price.>"];
    const STREAMS: &'static [(Stream, &'static str)] = &[
        (Stream::Market, subjects::GAS_ALL),
        (Stream::Market, subjects::DEFI_ALL),
        (Stream::Market, subjects::NETWORK_ALL),
        (Stream::Market, subjects::MARKET_ALL),
    ];
    const SOURCE: &'static str = "";
    const POLLED: bool = true;

    fn subject(&self) -> String {
        let (family, what) = self.parts();
        subjects::metric(family, what, &self.key)
    }

    fn key(&self) -> String {
        format!("{}/{}", self.name, self.key)
    }

    fn check(&self) -> Result<(), String> {
        check_metric_name(&self.name)?;
        check_name("key", &self.key)?;
        check_name("unit", &self.unit)?;
        if self.labels.0.len() > MAX_LABELS {
            return Err(format!("{} labels are more than {MAX_LABELS}", self.labels.0.len()));
        }
        self.labels.0.iter().try_for_each(|(name, text)| {
            check_name("label", name)?;
            check_line(&format!("label {name}"), text, MAX_LABEL_CHARS)
        })
    }

    fn sample() -> Self {
        Metric {
            id: polled_event_id("okx", Kind::Metric, "market.funding-rate/btc-usdt", BLOCK_TIME_US),
            name: "market.funding-rate".to_owned(),
            key: "btc-usdt".to_owned(),
            value: decimal("-0.0000125"),
            unit: "ratio".to_owned(),
            labels: Labels::from([("instrument", "BTC-USDT-SWAP"), ("interval_hours", "8")]),
            ..Metric::at("okx", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}

/// Checks `<family>.<what>`.
fn check_metric_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let (family, what) = name.split_once('.').unwrap_or((name, ""));
    if name == "market.price" {
        return Err(format!("name {name:?} is taken: the price of an asset is of the kind price"));
    }
    if !FAMILIES.contains(&family) {
        return Err(format!(
            "name {name:?} does not begin with one of the families {}",
            FAMILIES.join(", ")
        ));
    }
    if what.is_empty() || what.len() > MAX_WHAT || !what.bytes().all(plain) {
        return Err(format!(
            "name {name:?} is not {family}.<what>, <what> being of a to z, 0 to 9 and -"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, key: &str) -> Result<(), String> {
        Metric { name: name.to_owned(), key: key.to_owned(), ..Metric::sample() }.check()
    }

    #[test]
    fn a_name_has_a_family_and_is_no_price() {
        for name in ["gas.base-fee", "market.volume-24h", "market.price-change"] {
            assert_eq!(checked(name, "ethereum"), Ok(()));
        }
        for (name, problem) in [
            ("gas", "gas.<what>"),
            ("gas.", "gas.<what>"),
            ("gas.Fast", "gas.<what>"),
            ("gas.fast.slow", "gas.<what>"),
            ("fees.fast", "families"),
            ("evm.base", "families"),
            ("market.price", "is taken"),
            ("", "families"),
        ] {
            let error = checked(name, "ethereum").err().unwrap_or_default();
            assert!(error.contains(problem), "{name}: {error}");
        }
    }

    #[test]
    fn keys_and_labels_have_bounds() {
        assert_eq!(checked("defi.apy", "aave-v3:ethereum:0xabc/1"), Ok(()));
        assert!(checked("defi.apy", "Aave").is_err() && checked("defi.apy", "").is_err());
        let labels = Labels((0..17).map(|at| (format!("l{at}"), "x".to_owned())).collect());
        assert!(Metric { labels, ..Metric::sample() }.check().is_err());
        let long = Labels::from([("l", "x".repeat(201))]);
        assert!(Metric { labels: long, ..Metric::sample() }.check().is_err());
    }
}
