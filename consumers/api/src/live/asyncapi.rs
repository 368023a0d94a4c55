//! The description of what happens: subjects of NATS and messages of the websocket, as AsyncAPI.

use crypto_intel_schemas::Kind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::message::{
    client::Request,
    server::{AnswerNames, PROTOCOL},
};

const ABOUT: &str = "What the pipeline publishes. Subjects are those of NATS JetStream, with MessagePack bodies; the websocket of the \
role `api` tells the same events as JSON. docs/live.md walks through its messages, schemas/README.md is the contract of subjects.";

/// The document. Schemas of events are files beside it.
pub(crate) fn document() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for kind in Kind::ALL {
        let name = kind.as_str();
        channels.insert(name.to_owned(), channel_of(*kind));
        operations.insert(format!("publish.{name}"), operation("send", name));
        messages.insert(
            name.to_owned(),
            json!({
                "name": kind.schema(),
                "contentType": "application/msgpack",
                "payload": { "$ref": format!("json/{name}.json") },
            }),
        );
    }
    for (name, payload) in socket_messages() {
        messages.insert(name, json!({ "contentType": "application/json", "payload": payload }));
    }
    channels.insert("websocket".to_owned(), socket());
    operations.insert("tell".to_owned(), operation("send", "websocket"));
    operations.insert("ask".to_owned(), operation("receive", "websocket"));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "crypto-intel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0" },
        },
        "servers": {
            "nats": { "host": "127.0.0.1:4222", "protocol": "nats" },
            "api": { "host": "127.0.0.1:8420", "protocol": "ws" },
        },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

fn operation(action: &str, channel: &str) -> Value {
    json!({ "action": action, "channel": { "$ref": format!("#/channels/{channel}") } })
}

/// The subjects of a kind: `<chain>` is the parameter `{chain}`.
fn channel_of(kind: Kind) -> Value {
    let address = kind.subject_form().replace('<', "{").replace('>', "}");
    let parameters: Map<String, Value> = kind
        .subject_form()
        .split(['<', '>'])
        .skip(1)
        .step_by(2)
        .map(|name| {
            (name.to_owned(), json!({ "description": format!("the {name}, as one token") }))
        })
        .collect();
    let streams: Vec<&str> = kind.streams().iter().map(|(stream, _)| stream.name()).collect();
    let name = kind.as_str();
    json!({
        "address": address,
        "description": format!("In {}.", streams.join(", ")),
        "parameters": parameters,
        "servers": [{ "$ref": "#/servers/nats" }],
        "messages": { name: { "$ref": format!("#/components/messages/{name}") } },
    })
}

fn socket() -> Value {
    let messages: Map<String, Value> = socket_messages()
        .into_iter()
        .map(|(name, _)| {
            let target = json!({ "$ref": format!("#/components/messages/{name}") });
            (name, target)
        })
        .collect();
    json!({
        "address": "/ws",
        "description": format!("A websocket with the subprotocol {PROTOCOL}.json, or {PROTOCOL}.msgpack."),
        "servers": [{ "$ref": "#/servers/api" }],
        "messages": messages,
    })
}

/// What clients say, and what the server says, by name.
fn socket_messages() -> Vec<(String, Value)> {
    // References within it would lead to places of the whole document.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut request = settings.into_generator().into_root_schema_for::<Request>().to_value();
    if let Some(object) = request.as_object_mut() {
        object.remove("$schema");
    }
    let mut all = vec![("socket.request".to_owned(), request)];
    for (name, fields) in AnswerNames::ALL {
        let mut properties = Map::new();
        properties.insert("type".to_owned(), json!({ "const": name }));
        for field in *fields {
            properties.insert((*field).to_owned(), json!({}));
        }
        all.push((
            format!("socket.{name}"),
            json!({ "type": "object", "properties": properties, "required": ["type"] }),
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_within_the_document_leads_somewhere() {
        let document = document();
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 2 * Kind::ALL.len());
        for reference in references {
            let Some(pointer) = reference.strip_prefix('#') else { continue };
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let channel = &document["channels"]["transfer.erc20"];
        assert_eq!(channel["address"], "evm.{chain}.transfer.erc20");
        assert!(channel["parameters"]["chain"].is_object());
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                references
                    .extend(object.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                object.values().for_each(|inner| collect(inner, references));
            }
            Value::Array(list) => list.iter().for_each(|inner| collect(inner, references)),
            _ => {}
        }
    }
}
