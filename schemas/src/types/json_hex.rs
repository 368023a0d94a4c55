//! JSON forms of raw bytes, for the JSON Schema: hex text with `0x`.

macro_rules! hex_text {
    ($name:ident, $pattern:literal, $description:literal) => {
        pub(crate) enum $name {}

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $description,
                })
            }
        }
    };
}

hex_text!(HashText, "^0x[0-9a-f]{64}$", "hex in JSON, 32 raw bytes in MessagePack");
hex_text!(AddressText, "^0x[0-9a-f]{40}$", "hex in JSON, 20 raw bytes in MessagePack");
hex_text!(SelectorText, "^0x[0-9a-f]{8}$", "hex in JSON, 4 raw bytes in MessagePack");
hex_text!(BytesText, "^0x([0-9a-f]{2})*$", "hex in JSON, raw bytes in MessagePack");
