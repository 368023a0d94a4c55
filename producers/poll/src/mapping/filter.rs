use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use jaq_core::{
    Compiler, Ctx, Vars,
    data::JustLut,
    load::{self, Arena, File, Loader},
};
use jaq_json::{Val, read};

use super::decimals;

/// Maximum number of values that a filter may give for one answer.
pub(crate) const MAX_OUTPUTS: usize = 5_000;
/// Longest time that a filter may run for one answer. The largest answer of the catalogue takes a second in a debug build.
const MAX_RUN: Duration = Duration::from_secs(30);
/// Of the thread that a filter runs on, as that of a process: filters recurse.
const STACK_BYTES: usize = 8 << 20;
/// Deepest nesting of an answer; the parser below is recursive.
const MAX_DEPTH: usize = 128;

/// A definition of jq itself, with the names that it uses.
struct Definition {
    definition: load::parse::Def<&'static str>,
    uses: HashSet<String>,
}

/// Our definitions beside those of jq. Keys are lower case: where that is not the address itself, as in base58, a label keeps
/// it.
const OWN_DEFINITIONS: &str = r#"
def address_label: if startswith("0x") or . == ascii_downcase then {} else {address: .} end;
"#;

/// jq's own definitions and ours, in their order: each uses earlier ones only.
static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let own = load::parse(OWN_DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
    all.map(|definition| Definition {
        uses: names_in(&format!("{:?}", definition.body)).map(str::to_owned).collect(),
        definition,
    })
    .collect()
});

/// The definitions that a filter uses. Compiling all of them for each of a thousand filters would take seconds.
fn definitions_for(source: &str) -> Vec<load::parse::Def<&'static str>> {
    let mut used: HashSet<&str> = names_in(source).collect();
    let mut kept = Vec::new();
    for Definition { definition, uses } in DEFINITIONS.iter().rev() {
        if used.contains(definition.name) {
            used.extend(uses.iter().map(String::as_str));
            kept.push(definition.clone());
        }
    }
    kept.reverse();
    kept
}

/// All words that may be names of filters.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '@')))
}

/// What a filter finds in its variables.
#[derive(Debug, Clone)]
pub(crate) struct Variables {
    /// `$parameters`: those of the provider, and of an endpoint with `each` its entry as `.each`.
    pub(crate) parameters: Val,
    /// `$assets`: `{ids: {<asset>: <id>}, of: {<id>: <asset>}}`.
    pub(crate) assets: Val,
}

#[cfg(test)]
impl Variables {
    pub(crate) const fn none() -> Self {
        Self { parameters: Val::Null, assets: Val::Null }
    }
}

/// What is wrong with the text of a filter.
#[derive(Debug)]
pub(crate) struct FilterProblem {
    /// With the place, if there is one.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: Option<usize>,
}

