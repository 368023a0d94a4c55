use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_schemas::Kind;
use jaq_json::Val;
use reqwest::header::HeaderMap;

use super::{
    example::check_example,
    file::{Empty, EndpointFile, Method, ProviderFile},
    mistake::Mistake,
    provider::{Endpoint, Filters, KeyPlace, MAX_EVENTS},
    request::{KEY_IN_PATH, RequestTemplate, Source, check_path},
    settings::{base_url, check_name, headers},
};
use crate::{
    config::ProviderSettings,
    mapping::filter::{Filter, FilterProblem, Variables, read_json},
    quota::limits::Limits,
};

/// Largest answer that a provider file may allow.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Most endpoints of one `each`.
const MAX_ENTRIES: usize = 200;
/// Most pages of one answer.
const MAX_PAGES: u32 = 50;

/// Makes the endpoints of one `[[endpoints]]`: one, or one for each entry of a parameter.
pub(super) struct EndpointBuilder<'a> {
    pub(super) provider: &'a ProviderFile,
    pub(super) file: &'a EndpointFile,
    pub(super) settings: &'a ProviderSettings,
    /// The provider's own, for endpoints without one.
    pub(super) fault: Option<&'a Arc<Filter>>,
    /// Of the provider.
    pub(super) headers: &'a HeaderMap,
    pub(super) key_place: Option<&'a KeyPlace>,
    pub(super) has_key: bool,
    /// What a request may weigh at most.
    pub(super) limits: &'a Limits,
    pub(super) variables: &'a Variables,
    /// Those of the file alone, which the example is for.
    pub(super) example_variables: &'a Variables,
}

