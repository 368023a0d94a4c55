//! The description is whole, kept, and served with its page.

use std::{collections::BTreeSet, path::Path};

use crate::harness::Servers;

#[test]
fn the_openapi_file_is_current() {
    assert_current("openapi.json", &crypto_intel_api::description().unwrap());
}

#[test]
fn the_asyncapi_file_is_current() {
    let document = crypto_intel_api::live_description();
    assert_current("asyncapi.json", &document);
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (_, message) in document["components"]["messages"].as_object().unwrap() {
        if let Some(file) = message["payload"]["$ref"].as_str() {
            assert!(schemas.join(file).is_file(), "{file}");
        }
    }
}

fn assert_current(name: &str, document: &serde_json::Value) {
    let text = serde_json::to_string_pretty(document).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(name);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "schemas/{name} is out of date: run `make generate`");
}

#[test]
fn every_route_says_what_it_is_and_what_can_fail() {
    let description = crypto_intel_api::description().unwrap();
    let mut names = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 10), "{place}");
            assert!(operation["tags"][0].is_string(), "{place}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "{place} has the name of another one");
            assert!(operation["x-scope"].is_string() && operation["x-cost"].is_u64(), "{place}");
            assert!(operation["security"][0]["key"].is_array(), "{place}");
            // What is sent to be looked at only changes nothing.
            if method != "get" && !path.starts_with("/api/v1/rules/") {
                let action = operation["x-action"].as_str().unwrap_or_default();
                assert_eq!(action.matches('.').count(), 1, "{place} has no action for the audit");
                let is_kept = operation["parameters"].to_string().contains("\"Idempotency-Key\"");
                assert_eq!(is_kept, !path.ends_with("/session"), "{place}");
            }
            for status in ["400", "401", "403", "429", "503"] {
                let problem =
                    &operation["responses"][status]["content"]["application/problem+json"];
                assert!(problem["schema"]["$ref"].is_string(), "{place} {status}");
            }
            for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
                assert!(parameter["description"].is_string(), "{place} {parameter}");
                assert!(parameter["schema"].is_object(), "{place} {parameter}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_needs_nothing_from_elsewhere() {
    let servers = Servers::start().await;
    let api = servers.api(crypto_intel_api::Config::default()).await;
    let served = api.get("/api/v1/openapi.json").await;
    assert_eq!(served.status, 200, "without a key");
    assert_eq!(served.body, crypto_intel_api::description().unwrap());
    let page = api.request("GET", "/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let text = page.text().await.unwrap();
    assert!(text.contains("swagger-ui"), "{text}");
    for place in text.split("src=\"").chain(text.split("href=\"")).skip(1) {
        assert!(!place.starts_with("http") && !place.starts_with("//"), "{place}");
    }
    let script = api.request("GET", "/docs/swagger-initializer.js").send().await.unwrap();
    assert!(script.text().await.unwrap().contains("/api/v1/openapi.json"));
}