/// A compiled jq filter.
pub(crate) struct Filter {
    compiled: Arc<jaq_core::Filter<JustLut<Val>>>,
    source: String,
    /// It did not end in time, and may still run: a thread cannot be ended from outside.
    is_stuck: AtomicBool,
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub(crate) fn compile(source: &str) -> Result<Self, FilterProblem> {
        let definitions = definitions_for(source);
        let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let functions = functions.chain(decimals::functions());
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code: source, path: () })
            .map_err(|errors| describe_load(source, &errors))?;
        let compiled = Compiler::default()
            .with_funs(functions)
            .with_global_vars(["$parameters", "$assets"])
            .compile(modules)
            .map_err(|errors| describe_undefined(source, &errors))?;
        let is_stuck = AtomicBool::new(false);
        Ok(Self { compiled: Arc::new(compiled), source: source.to_owned(), is_stuck })
    }

    /// The filter's output for an input. Blocks for as long as it runs, at most [`MAX_RUN`]; one that has once run longer
    /// loops, and is not run again.
    ///
    /// # Errors
    /// The filter's own error, or that it has no end.
    pub(crate) fn run(&self, input: Val, variables: &Variables) -> Result<Vec<Val>, String> {
        self.run_within(input, variables, MAX_RUN)
    }

    fn run_within(
        &self,
        input: Val,
        variables: &Variables,
        limit: Duration,
    ) -> Result<Vec<Val>, String> {
        let endless = || {
            format!(
                "filter has not ended within {} s: it loops, and is not run again until it is changed",
                limit.as_secs()
            )
        };
        if self.is_stuck() {
            return Err(endless());
        }
        let (compiled, variables) = (Arc::clone(&self.compiled), variables.clone());
        let (sender, receiver) = mpsc::sync_channel(1);
        // Fails only after the time limit.
        let work = move || drop(sender.send(outputs(&compiled, input, &variables)));
        let builder = thread::Builder::new().name("filter".to_owned()).stack_size(STACK_BYTES);
        builder.spawn(work).map_err(|error| format!("filter cannot be run: {error}"))?;
        match receiver.recv_timeout(limit) {
            Ok(outputs) => outputs,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err("filter panicked".to_owned()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.is_stuck.store(true, Ordering::Relaxed);
                Err(endless())
            }
        }
    }

    /// Whether it did not end in time.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Relaxed)
    }

    /// As [`Filter::run`], where lists are taken apart: both `.[] | {…}` and `[.[] | {…}]` are
    /// fine.
    pub(crate) fn run_flat(&self, input: Val, variables: &Variables) -> Result<Vec<Val>, String> {
        let mut items = Vec::new();
        for output in self.run(input, variables)? {
            match output {
                Val::Arr(list) => items.extend(list.iter().cloned()),
                other => items.push(other),
            }
        }
        if items.len() > MAX_OUTPUTS {
            return Err(format!("filter gives more than {MAX_OUTPUTS} values"));
        }
        Ok(items)
    }

    /// The filter's own text in one line, for messages.
    pub(crate) fn shown(&self) -> String {
        shorten(&self.source, 200)
    }
}

fn outputs(
    compiled: &jaq_core::Filter<JustLut<Val>>,
    input: Val,
    variables: &Variables,
) -> Result<Vec<Val>, String> {
    let values = Vars::new([variables.parameters.clone(), variables.assets.clone()]);
    let context = Ctx::<JustLut<Val>>::new(&compiled.lut, values);
    let mut outputs = Vec::new();
    for output in compiled.id.run((context, input)) {
        let value = output.map_err(|exception| match exception.get_err() {
            Ok(error) => format!("filter fails: {}", shorten(&error.to_string(), 300)),
            Err(_) => "filter stops the program (halt)".to_owned(),
        })?;
        if outputs.len() == MAX_OUTPUTS {
            return Err(format!("filter gives more than {MAX_OUTPUTS} values"));
        }
        outputs.push(value);
    }
    Ok(outputs)
}

impl fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Filter").field(&self.source).finish()
    }
}

/// Reads one JSON value; numbers keep their text.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_json(body: &[u8]) -> Result<Val, String> {
    // jaq reads a superset of JSON, without a depth limit: both are checked first.
    std::str::from_utf8(body).map_err(|error| format!("is not UTF-8: {error}"))?;
    check_depth(body)?;
    serde_json::from_slice::<serde::de::IgnoredAny>(body)
        .map_err(|error| format!("is not JSON: {error}"))?;
    read::parse_single(body).map_err(|error| format!("is not JSON: {error}"))
}

fn check_depth(body: &[u8]) -> Result<(), String> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for &byte in body {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("is nested deeper than {MAX_DEPTH} levels"));
        }
    }
    Ok(())
}

/// One line of at most `limit` characters.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String =
        words.join(" ").chars().map(|c| if c.is_control() { '.' } else { c }).collect();
    match line.char_indices().nth(limit) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

fn describe_load(source: &str, errors: &load::Errors<&str, ()>) -> FilterProblem {
    let problem = errors.first().and_then(|(_, error)| match error {
        load::Error::Io(_) => Some(FilterProblem::new("cannot include other files")),
        load::Error::Lex(errors) => errors.first().map(|(expected, found)| {
            FilterProblem::at(format!("expected {}", expected.as_str()), source, found)
        }),
        load::Error::Parse(errors) => errors.first().map(|(expected, found)| {
            FilterProblem::at(format!("expected {}", expected.as_str()), source, found)
        }),
    });
    problem.unwrap_or_else(|| FilterProblem::new("cannot be read"))
}