impl EndpointBuilder<'_> {
    pub(super) fn build(&self) -> Result<Vec<Endpoint>, Mistake> {
        let file = self.file;
        check_name(&file.name).map_err(|problem| Mistake::at("name", problem))?;
        self.check_numbers()?;
        let request = Arc::new(self.request()?);
        let filters = Arc::new(self.filters()?);
        let expects = file.jq.expects.as_deref();
        let expects = expects.map(|source| compile("jq.expects", source)).transpose()?;
        check_example(self.provider, file, &filters, &self.example_entry()?)?;
        let mut endpoints = Vec::new();
        for (name, variables) in self.entries(self.variables)? {
            let expected = match &expects {
                Some(filter) => expected(filter, &variables)?,
                None => Vec::new(),
            };
            let endpoint = self.endpoint(name, variables, &request, &filters, expected)?;
            request.render(&endpoint.base_url, &endpoint.variables, None, &BTreeMap::new())?;
            endpoints.push(endpoint);
        }
        Ok(endpoints)
    }

    /// The variables that the example is for.
    pub(super) fn example_entry(&self) -> Result<Variables, Mistake> {
        let first = self.entries(self.example_variables)?.into_iter().next();
        first.map(|(_, variables)| variables).ok_or_else(|| {
            let problem = "the parameter has no entry in the file: give one, so that the example can be tried";
            Mistake::at("each", problem)
        })
    }

    fn endpoint(
        &self,
        name: String,
        variables: Variables,
        request: &Arc<RequestTemplate>,
        filters: &Arc<Filters>,
        expected: Vec<String>,
    ) -> Result<Endpoint, Mistake> {
        let file = self.file;
        let settings = &self.settings.endpoints;
        let own = settings.get(&name).or_else(|| settings.get(&file.name));
        let every_seconds = own.and_then(|own| own.every_seconds).or(self.settings.every_seconds);
        if every_seconds == Some(0) {
            let provider = &self.provider.name;
            return Err(Mistake::of_setting(format!(
                "poll.providers.{provider}: every_seconds must be above 0 (endpoint {name})"
            )));
        }
        let every = Duration::from_secs(every_seconds.unwrap_or(file.every_seconds.get()).into());
        let timeout = Duration::from_millis(file.timeout_ms.into());
        Ok(Endpoint {
            provider: self.provider.name.clone(),
            enabled: own.and_then(|own| own.enabled).unwrap_or(true),
            base_url: base_url(self.provider, file, self.settings, own, self.has_key)?,
            name,
            kind: file.kind,
            request: Arc::clone(request),
            filters: Arc::clone(filters),
            variables,
            format: file.format,
            every,
            timeout,
            max_body_bytes: file.max_body_bytes,
            weight: file.weight,
            stale_after: match file.stale_after_seconds {
                Some(seconds) => Duration::from_secs(seconds.into()).max(every),
                None => every * 3 + timeout,
            },
            max_data_age: file.max_data_age_seconds.map(|age| Duration::from_secs(age.into())),
            may_be_empty: file.empty == Empty::Ok,
            max_events: MAX_EVENTS,
            page_limit: file.pages.as_ref().map_or(1, |pages| pages.limit.get()),
            expected,
        })
    }

    fn check_numbers(&self) -> Result<(), Mistake> {
        let file = self.file;
        if !file.kind.is_polled() {
            let polled = Kind::ALL.iter().filter(|kind| kind.is_polled());
            let known: Vec<&str> = polled.map(|kind| kind.as_str()).collect();
            let problem =
                format!("kind {} cannot be polled; it can be {}", file.kind, known.join(" or "));
            return Err(Mistake::at("kind", problem));
        }
        if !(100..=300_000).contains(&file.timeout_ms) {
            return Err(Mistake::at("timeout_ms", "timeout_ms must be 100 to 300000"));
        }
        if !(1..=MAX_BODY_BYTES).contains(&file.max_body_bytes) {
            let problem = format!("max_body_bytes must be 1 to {MAX_BODY_BYTES}");
            return Err(Mistake::at("max_body_bytes", problem));
        }
        if let Some(problem) = self.limits.refuses(file.weight.get()) {
            return Err(Mistake::at("weight", problem));
        }
        if file.pages.as_ref().is_some_and(|pages| pages.limit.get() > MAX_PAGES) {
            let problem = format!("pages.limit must be 1 to {MAX_PAGES}");
            return Err(Mistake::at("pages.limit", problem));
        }
        Ok(())
    }

    fn request(&self) -> Result<RequestTemplate, Mistake> {
        let file = self.file;
        let mut all_headers = self.headers.clone();
        all_headers.extend(headers(&file.headers)?);
        let mut query_jq = BTreeMap::new();
        for (name, source) in &file.query_jq {
            if file.query.contains_key(name) {
                let problem = format!("{name} is in query and in query_jq: leave one out");
                return Err(Mistake::at("query_jq", problem).inside(name));
            }
            let mistake = |problem: FilterProblem| Mistake {
                line: problem.line,
                ..Mistake::at("query_jq", with_source(&problem.text, source)).inside(name)
            };
            let filter = Filter::compile(source).map_err(mistake)?;
            query_jq.insert(name.clone(), filter);
        }
        Ok(RequestTemplate {
            method: match file.method {
                Method::Get => reqwest::Method::GET,
                Method::Post => reqwest::Method::POST,
            },
            path: self.path()?,
            query: file.query.clone(),
            query_jq,
            headers: all_headers,
            body: self.body()?,
            format: file.format,
        })
    }

    fn path(&self) -> Result<Source, Mistake> {
        match (&self.file.path, &self.file.path_jq) {
            (Some(path), None) => {
                check_path(path).map_err(|problem| Mistake::at("path", problem))?;
                if path.contains(KEY_IN_PATH) && self.key_place != Some(&KeyPlace::Path) {
                    let problem = "path has {key}: [key] must have path = true";
                    return Err(Mistake::at("path", problem));
                }
                Ok(Source::Literal(path.clone()))
            }
            (None, Some(source)) => Ok(Source::Filter(compile("path_jq", source)?)),
            _ => Err(Mistake::at("path", "must have either path or path_jq")),
        }
    }

    fn body(&self) -> Result<Option<Source>, Mistake> {
        let file = self.file;
        let body = match (&file.body, &file.body_jq) {
            (None, None) => None,
            (Some(text), None) => {
                read_json(text.as_bytes())
                    .map_err(|problem| Mistake::at("body", format!("body {problem}")))?;
                Some(Source::Literal(text.trim().to_owned()))
            }
            (None, Some(source)) => Some(Source::Filter(compile("body_jq", source)?)),
            (Some(_), Some(_)) => {
                return Err(Mistake::at("body_jq", "must have either body or body_jq"));
            }
        };
        if body.is_some() && file.method != Method::Post {
            let field = if file.body.is_some() { "body" } else { "body_jq" };
            return Err(Mistake::at(field, "a body needs method = \"POST\""));
        }
        Ok(body)
    }

    fn filters(&self) -> Result<Filters, Mistake> {
        let jq = &self.file.jq;
        let optional = |field: &str, source: Option<&String>| {
            source.map(|source| compile(field, source)).transpose()
        };
        let pages = self.file.pages.as_ref();
        Ok(Filters {
            events: compile("jq.events", &jq.events)?,
            fault: optional("jq.fault", jq.fault.as_ref())?.map(Arc::new).or(self.fault.cloned()),
            cost: optional("jq.cost", jq.cost.as_ref())?,
            next_page: optional("pages.next_jq", pages.map(|pages| &pages.next_jq))?,
        })
    }

    /// Name and variables of each endpoint.
    fn entries(&self, variables: &Variables) -> Result<Vec<(String, Variables)>, Mistake> {
        let Some(parameter) = &self.file.each else {
            return Ok(vec![(self.file.name.clone(), variables.clone())]);
        };
        let wrong = |problem: String| Mistake::at("each", problem);
        let Val::Obj(parameters) = &variables.parameters else { return Ok(Vec::new()) };
        let entries: Vec<(Val, Val)> = match parameters.get(&Val::utf8_str(parameter.clone())) {
            Some(Val::Obj(map)) => {
                map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            Some(Val::Arr(list)) => list.iter().map(|name| (name.clone(), name.clone())).collect(),
            Some(_) => {
                return Err(wrong(format!(
                    "parameter {parameter} must be a table or a list of names"
                )));
            }
            None => match (parameter == "assets").then(|| asset_entries(&variables.assets)) {
                Some(assets) => assets,
                None => return Err(wrong(format!("there is no parameter {parameter}"))),
            },
        };
        if entries.len() > MAX_ENTRIES {
            let problem = format!("parameter {parameter} has more than {MAX_ENTRIES} entries");
            return Err(wrong(problem));
        }
        let mut endpoints = Vec::new();
        for (name, value) in entries {
            let Val::TStr(bytes) = &name else {
                return Err(wrong(format!("parameter {parameter} has {name}, which is no name")));
            };
            let label =
                format!("{}-{}", self.file.name, plain_name(&String::from_utf8_lossy(bytes)));
            check_name(&label)
                .map_err(|problem| wrong(format!("the endpoint of {name}: {problem}")))?;
            let fields = [("name", name), ("value", value)];
            let each = fields.into_iter().map(|(name, value)| (Val::utf8_str(name), value));
            let mut own = (**parameters).clone();
            own.insert(Val::utf8_str("each"), Val::obj(each.collect()));
            endpoints.push((label, Variables { parameters: Val::obj(own), ..variables.clone() }));
        }
        Ok(endpoints)
    }
}

