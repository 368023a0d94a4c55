use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crypto_intel_assets::Registry;
use crypto_intel_schemas::Kind;
use crypto_intel_service::now_us;
use jaq_json::Val;
use reqwest::Url;

use super::{
    assets,
    error::CatalogueError,
    file::{Empty, EndpointFile, ProviderFile},
    provider::{Endpoint, Provider},
    settings::{base_url, build_key, check_name, headers, parameters},
};
use crate::{
    config::ProviderSettings,
    mapping::event_mapping::{Origin, event_of},
    mapping::filter::{Filter, Variables, read_json},
};

/// Largest answer that a provider file may allow.
const MAX_BODY_BYTES: usize = 64 << 20;

/// Checks a provider file with its settings and compiles its filters; `origin` names the file in
/// messages.
pub(super) fn build(
    origin: &str,
    file: &ProviderFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Provider, CatalogueError> {
    let refuse = |problem: String| CatalogueError::Value { file: origin.to_owned(), problem };
    check_name("name", &file.name).map_err(refuse)?;
    let key = build_key(&file.name, file.key.as_ref(), settings).map_err(refuse)?;
    let base_url = base_url(file, settings, key.is_some()).map_err(refuse)?;
    let variables = variables_of(file, settings, registry).map_err(refuse)?;
    let own = variables_of(file, &ProviderSettings::default(), registry).map_err(refuse)?;
    let per_minute = match settings.per_minute {
        Some(configured) => NonZeroU32::new(configured).ok_or_else(|| {
            refuse(format!("poll.providers.{}.per_minute must be above 0", file.name))
        })?,
        None => file
            .quota
            .per_minute_with_key
            .filter(|_| key.is_some())
            .unwrap_or(file.quota.per_minute),
    };
    if file.endpoints.is_empty() {
        return Err(refuse("has no [[endpoints]]".to_owned()));
    }
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
    for endpoint_file in &file.endpoints {
        let builder = Builder { origin, provider: file, endpoint: endpoint_file, own: &own };
        let endpoint = builder.build(&base_url, &variables, settings)?;
        if endpoints.iter().any(|other| other.name == endpoint.name) {
            return Err(refuse(format!("has two endpoints named {}", endpoint.name)));
        }
        endpoints.push(Arc::new(endpoint));
    }
    Ok(Provider {
        name: file.name.clone(),
        key,
        headers: headers(&file.headers).map_err(refuse)?,
        per_minute,
        burst: file.quota.burst,
        endpoints,
    })
}

fn variables_of(
    file: &ProviderFile,
    settings: &ProviderSettings,
    registry: &Registry,
) -> Result<Variables, String> {
    Ok(Variables {
        parameters: parameters(file, settings)?,
        assets: assets::variable(file, settings, registry)?,
    })
}

struct Builder<'a> {
    origin: &'a str,
    provider: &'a ProviderFile,
    endpoint: &'a EndpointFile,
    /// The file's own variables, whatever the configuration says: those of its example.
    own: &'a Variables,
}

