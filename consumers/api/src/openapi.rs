//! The description of the API: made of the handlers, completed with the schemas of the events, served with its page.

use std::collections::BTreeMap;

use anyhow::Context as _;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use crypto_intel_schemas::Event;
use serde_json::{Map, Value, json};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_swagger_ui::{Config, SwaggerUi, Url};

use crate::{
    auth::COOKIES,
    page::EventItem,
    problem::{ParameterProblem, Problem},
    state::ApiState,
};

/// Where the description is.
pub(crate) const PATH: &str = "/api/v1/openapi.json";

const ABOUT: &str = "What the pipeline stored and what happens, read only but for the watch-list, silences, \
subscriptions, acknowledgements and keys.\n\nEvents have the shape that they have on the wire. Amounts are decimal strings, addresses and hashes 0x hex, \
times ending in `_us` microseconds UTC. Fields may be added: ignore what you do not know.\n\nLists answer `items`, `next` and \
`prev`: give either as `cursor`, with the same other parameters. Failures are problems (RFC 9457). Limits are told in the headers \
`RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, which is no standard yet.";

/// The page's one script of its own is a file; its one style is inline, and allowed by its hash.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' \
'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the description begins with.
pub(crate) fn head() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("ci_…")
        .description(Some(
            "A key, as `crypto-intel keys add` makes it, or a token of the identity provider.",
        ))
        .build();
    let session = ApiKeyValue::with_description(
        COOKIES[0],
        "A session, as `POST /api/v1/session` begins it; without TLS its name is `ci`. Changes by it are for the own page alone.",
    );
    let components = ComponentsBuilder::new()
        .security_scheme("key", SecurityScheme::Http(bearer))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
        .schema_from::<Problem>()
        .schema_from::<ParameterProblem>()
        .build();
    let info = InfoBuilder::new()
        .title("crypto-intel")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new("Apache-2.0")))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// The description with the schemas of the events.
///
/// # Errors
/// When it cannot be written as JSON.
pub(crate) fn whole(openapi: &OpenApi) -> anyhow::Result<Value> {
    let mut json = serde_json::to_value(openapi).context("write the description of the API")?;
    let schemas = json
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
        .context("the description has no schemas")?;
    for (name, schema) in event_schemas() {
        schemas.insert(name, schema);
    }
    name_operations(&mut json);
    order_extensions(&mut json);
    Ok(json)
}

/// What generators of clients call operations, of method and path: handlers of several files have the same name.
fn name_operations(json: &mut Value) {
    let Some(paths) = json.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let words: Vec<&str> = path
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            operation["operationId"] = format!("{method}_{}", words.join("_")).into();
        }
    }
}

/// Extensions come out of a hash map: each process would write them in another order.
fn order_extensions(json: &mut Value) {
    let Some(paths) = json.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let items = paths.values_mut().filter_map(Value::as_object_mut);
    for operation in items.flat_map(|item| item.values_mut().filter_map(Value::as_object_mut)) {
        for name in ["x-scope", "x-cost", "x-action"] {
            if let Some(value) = operation.shift_remove(name) {
                operation.insert(name.to_owned(), value);
            }
        }
    }
}

/// One schema for each kind of event, those that they share, and `Event`, which is any of them.
fn event_schemas() -> BTreeMap<String, Value> {
    let mut schemas = BTreeMap::new();
    let mut kinds = Vec::new();
    for kind in EventItem::KINDS {
        let mut schema = Event::json_schema(kind).to_value();
        let name = format!("event.{kind}");
        let parts = schema.as_object_mut().and_then(|schema| {
            schema.remove("$schema");
            schema.remove("$id");
            schema.remove("$defs")
        });
        for (part, mut definition) in parts.and_then(take_object).unwrap_or_default() {
            point_to(&mut definition, &name);
            schemas.insert(format!("{name}.{part}"), definition);
        }
        point_to(&mut schema, &name);
        with_finality(&mut schema);
        kinds.push(json!({ "$ref": format!("#/components/schemas/{name}") }));
        schemas.insert(name, schema);
    }
    let any = json!({ "oneOf": kinds, "description": "An event, as it is on the wire." });
    schemas.insert(EventItem::NAME.to_owned(), any);
    schemas
}

fn take_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Parts of a schema are components here.
fn point_to(schema: &mut Value, name: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(part) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/components/schemas/{name}.{part}");
            }
            object.values_mut().for_each(|inner| point_to(inner, name));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| point_to(inner, name)),
        _ => {}
    }
}

fn with_finality(schema: &mut Value) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties")
        && properties.contains_key("block_number")
    {
        properties.insert(
            "finality".to_owned(),
            json!({
                "type": "string",
                "enum": ["latest", "safe", "final"],
                "description": "How sure its block is, as far as the chain says."
            }),
        );
    }
}

/// The description and its page. Both are public: they say what can be asked, not what is stored.
pub(crate) fn pages(description: &Value) -> Router<ApiState> {
    let text = description.to_string();
    let config = Config::new([Url::from(PATH)]).validator_url("none");
    let page = Router::from(SwaggerUi::new("/docs").config(config))
        .layer(axum::middleware::map_response(with_page_policy));
    Router::new()
        .route(PATH, get(move || async move { description_answer(text.clone()) }))
        .route("/api", get(|| async { Redirect::temporary("/docs/") }))
        .merge(page)
}

fn description_answer(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

async fn with_page_policy(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    let index = HeaderName::from_static("x-robots-tag");
    response.headers_mut().insert(index, HeaderValue::from_static("noindex"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_component() {
        let (_, openapi) = crate::server::described().split_for_parts();
        let whole = whole(&openapi).unwrap();
        let mut references = Vec::new();
        collect(&whole, &mut references);
        assert!(references.len() > 20, "{references:?}");
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap_or_default();
            assert!(whole.pointer(pointer).is_some(), "{reference}");
        }
        assert_eq!(whole["openapi"], "3.1.0");
        assert_eq!(
            EventItem::KINDS.len(),
            whole["components"]["schemas"]["Event"]["oneOf"].as_array().unwrap().len()
        );
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(target)) = object.get("$ref") {
                    references.push(target.clone());
                }
                object.values().for_each(|inner| collect(inner, references));
            }
            Value::Array(list) => list.iter().for_each(|inner| collect(inner, references)),
            _ => {}
        }
    }
}