/// Each asset of `[assets]` with the provider's id of it.
fn asset_entries(assets: &Val) -> Vec<(Val, Val)> {
    let Val::Obj(fields) = assets else { return Vec::new() };
    let Some(Val::Obj(ids)) = fields.get(&Val::utf8_str("ids")) else { return Vec::new() };
    ids.iter().map(|(asset, id)| (asset.clone(), id.clone())).collect()
}

/// A name of an entry in the letters of endpoint names.
fn plain_name(name: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '-' | '_') => c,
        _ => '-',
    };
    name.chars().map(plain).collect()
}

/// Compiles the filter in a field.
pub(super) fn compile(field: &str, source: &str) -> Result<Filter, Mistake> {
    Filter::compile(source).map_err(|problem| {
        let text = format!("filter {field}: {}", with_source(&problem.text, source));
        Mistake { line: problem.line, ..Mistake::at(field, text) }
    })
}

/// A problem with a filter, and the filter.
fn with_source(problem: &str, source: &str) -> String {
    format!("{problem}; the filter: {}", crate::mapping::filter::shorten(source, 200))
}

fn expected(filter: &Filter, variables: &Variables) -> Result<Vec<String>, Mistake> {
    let wrong = |problem: String| {
        Mistake::at(
            "jq.expects",
            format!("filter jq.expects: {problem}; the filter: {}", filter.shown()),
        )
    };
    let mut expected = Vec::new();
    for output in filter.run_flat(variables.parameters.clone(), variables).map_err(wrong)? {
        match output {
            Val::TStr(bytes) => expected.push(String::from_utf8_lossy(&bytes).into_owned()),
            other => return Err(wrong(format!("must give texts; produced: {other}"))),
        }
    }
    Ok(expected)
}
