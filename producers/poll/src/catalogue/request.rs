//! The request of an endpoint: its address, headers and body, made for each poll since filters may read the clock.

use std::collections::BTreeMap;

use crypto_intel_service::Secret;
use jaq_json::Val;
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{
    file::Format,
    mistake::Mistake,
    provider::KeyPlace,
    secret_text::{base64, percent_encoded},
};
use crate::mapping::filter::{Filter, Variables};

/// Where the key goes in a path.
pub(crate) const KEY_IN_PATH: &str = "{key}";

/// How an endpoint is asked.
#[derive(Debug)]
pub(crate) struct RequestTemplate {
    pub(crate) method: Method,
    pub(crate) path: Source,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) query_jq: BTreeMap<String, Filter>,
    /// Those of the provider and of the endpoint.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Source>,
    pub(crate) format: Format,
}

/// A text of the file, or a filter over the parameters that gives it.
#[derive(Debug)]
pub(crate) enum Source {
    Literal(String),
    Filter(Filter),
}

/// One request with its key. No text of it may be logged.
pub(crate) struct Rendered {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
}

impl RequestTemplate {
    /// The request, with these query parameters of a further page in place of its own.
    ///
    /// # Errors
    /// A filter that does not give what it must, by its field of the endpoint.
    pub(crate) fn render(
        &self,
        base_url: &Url,
        variables: &Variables,
        key: Option<(&KeyPlace, &Secret)>,
        page: &BTreeMap<String, String>,
    ) -> Result<Rendered, Mistake> {
        let mut url = base_url.clone();
        let path = self.path(variables, key)?;
        url.set_path(&format!("{}{path}", base_url.path().trim_end_matches('/')));
        let mut query: Vec<(&str, String)> = Vec::new();
        for (name, value) in &self.query {
            query.push((name, value.clone()));
        }
        for (name, filter) in &self.query_jq {
            let field = Mistake::at("query_jq", "").inside(name);
            query.push((name, one_text(field, filter, variables)?));
        }
        query.retain(|(name, _)| !page.contains_key(*name));
        query.extend(page.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let mut headers = self.headers.clone();
        match key {
            Some((KeyPlace::Query(name), key)) => query.push((name, key.expose().to_owned())),
            Some((KeyPlace::Header { name, prefix }, key)) => {
                headers.insert(name.clone(), secret_header(&format!("{prefix}{}", key.expose()))?);
            }
            Some((KeyPlace::Basic, key)) => {
                let credentials = base64(key.expose().as_bytes());
                headers.insert(AUTHORIZATION, secret_header(&format!("Basic {credentials}"))?);
            }
            Some((KeyPlace::Path, _)) | None => {}
        }
        for (name, value) in &query {
            url.query_pairs_mut().append_pair(name, value);
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static(self.accepted()));
        let body = match &self.body {
            Some(Source::Literal(text)) => Some(text.clone()),
            Some(Source::Filter(filter)) => Some(one_json(filter, variables)?),
            None => None,
        };
        if body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        Ok(Rendered { url, headers, body })
    }

    /// Percent-encoded by who sets it, but for the key, which may hold anything.
    fn path(
        &self,
        variables: &Variables,
        key: Option<(&KeyPlace, &Secret)>,
    ) -> Result<String, Mistake> {
        let path = match &self.path {
            Source::Literal(path) => path.clone(),
            Source::Filter(filter) => {
                let path = one_text(Mistake::at("path_jq", ""), filter, variables)?;
                check_path(&path).map_err(|problem| Mistake::at("path_jq", problem))?;
                path
            }
        };
        Ok(match key {
            Some((KeyPlace::Path, key)) => {
                path.replace(KEY_IN_PATH, &percent_encoded(key.expose()))
            }
            // The same path without a key, where the provider has one.
            _ => path.replace(&format!("/{KEY_IN_PATH}"), "").replace(KEY_IN_PATH, ""),
        })
    }

    const fn accepted(&self) -> &'static str {
        match self.format {
            Format::Json => "application/json",
            Format::Feed => "application/rss+xml, application/atom+xml, application/xml, text/xml",
            Format::Text => "text/plain, */*",
        }
    }
}

/// Whether a text is a path without query.
pub(super) fn check_path(path: &str) -> Result<(), String> {
    match path.starts_with('/') && !path.contains(['?', '#']) {
        true => Ok(()),
        false => {
            Err(format!("path {path:?} must begin with / and have no query: use [endpoints.query]"))
        }
    }
}

fn secret_header(text: &str) -> Result<HeaderValue, Mistake> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| Mistake::at("key", "the key cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Runs a filter over the parameters that must give one text or number.
fn one_text(field: Mistake, filter: &Filter, variables: &Variables) -> Result<String, Mistake> {
    let wrong = |problem: String| Mistake { problem, ..field.clone() };
    let outputs = filter.run(variables.parameters.clone(), variables).map_err(wrong)?;
    match outputs.as_slice() {
        [Val::TStr(bytes)] => Ok(String::from_utf8_lossy(bytes).into_owned()),
        [Val::Num(number)] => Ok(number.to_string()),
        other => Err(wrong(format!("must give one text; produced: {}", shown(other)))),
    }
}

/// Runs the filter over the parameters that must give one value, the body.
fn one_json(filter: &Filter, variables: &Variables) -> Result<String, Mistake> {
    let wrong = |problem: String| Mistake::at("body_jq", problem);
    let outputs = filter.run(variables.parameters.clone(), variables).map_err(wrong)?;
    match outputs.as_slice() {
        [value] => Ok(value.to_string()),
        other => Err(wrong(format!("must give one value; produced: {}", shown(other)))),
    }
}

fn shown(outputs: &[Val]) -> String {
    let outputs: Vec<String> = outputs.iter().take(3).map(Val::to_string).collect();
    match outputs.is_empty() {
        true => "nothing".to_owned(),
        false => outputs.join(", "),
    }
}
