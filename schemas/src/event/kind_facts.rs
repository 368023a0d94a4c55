//! The properties of a kind, looked up in its file.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    event::{event_kind::EventKind, fields::Field},
    kinds::{Kind, UnknownKind, for_each_kind},
    patterns,
    streams::Stream,
};

/// What a kind declares, as in [`EventKind`].
struct Spec {
    name: &'static str,
    schema: &'static str,
    version: u16,
    subject: &'static str,
    patterns: &'static [&'static str],
    not_its_subjects: &'static [&'static str],
    streams: &'static [(Stream, &'static str)],
    fields: &'static [Field],
    lasting: bool,
    in_rules: bool,
    not_in_rules: &'static [&'static str],
    polled: bool,
}

impl Spec {
    const fn of<K: EventKind>() -> Self {
        Self {
            name: K::NAME,
            schema: K::SCHEMA,
            version: K::VERSION,
            subject: K::SUBJECT,
            patterns: K::PATTERNS,
            not_its_subjects: K::NOT_ITS_SUBJECTS,
            streams: K::STREAMS,
            fields: K::FIELDS,
            lasting: K::LASTING,
            in_rules: K::IN_RULES,
            not_in_rules: K::NOT_IN_RULES,
            polled: K::POLLED,
        }
    }
}

macro_rules! lookups {
    ($( $module:ident::$Body:ident, )*) => {
        impl Kind {
            const NAMES: &'static [&'static str] =
                &[$(<$crate::events::$module::$Body as EventKind>::NAME),*];

            const fn spec(self) -> &'static Spec {
                match self {
                    $( Self::$Body => &const { Spec::of::<$crate::events::$module::$Body>() }, )*
                }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                match text {
                    $( <$crate::events::$module::$Body as EventKind>::NAME => Ok(Self::$Body), )*
                    _ => Err(UnknownKind(text.chars().take(64).collect())),
                }
            }
        }
    };
}
for_each_kind!(lookups);

impl Kind {
    /// The text on the wire, such as `transfer.erc20`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.spec().name
    }

    /// The `Schema` header, such as `evm.transfer.erc20/1`.
    #[must_use]
    pub const fn schema(self) -> &'static str {
        self.spec().schema
    }

    /// Version of the body; raised only when a field changes its meaning.
    #[must_use]
    pub const fn version(self) -> u16 {
        self.spec().version
    }

    /// The form of its subjects, such as `market.price.<asset>`.
    #[must_use]
    pub const fn subject_form(self) -> &'static str {
        self.spec().subject
    }

    /// The patterns of all its subjects in the live lane, such as `market.price.*`.
    #[must_use]
    pub fn patterns(self) -> Vec<String> {
        if !self.spec().patterns.is_empty() {
            return self.spec().patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        }
        let tokens = self.subject_form().split('.');
        let tokens: Vec<&str> =
            tokens.map(|token| if token.starts_with('<') { "*" } else { token }).collect();
        vec![tokens.join(".")]
    }

    /// Whether an event of this kind can have a subject that the pattern matches.
    #[must_use]
    pub fn is_on(self, pattern: &str) -> bool {
        let others = self.spec().not_its_subjects;
        !others.iter().any(|others| patterns::covers(others, pattern))
            && self.patterns().iter().any(|own| patterns::overlaps(own, pattern))
    }

    /// The streams that hold its events, each with the filter that selects them and similar ones.
    #[must_use]
    pub const fn streams(self) -> &'static [(Stream, &'static str)] {
        self.spec().streams
    }

    /// Its fields, in the order of the wire.
    #[must_use]
    pub const fn fields(self) -> &'static [Field] {
        self.spec().fields
    }

    /// Whether it is never retracted, although it has the fields of a block: it records what happened while the chain was
    /// followed, such as a reorg.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        self.spec().lasting
    }

    /// Whether rules may read it.
    #[must_use]
    pub const fn is_in_rules(self) -> bool {
        self.spec().in_rules
    }

    /// Fields that rules cannot use, in addition to those that are excluded for all kinds.
    #[must_use]
    pub const fn not_in_rules(self) -> &'static [&'static str] {
        self.spec().not_in_rules
    }

    /// Whether pollers may produce it.
    #[must_use]
    pub const fn is_polled(self) -> bool {
        self.spec().polled
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Kind;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a kind of event")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Kind, E> {
                text.parse().map_err(|_| E::unknown_variant(text, Kind::NAMES))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// Each kind's own schema pins the value.
impl JsonSchema for Kind {
    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
