//! Arbitrary events: each field takes any value that its JSON Schema allows.

use crypto_intel_schemas::{Decimal, Event, I256, Int256, Kind, U256, Uint256};
use proptest::{collection, option, prelude::*};
use serde_json::{Map, Value, json};

/// One arbitrary event of every kind, in their order.
pub(crate) fn one_of_every_kind() -> impl Strategy<Value = Vec<Event>> {
    Kind::ALL.iter().map(|kind| event_of(*kind)).collect::<Vec<_>>()
}

fn event_of(kind: Kind) -> BoxedStrategy<Event> {
    let schema = Event::json_schema(kind);
    let json = object(schema.as_value(), &schema.as_value()["$defs"]);
    json.prop_map(|json| Event::from_json(&json).expect("what a schema allows is an event")).boxed()
}

/// A number of any size: small ones as likely as huge ones.
pub(crate) fn limbs() -> impl Strategy<Value = [u64; 4]> {
    prop_oneof![
        any::<u64>().prop_map(|limb| [limb, 0, 0, 0]),
        any::<[u64; 4]>(),
        Just([u64::MAX; 4]),
        Just([0; 4]),
    ]
}

/// An object with every required field and any of the others.
fn object(schema: &Value, definitions: &Value) -> BoxedStrategy<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut fields = Just(Map::new()).boxed();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let value = value(property, definitions);
        let value = match required.iter().any(|known| known == name) {
            true => value.prop_map(Some).boxed(),
            false => option::of(value).boxed(),
        };
        let name = name.clone();
        fields = (fields, value)
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (name.clone(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

fn value(schema: &Value, definitions: &Value) -> BoxedStrategy<Value> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return value(&definitions[name], definitions);
    }
    // A structure or nothing: the codec leaves out what is absent.
    if let Some(forms) = schema["anyOf"].as_array() {
        let present = forms.iter().find(|form| form["type"] != "null").expect("a form of it");
        return value(present, definitions);
    }
    if let Some(constant) = schema.get("const") {
        return Just(constant.clone()).boxed();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let constants: Vec<Value> = choices.iter().map(|one| one["const"].clone()).collect();
        return prop::sample::select(constants).boxed();
    }
    // An optional field may be null in JSON, but the codec leaves it out.
    let types = &schema["type"];
    let type_name = types.as_str().or_else(|| types[0].as_str()).unwrap();
    match type_name {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => integer(schema["format"].as_str().unwrap()),
        "string" => match (schema["format"].as_str(), schema["pattern"].as_str()) {
            (format, Some(pattern)) => patterned(format, pattern),
            _ => text().prop_map(Value::from).boxed(),
        },
        "array" => {
            let items = value(&schema["items"], definitions);
            // Long ones, too, for every length form of arrays in MessagePack.
            prop_oneof![4 => collection::vec(items.clone(), 0..3), 1 => collection::vec(items, 0..40)]
                .prop_map(Value::from)
                .boxed()
        }
        "object" if schema["additionalProperties"]["type"] == "string" => {
            collection::btree_map(text(), text(), 0..5).prop_map(|texts| json!(texts)).boxed()
        }
        "object" if schema.get("additionalProperties").is_some() => {
            collection::btree_map(text(), named_value(), 0..5)
                .prop_map(|fields| json!(fields))
                .boxed()
        }
        "object" => object(schema, definitions),
        other => panic!("no arbitrary {other}: {schema}"),
    }
}

fn integer(format: &str) -> BoxedStrategy<Value> {
    match format {
        "uint8" => any::<u8>().prop_map(Value::from).boxed(),
        "uint32" => any::<u32>().prop_map(Value::from).boxed(),
        "int32" => any::<i32>().prop_map(Value::from).boxed(),
        "uint64" => any::<u64>().prop_map(Value::from).boxed(),
        "int64" => any::<i64>().prop_map(Value::from).boxed(),
        other => panic!("no arbitrary integer of {other}"),
    }
}

/// Text of a form: numbers of 256 bits, decimal numbers, hex of some or any length.
fn patterned(format: Option<&str>, pattern: &str) -> BoxedStrategy<Value> {
    let number = limbs().prop_map(U256::from_limbs);
    match (format, pattern) {
        (Some("uint256"), _) => number.prop_map(|number| json!(Uint256(number))).boxed(),
        (Some("int256"), _) => {
            number.prop_map(|number| json!(Int256(I256::from_raw(number)))).boxed()
        }
        (_, r"^-?[0-9]+(\.[0-9]+)?$") => amount().prop_map(|amount| json!(amount)).boxed(),
        (_, "^0x([0-9a-f]{2})*$") => collection::vec(any::<u8>(), 0..300).prop_map(hex).boxed(),
        (_, hex_digits) => {
            let digits =
                hex_digits.strip_prefix("^0x[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
            let digits: usize = digits.and_then(|digits| digits.parse().ok()).expect(hex_digits);
            collection::vec(any::<u8>(), digits / 2).prop_map(hex).boxed()
        }
    }
}

fn hex(bytes: Vec<u8>) -> Value {
    Value::from(alloy_primitives::hex::encode_prefixed(bytes))
}

/// A decoded value of a contract's event.
fn named_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), text().prop_map(Value::from)];
    leaf.prop_recursive(4, 20, 5, |inner| collection::vec(inner, 0..5).prop_map(Value::from))
}

/// Text of any characters, also long enough for every length form of MessagePack's strings.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        1 => (0..300_usize).prop_map(|length| "x".repeat(length)),
    ]
}

fn amount() -> impl Strategy<Value = Decimal> {
    (limbs(), any::<u8>(), any::<bool>()).prop_map(|(limbs, decimals, negative)| {
        let amount = Decimal::from_units(U256::from_limbs(limbs), decimals);
        let sign = if negative { "-" } else { "" };
        Decimal::parse(&format!("{sign}{amount}")).expect("an amount with a sign is an amount")
    })
}