impl Builder<'_> {
    fn build(
        &self,
        base_url: &Url,
        variables: &Variables,
        settings: &ProviderSettings,
    ) -> Result<Endpoint, CatalogueError> {
        let file = self.endpoint;
        check_name("name", &file.name).map_err(|problem| self.refuse(problem))?;
        self.check_numbers()?;
        let every_seconds = settings.every_seconds.unwrap_or(file.every_seconds.get());
        if every_seconds == 0 {
            let name = &self.provider.name;
            return Err(self.refuse(format!("poll.providers.{name}.every_seconds must be above 0")));
        }
        let every = Duration::from_secs(every_seconds.into());
        let timeout = Duration::from_millis(file.timeout_ms.into());
        let stale_after = match file.stale_after_seconds {
            Some(seconds) => Duration::from_secs(seconds.into()).max(every),
            None => every * 3 + timeout,
        };
        let endpoint = Endpoint {
            provider: self.provider.name.clone(),
            name: file.name.clone(),
            url: self.url(base_url, variables)?,
            kind: file.kind,
            every,
            timeout,
            max_body_bytes: file.max_body_bytes,
            weight: file.weight,
            stale_after,
            max_data_age: file.max_data_age_seconds.map(|age| Duration::from_secs(age.into())),
            may_be_empty: file.empty == Empty::Ok,
            expected: self.expected(variables)?,
            events: self.compile("jq.events", &file.jq.events)?,
            fault: match &file.jq.fault {
                Some(source) => Some(self.compile("jq.fault", source)?),
                None => None,
            },
            variables: variables.clone(),
        };
        self.check_example(&endpoint)?;
        Ok(endpoint)
    }

    fn check_numbers(&self) -> Result<(), CatalogueError> {
        let file = self.endpoint;
        if !file.kind.is_polled() {
            let polled = Kind::ALL.iter().filter(|kind| kind.is_polled());
            let known: Vec<&str> = polled.map(|kind| kind.as_str()).collect();
            return Err(self.refuse(format!(
                "kind {} cannot be polled; it can be {}",
                file.kind,
                known.join(" or ")
            )));
        }
        if !(100..=300_000).contains(&file.timeout_ms) {
            return Err(self.refuse("timeout_ms must be 100 to 300000".to_owned()));
        }
        if !(1..=MAX_BODY_BYTES).contains(&file.max_body_bytes) {
            return Err(self.refuse(format!("max_body_bytes must be 1 to {MAX_BODY_BYTES}")));
        }
        if file.weight > self.provider.quota.burst {
            return Err(self.refuse(format!(
                "weight {} is above quota.burst {}",
                file.weight, self.provider.quota.burst
            )));
        }
        Ok(())
    }

    fn url(&self, base_url: &Url, variables: &Variables) -> Result<Url, CatalogueError> {
        let file = self.endpoint;
        if !file.path.starts_with('/') || file.path.contains(['?', '#']) {
            return Err(self.refuse(format!(
                "path {:?} must begin with / and have no query: use [endpoints.query]",
                file.path
            )));
        }
        let mut url = base_url.clone();
        url.set_path(&format!("{}{}", base_url.path().trim_end_matches('/'), file.path));
        for (name, value) in &file.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        for (name, source) in &file.query_jq {
            let field = format!("query_jq.{name}");
            let value = self.one_text(&field, source, variables)?;
            url.query_pairs_mut().append_pair(name, &value);
        }
        Ok(url)
    }

    /// Runs a filter over the parameters that must give one text or number.
    fn one_text(
        &self,
        field: &str,
        source: &str,
        variables: &Variables,
    ) -> Result<String, CatalogueError> {
        let filter = self.compile(field, source)?;
        let wrong = |problem: String| self.wrong_filter(field, &filter, problem);
        let outputs = filter.run(variables.parameters.clone(), variables).map_err(wrong)?;
        match outputs.as_slice() {
            [Val::TStr(bytes)] => Ok(String::from_utf8_lossy(bytes).into_owned()),
            [Val::Num(number)] => Ok(number.to_string()),
            other => Err(self.wrong_filter(
                field,
                &filter,
                format!("must give one text; produced: {other:?}"),
            )),
        }
    }

    fn expected(&self, variables: &Variables) -> Result<Vec<String>, CatalogueError> {
        let Some(source) = &self.endpoint.jq.expects else { return Ok(Vec::new()) };
        let filter = self.compile("jq.expects", source)?;
        let wrong = |problem: String| self.wrong_filter("jq.expects", &filter, problem);
        let mut expected = Vec::new();
        for output in filter.run_flat(variables.parameters.clone(), variables).map_err(wrong)? {
            match output {
                Val::TStr(bytes) => expected.push(String::from_utf8_lossy(&bytes).into_owned()),
                other => return Err(wrong(format!("must give texts; produced: {other}"))),
            }
        }
        Ok(expected)
    }

    /// Processes the example like an answer, with the file's own parameters and assets.
    fn check_example(&self, endpoint: &Endpoint) -> Result<(), CatalogueError> {
        let example = read_json(self.endpoint.jq.example.trim().as_bytes())
            .map_err(|problem| self.refuse(format!("jq.example {problem}")))?;
        if let Some(fault) = &endpoint.fault {
            let outputs = fault
                .run(example.clone(), self.own)
                .map_err(|problem| self.wrong_filter("jq.fault", fault, problem))?;
            let fine = |value: &Val| matches!(value, Val::Null | Val::Bool(false));
            if let Some(output) = outputs.iter().find(|output| !fine(output)) {
                let problem = format!("takes the example for a fault; produced: {output}");
                return Err(self.wrong_filter("jq.fault", fault, problem));
            }
        }
        let wrong = |problem: String| self.wrong_filter("jq.events", &endpoint.events, problem);
        let objects = endpoint.events.run_flat(example, self.own).map_err(wrong)?;
        if objects.is_empty() {
            return Err(wrong("gives nothing for the example".to_owned()));
        }
        let now = now_us();
        let provider = endpoint.provider.as_str();
        let origin = Origin { provider, kind: endpoint.kind, slot_us: now, observed_at_us: now };
        for object in &objects {
            // An example ahead of this machine's clock is not an error of the filter.
            let origin = Origin { observed_at_us: i64::MAX, ..origin };
            event_of(object, origin).map_err(wrong)?;
        }
        Ok(())
    }

    fn compile(&self, field: &str, source: &str) -> Result<Filter, CatalogueError> {
        Filter::compile(source).map_err(|problem| CatalogueError::Filter {
            file: self.origin.to_owned(),
            endpoint: self.endpoint.name.clone(),
            field: field.to_owned(),
            problem,
            filter: crate::mapping::filter::shorten(source, 200),
        })
    }

    fn wrong_filter(&self, field: &str, filter: &Filter, problem: String) -> CatalogueError {
        CatalogueError::Filter {
            file: self.origin.to_owned(),
            endpoint: self.endpoint.name.clone(),
            field: field.to_owned(),
            problem,
            filter: filter.shown(),
        }
    }

    fn refuse(&self, problem: String) -> CatalogueError {
        CatalogueError::Value {
            file: self.origin.to_owned(),
            problem: format!("endpoint {}: {problem}", self.endpoint.name),
        }
    }
}
