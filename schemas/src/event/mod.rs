//! An event of any kind, and what all events have in common.

pub(crate) mod addresses;
pub(crate) mod body;
pub(crate) mod chunk;
pub(crate) mod codec;
pub(crate) mod event_kind;
pub(crate) mod fields;
pub(crate) mod ids;
pub(crate) mod json_schema;
pub(crate) mod kind_facts;
pub(crate) mod polled_values;
pub(crate) mod read_whole;

use serde::Deserialize as _;

use crate::kinds::{Kind, for_each_kind};
use addresses::Addresses;
use body::{BlockFields, LogFields, Parties, PartyLabels, TransactionFields};
use event_kind::{EventBody, EventKind};
use fields::FieldValue;

macro_rules! event_enum {
    ($( $module:ident::$Body:ident, )*) => {
        /// Any event of the pipeline.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)] // the variants are the documented body types
        pub enum Event {
            $( $Body($crate::events::$module::$Body), )*
        }

        $(
            impl From<$crate::events::$module::$Body> for Event {
                fn from(body: $crate::events::$module::$Body) -> Self {
                    Self::$Body(body)
                }
            }
        )*

        /// An expression of the body, whatever its kind.
        macro_rules! of_body {
            ($event:expr, $body:ident => $value:expr) => {
                match $event { $( Event::$Body($body) => $value, )* }
            };
        }

        /// An expression of the body's type and its variant, by kind.
        macro_rules! of_kind {
            ($kind:expr, $Type:ident, $variant:ident => $value:expr) => {
                match $kind {
                    $( Kind::$Body => {
                        type $Type = $crate::events::$module::$Body;
                        let $variant = Event::$Body;
                        $value
                    } )*
                }
            };
        }
    };
}
for_each_kind!(event_enum);

impl Event {
    /// Kind of the event.
    #[must_use]
    pub fn kind(&self) -> Kind {
        fn kind_of<B: EventBody>(_body: &B) -> Kind {
            B::KIND
        }
        of_body!(self, body => kind_of(body))
    }

    /// The event's id, the same each time it is seen.
    #[must_use]
    pub fn id(&self) -> &str {
        of_body!(self, body => body.id())
    }

    /// Sets the id.
    pub fn set_id(&mut self, id: String) {
        of_body!(self, body => body.set_id(id));
    }

    /// Where it comes from: `evm` or the provider's name.
    #[must_use]
    pub fn source(&self) -> &str {
        of_body!(self, body => body.source())
    }

    /// When it happened, microseconds UTC.
    #[must_use]
    pub fn event_at_us(&self) -> i64 {
        of_body!(self, body => body.event_at_us())
    }

    /// When this pipeline first saw it, microseconds UTC.
    #[must_use]
    pub fn observed_at_us(&self) -> i64 {
        of_body!(self, body => body.observed_at_us())
    }