fn describe_undefined(source: &str, errors: &jaq_core::compile::Errors<&str, ()>) -> FilterProblem {
    let first = errors.first().and_then(|(_, errors)| errors.first());
    let problem = first.map(|(name, undefined)| {
        FilterProblem::at(format!("there is no {} {name:?}", undefined.as_str()), source, name)
    });
    problem.unwrap_or_else(|| FilterProblem::new("cannot be compiled"))
}

impl FilterProblem {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), line: None }
    }

    /// A problem with a part of the source.
    fn at(text: String, source: &str, part: &str) -> Self {
        // Empty at the end of the input, where jaq gives a text that is no part of the source.
        if part.is_empty() {
            return Self { text: format!("{text} at its end"), line: None };
        }
        let start = load::span(source, part).start.min(source.len());
        let line = source[..start].matches('\n').count() + 1;
        let text = format!("{text} in line {line} at {:?}", shorten(part, 40));
        Self { text, line: Some(line) }
    }
}

impl From<FilterProblem> for String {
    fn from(problem: FilterProblem) -> Self {
        problem.text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn run(filter: &str, input: &str) -> Result<Vec<String>, String> {
        let variables = Variables {
            parameters: read_json(br#"{"quotes": ["usd"]}"#).unwrap(),
            assets: read_json(br#"{"ids": {"bitcoin": "XBT"}, "of": {"XBT": "bitcoin"}}"#).unwrap(),
        };
        let outputs = Filter::compile(filter)?.run_flat(read_json(input.as_bytes())?, &variables);
        Ok(outputs?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn numbers_that_pass_through_keep_their_text() {
        for number in ["64000.12", "1e-09", "0.1000", "123456789012345678901234567890", "-1.5E3"] {
            let output = run(".a | {p: .}", &format!("{{\"a\": {number}}}")).unwrap();
            assert_eq!(output, [format!("{{\"p\":{number}}}")]);
        }
    }

    #[test]
    fn parameters_and_assets_are_there() {
        assert_eq!(run("$parameters.quotes[]", "{}").unwrap(), ["\"usd\""]);
        assert_eq!(run("$assets.of[.]", "\"XBT\"").unwrap(), ["\"bitcoin\""]);
    }

    #[test]
    fn an_address_whose_case_counts_is_kept_as_a_label() {
        let label = |address: &str| run("address_label", &format!("\"{address}\"")).unwrap();
        assert_eq!(label("So1111"), ["{\"address\":\"So1111\"}"]);
        assert_eq!(label("0xAB"), ["{}"]);
    }

    #[test]
    fn lists_and_streams_are_the_same() {
        assert_eq!(run(".[]", "[1, 2]").unwrap(), run(".", "[1, 2]").unwrap());
    }

    #[test]
    fn faults_of_a_filter_say_where_they_are() {
        let unfinished = run("{a: .b", "{}").unwrap_err();
        assert!(unfinished.contains("expected"), "{unfinished}");
        let unknown = run(".a\n| no_such_thing", "{}").unwrap_err();
        assert!(unknown.contains("no_such_thing") && unknown.contains("line 2"), "{unknown}");
        let failing = run(".a | keys", "{\"a\": 1}").unwrap_err();
        assert!(failing.contains("filter fails"), "{failing}");
        assert!(run("halt", "{}").unwrap_err().contains("halt"));
        assert!(run("repeat(.)", "{}").unwrap_err().contains("more than"));
    }

    #[test]
    fn a_filter_that_loops_is_stopped_and_not_run_again() {
        let filter = Filter::compile("last(range(0; infinite))").unwrap();
        let run = |limit| filter.run_within(Val::Null, &Variables::none(), limit).unwrap_err();
        assert!(run(Duration::from_millis(50)).contains("it loops"));
        let started = std::time::Instant::now();
        assert!(run(MAX_RUN).contains("it loops"));
        assert!(started.elapsed() < MAX_RUN / 2);
    }

    #[test]
    fn hostile_answers_are_refused_before_they_are_read() {
        let deep = "[".repeat(100_000);
        assert!(read_json(deep.as_bytes()).unwrap_err().contains("nested"));
        assert!(read_json(b"{\"a\": NaN}").is_err());
        assert!(read_json(b"{} {}").is_err());
        assert!(read_json(b"\"\xff\"").unwrap_err().contains("UTF-8"));
        assert!(read_json(b"").is_err());
    }
}
