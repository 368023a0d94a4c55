//! What each kind of event declares; `docs/adding-a-kind.md` walks through it.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    event::{
        addresses::Addresses,
        body::{BlockFields, LogFields, Parties, PartyLabels, TransactionFields},
        fields::{Field, FieldValue},
    },
    kinds::Kind,
    streams::Stream,
    subjects::forms::{self as subjects, Lane},
};

/// The fields of a body, common ones and its own. Implemented by the macro that defines bodies.
pub trait EventBody:
    Serialize + DeserializeOwned + JsonSchema + Clone + PartialEq + Debug + Default
{
    /// The kind of this body.
    const KIND: Kind;
    /// Every field, in the order of the wire.
    const FIELDS: &'static [Field];

    /// The event's id, the same each time it is seen.
    fn id(&self) -> &str;
    /// Sets the id.
    fn set_id(&mut self, id: String);
    /// Where it comes from: `evm` or the provider's name.
    fn source(&self) -> &str;
    /// When it happened, microseconds UTC.
    fn event_at_us(&self) -> i64;
    /// When this pipeline first saw it, microseconds UTC.
    fn observed_at_us(&self) -> i64;
    /// The value of a field; `None` when the kind has no such field.
    fn field(&self, name: &str) -> Option<FieldValue<'_>>;

    /// The block it belongs to, for chain events.
    fn block(&self) -> Option<BlockFields<'_>> {
        None
    }
    /// The transaction it belongs to, if any.
    fn transaction(&self) -> Option<TransactionFields> {
        None
    }
    /// The log it was decoded from, if any.
    fn log(&self) -> Option<LogFields> {
        None
    }
    /// The two sides of what it moves, for kinds that have two.
    fn parties(&self) -> Option<Parties> {
        None
    }
    /// What it says of its two sides beside their addresses, mutable; `None` for kinds that have none.
    fn party_labels_mut(&mut self) -> Option<PartyLabels<'_>> {
        None
    }
    /// Labels of the watched addresses that a chain event touches.
    fn watched(&self) -> &[String] {
        &[]
    }
    /// The same, mutable; `None` for other events.
    fn watched_mut(&mut self) -> Option<&mut Vec<String>> {
        None
    }
    /// Moves a chain event to another state of its block.
    fn put_under(&mut self, _incarnation: u32, _observed_at_us: i64) {}
}

/// One kind of event. Defaults are those of a chain's events.
pub trait EventKind: EventBody {
    /// The text on the wire, such as `transfer.erc20`.
    const NAME: &'static str;
    /// The `Schema` header, such as `evm.transfer.erc20/1`: its number is the version of the body, raised only when a
    /// field changes its meaning.
    const SCHEMA: &'static str;
    /// Version of the body.
    const VERSION: u16 = version_of(Self::SCHEMA);
    /// The form of its subjects, such as `evm.<chain>.transfer.erc20`.
    const SUBJECT: &'static str;
    /// The patterns of all its subjects in the live lane; none where the form of its subjects says them.
    const PATTERNS: &'static [&'static str] = &[];
    /// Patterns of subjects that are never its own, although its patterns match them.
    const NOT_ITS_SUBJECTS: &'static [&'static str] = &[];
    /// The streams that hold its events, each with the filter that selects them and similar ones.
    const STREAMS: &'static [(Stream, &'static str)] = CHAIN_STREAMS;
    /// The `source` of a body, unless its producer sets another.
    const SOURCE: &'static str = "evm";
    /// Whether it is never retracted, although it has the fields of a block: it records what happened while the chain was
    /// followed, such as a reorg.
    const LASTING: bool = false;
    /// Whether rules may read it.
    const IN_RULES: bool = true;
    /// Fields that rules cannot use, in addition to those that are excluded for all kinds.
    const NOT_IN_RULES: &'static [&'static str] = &[];
    /// Whether pollers may produce it.
    const POLLED: bool = false;

    /// An event with every optional field set, always the same one. Fields that exclude each other in practice (the
    /// forms of an approval) are all set.
    fn sample() -> Self;

    /// Its subject in the live lane.
    fn subject(&self) -> String {
        subjects::chain(Lane::Live, self.block().map_or("", |block| block.chain), Self::KIND)
    }

    /// Adds the addresses that its own fields name.
    fn add_addresses(&self, _addresses: &mut Addresses) {}

    /// What a polled event is about, such as `bitcoin/usd`: part of its id.
    fn key(&self) -> String {
        self.id().to_owned()
    }

    /// Brings the values from a provider into their one form, before they are checked.
    fn normalise(&mut self) {}

    /// Checks the values from a provider beyond the types of its fields.
    ///
    /// # Errors
    /// A message that says what is wrong.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// The streams of chain events.
pub(crate) const CHAIN_STREAMS: &[(Stream, &str)] =
    &[(Stream::Evm, subjects::EVM_ALL), (Stream::History, subjects::HISTORY_ALL)];

/// The number after the slash.
const fn version_of(schema: &str) -> u16 {
    let bytes = schema.as_bytes();
    let mut at = bytes.len();
    while at > 0 && bytes[at - 1] != b'/' {
        at -= 1;
    }
    let mut version = 0;
    while at < bytes.len() {
        assert!(bytes[at].is_ascii_digit(), "a schema ends in a slash and its version");
        version = version * 10 + (bytes[at] - b'0') as u16;
        at += 1;
    }
    version
}