    /// The block it belongs to, for chain events.
    #[must_use]
    pub fn block_fields(&self) -> Option<BlockFields<'_>> {
        of_body!(self, body => body.block())
    }

    /// The transaction it belongs to, if any.
    #[must_use]
    pub fn transaction_fields(&self) -> Option<TransactionFields> {
        of_body!(self, body => body.transaction())
    }

    /// The log it was decoded from, if any.
    #[must_use]
    pub fn log_fields(&self) -> Option<LogFields> {
        of_body!(self, body => EventBody::log(body))
    }

    /// The two sides of what it moves, for kinds that have two.
    #[must_use]
    pub fn parties(&self) -> Option<Parties> {
        of_body!(self, body => body.parties())
    }

    /// What it says of its two sides beside their addresses, to be set; `None` for kinds that have none.
    pub fn party_labels_mut(&mut self) -> Option<PartyLabels<'_>> {
        of_body!(self, body => body.party_labels_mut())
    }

    /// The value of a field; `None` when its kind has no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<FieldValue<'_>> {
        of_body!(self, body => body.field(name))
    }

    /// Moves a chain event to another state of its block; does nothing to other events.
    pub fn set_incarnation(&mut self, incarnation: u32, observed_at_us: i64) {
        of_body!(self, body => body.put_under(incarnation, observed_at_us));
    }

    /// Labels of the watched addresses that a chain event touches; `None` for other events.
    pub fn watched_mut(&mut self) -> Option<&mut Vec<String>> {
        of_body!(self, body => body.watched_mut())
    }

    /// Labels of the watched addresses that a chain event touches; none for other events.
    #[must_use]
    pub fn watched(&self) -> &[String] {
        of_body!(self, body => body.watched())
    }

    /// Every address in the fields of an event: its transaction's, its log's and its own, each once.
    #[must_use]
    pub fn touched(&self) -> Addresses {
        let mut addresses = Addresses::default();
        if let Some(log) = self.log_fields() {
            addresses.add(log.address);
        }
        if let Some(transaction) = self.transaction_fields() {
            addresses.add_known(transaction.tx_from);
            addresses.add_known(transaction.tx_to);
        }
        of_body!(self, body => body.add_addresses(&mut addresses));
        addresses
    }

    /// What a polled event is about, such as `bitcoin/usd`: part of its id.
    #[must_use]
    pub fn key(&self) -> String {
        of_body!(self, body => body.key())
    }

    /// Brings the values from a provider into their one form, such as a link without what only says where its reader came
    /// from. To be done before [`Event::check`] and before its id is made.
    pub fn normalise(&mut self) {
        of_body!(self, body => body.normalise());
    }

    /// Checks the values from a provider beyond the types of its fields.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        of_body!(self, body => body.check())
    }

    pub(crate) fn subject(&self) -> String {
        of_body!(self, body => body.subject())
    }

    pub(crate) fn sample(kind: Kind) -> Self {
        let mut event = of_kind!(kind, Body, variant => variant(Body::sample()));
        if let Some(labels) = event.party_labels_mut() {
            *labels.from_label = Some("Example Exchange: Hot Wallet".to_owned());
            *labels.from_tags = vec!["exchange".to_owned()];
            *labels.to_label = Some("Example Mixer".to_owned());
            *labels.to_tags = vec!["sanctioned".to_owned(), "mixer".to_owned()];
        }
        event
    }

    pub(crate) fn encode_into(&self, buffer: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
        of_body!(self, body => rmp_serde::encode::write_named(buffer, body))
    }

    pub(crate) fn decode_kind(kind: Kind, body: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        of_kind!(kind, Body, variant => read_whole::read_whole::<Body>(body).map(variant))
    }

    /// The event as JSON for people: hex for bytes, decimal text for big numbers.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Bodies hold strings, numbers, lists and maps with string keys: always JSON.
        of_body!(self, body => serde_json::to_value(body)).unwrap_or_default()
    }

    /// Appends the text of [`Event::to_json`] to `buffer`, without building the value first.
    pub fn write_json(&self, buffer: &mut Vec<u8>) {
        let written = of_body!(self, body => serde_json::to_writer(&mut *buffer, body));
        // Writing to memory cannot fail, and bodies are always JSON.
        debug_assert!(written.is_ok(), "{written:?}");
    }

    /// Reads the JSON form that [`Event::to_json`] writes.
    ///
    /// # Errors
    /// When it is not an object with a known `kind`, or a field is missing or malformed.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, serde_json::Error> {
        of_kind!(Kind::deserialize(&json["kind"])?, Body, variant => Body::deserialize(json).map(variant))
    }

    /// JSON Schema of a kind's body in its JSON form.
    #[must_use]
    pub fn json_schema(kind: Kind) -> schemars::Schema {
        let derived = of_kind!(kind, Body, _variant => schemars::schema_for!(Body));
        json_schema::of_kind(kind, derived)
    }
}
