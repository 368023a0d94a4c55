use crate::{
    event::{body::event, event_kind::EventKind, ids::polled_event_id, polled_values::check_name},
    kinds::Kind,
    sample_values::{BLOCK_TIME_US, OBSERVED_AT_US, decimal},
    streams::Stream,
    subjects::forms as subjects,
    types::decimal::Decimal,
};

event! {
    /// Price of an asset at a provider.
    pub struct Price: base {
        /// Asset id of the catalogue, lower case, such as `bitcoin`.
        pub asset: String,
        /// Unit of the price, lower case, such as `usd`.
        pub quote: String = "usd".to_owned(),
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

impl EventKind for Price {
    const NAME: &'static str = "price";
    const SCHEMA: &'static str = "market.price/1";
    const SUBJECT: &'static str = "market.price.<asset>";
    const STREAMS: &'static [(Stream, &'static str)] = &[(Stream::Market, subjects::MARKET_ALL)];
    const SOURCE: &'static str = "";
    const POLLED: bool = true;

    fn subject(&self) -> String {
        subjects::price(&self.asset)
    }

    fn key(&self) -> String {
        format!("{}/{}", self.asset, self.quote)
    }

    fn check(&self) -> Result<(), String> {
        check_name("asset", &self.asset)?;
        check_name("quote", &self.quote)?;
        if self.price.as_str().starts_with('-') || self.price == Decimal::zero() {
            return Err(format!("price {} is not above 0", self.price));
        }
        Ok(())
    }

    fn sample() -> Self {
        Price {
            id: polled_event_id("coingecko", Kind::Price, "bitcoin", BLOCK_TIME_US),
            asset: "bitcoin".to_owned(),
            quote: "usd".to_owned(),
            price: decimal("68412.5"),
            volume_24h: Some(decimal("28114906371.42")),
            market_cap: Some(decimal("1352400000000")),
            change_24h_percent: Some(decimal("-1.25")),
            ..Price::at("coingecko", BLOCK_TIME_US, OBSERVED_AT_US)
        }
    }
}
