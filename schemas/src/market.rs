//! Events of polled sources, and the passing of time.

use crate::{Decimal, Kind, event::event};

event! {
    /// Price of an asset at a provider.
    pub struct Price: base {
        /// Asset id of the catalogue, lower case, such as `bitcoin`.
        pub asset: String,
        /// What the price is in, lower case, such as `usd`.
        pub quote: String,
        /// Units of `quote` for one unit of the asset.
        pub price: Decimal,
        /// Traded in the last 24 hours, in units of `quote`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub volume_24h: Option<Decimal>,
        /// Market capitalisation, in units of `quote`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub market_cap: Option<Decimal>,
        /// Change over the last 24 hours, percent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub change_24h_percent: Option<Decimal>,
    }
}

impl Price {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Price,
            version: Kind::Price.version(),
            id: String::new(),
            source: String::new(),
            event_at_us: 0,
            observed_at_us: 0,
            asset: String::new(),
            quote: "usd".to_owned(),
            price: Decimal::zero(),
            volume_24h: None,
            market_cap: None,
            change_24h_percent: None,
        }
    }
}

event! {
    /// A named index, such as alternative.me's fear and greed.
    pub struct Index: base {
        /// Name of the index, lower case, such as `fear-greed`.
        pub index: String,
        /// Its value, in the index's own scale.
        pub value: Decimal,
        /// The provider's word for the value, such as `Extreme Fear`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub classification: Option<String>,
    }
}

impl Index {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Index,
            version: Kind::Index.version(),
            id: String::new(),
            source: String::new(),
            event_at_us: 0,
            observed_at_us: 0,
            index: String::new(),
            value: Decimal::zero(),
            classification: None,
        }
    }
}

event! {
    /// The passing of time, published into each stream that rules read, once a second.
    pub struct Tick: base {
        /// Name of the stream it is published into, lower case, such as `evm`.
        pub stream: String,
    }
}

impl Tick {
    /// All fields at zero, for struct update syntax.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            kind: Kind::Tick,
            version: Kind::Tick.version(),
            id: String::new(),
            source: String::new(),
            event_at_us: 0,
            observed_at_us: 0,
            stream: String::new(),
        }
    }
}
