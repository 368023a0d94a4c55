//! Subscriptions as query parameters: of server-sent events, and of a websocket whose path names its service.

use serde_json::Value as Json;
use utoipa::openapi::{
    RefOr, Schema,
    schema::{ObjectBuilder, Type},
};

use super::message::client::{MAX_SNAPSHOT, Subscribe};
use crate::parameters::{
    parameters,
    values::{Flag, Value},
};

/// A text that is understood with the rest of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) String);

impl Words {
    const MAX: usize = 512;
}

impl Value for Words {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(format!("write 1 to {} characters", Self::MAX));
        }
        Ok(Self(text.to_owned()))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .into()
    }
}

/// How many events a snapshot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotSize(u32);

impl Value for SnapshotSize {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (0..=MAX_SNAPSHOT).contains(number));
        number.map(Self).ok_or_else(|| format!("write a number from 0 to {MAX_SNAPSHOT}"))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0))
            .maximum(Some(MAX_SNAPSHOT))
            .examples([Json::from(50)])
            .into()
    }
}

parameters! {
    /// What is to be told.
    pub(crate) struct StreamQuery {
        /// What of: `market_data`, `onchain`, `explorers`, `whale_tracking`, `news`, `sentiment`, `rpc_nodes`, `health_checker`, `scheduler`, `alerts`, `deliveries` or `all`, the default.
        pub(crate) service: Option<Words>,
        /// Only events of these chains; repeated, or with commas.
        pub(crate) chains: Vec<Words>,
        /// Only these kinds of the service; repeated, or with commas.
        pub(crate) kinds: Vec<Words>,
        /// Only events that name one of these addresses; repeated, or with commas.
        pub(crate) addresses: Vec<Words>,
        /// Only events that move one of these tokens: contracts, or `native`; repeated, or with commas.
        pub(crate) tokens: Vec<Words>,
        /// Only events that touch a watched address.
        pub(crate) watched: Option<Flag>,
        /// Only events that are worth as many US dollars.
        pub(crate) min_usd: Option<Words>,
        /// Where to go on: the `resume` of a message. The header `Last-Event-ID` wins.
        pub(crate) resume: Option<Words>,
        /// How many of the newest matching events to begin with.
        pub(crate) snapshot: Option<SnapshotSize>,
    }
}

impl StreamQuery {
    /// As a message.
    pub(crate) fn subscribe(self) -> Subscribe {
        let list = |words: Vec<Words>| -> Vec<String> {
            let parts = words.iter().flat_map(|word| word.0.split(','));
            parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        };
        Subscribe {
            id: None,
            service: self.service.map(|word| word.0),
            chains: list(self.chains),
            kinds: list(self.kinds),
            addresses: list(self.addresses),
            tokens: list(self.tokens),
            watched: self.watched.is_some_and(|flag| flag.0),
            min_usd: self.min_usd.map(|word| word.0),
            resume: self.resume.map(|word| word.0),
            snapshot: self.snapshot.map(|size| size.0),
        }
    }
}
