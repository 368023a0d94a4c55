//! Recorded answers of the providers, read twice: by the filters of their files, and by `tests/recorded/<provider>.py`,
//! which knows nothing of the filters. Both must find the same events.

use std::{collections::HashMap, path::PathBuf};

use crypto_intel_poll::{DryRunAnswer, FetchError, Span, Trial};
use crypto_intel_schemas::{Decimal, Event, FieldType, Kind, samples::sample};
use crypto_intel_testkit::{python, recorded_data};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A line of `tests/recorded/driver.py`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    provider: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    /// The fields of the events that the answer holds.
    #[serde(default)]
    events: Vec<Map<String, Value>>,
    /// Whether it is an answer about the past of the endpoint.
    #[serde(default)]
    history: bool,
    /// Whether the answer is an error by the provider's own word.
    #[serde(default)]
    fault: bool,
    /// What is wrong with the module.
    #[serde(default)]
    problem: Option<String>,
}

/// Recorded answers are of any time.
const ALL_TIME: Span = Span { from_s: 0, to_s: 4_102_444_800 };

fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_filters_find_what_recorded_answers_hold() {
    let Some(data) = recorded_data() else { return };
    let Some(python) = python(&[]) else { return };
    let answers = data.join("api");
    let driver = crate_folder().join("tests/recorded/driver.py");
    let output = python.run(&driver, &[&answers]).unwrap();
    let mut reader = Reader { answers, trials: HashMap::new() };
    let mut differences = Vec::new();
    let mut lines = 0;
    for text in output.lines() {
        let line: Line =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        lines += 1;
        if let Err(difference) = check(&line, &mut reader) {
            let Line { provider, endpoint, file, .. } = &line;
            differences.push(format!("{provider} {endpoint} {file}: {difference}"));
        }
    }
    assert!(lines > 0, "no answer was read");
    assert!(
        differences.is_empty(),
        "{} of {lines} answers are read differently:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn check(line: &Line, reader: &mut Reader) -> Result<(), String> {
    if let Some(problem) = &line.problem {
        return Err(format!("tests/recorded/{}.py: {problem}", line.provider));
    }
    let outcome = reader.read(line)?;
    if line.fault {
        return expect_fault(outcome);
    }
    let answer = match outcome {
        Ok(answer) => answer,
        Err(FetchError::Empty { .. }) if line.events.is_empty() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    compare(&line.events, &answer)
}

/// Reads answers by the filters of the provider files.
struct Reader {
    answers: PathBuf,
    /// By provider and parameters.
    trials: HashMap<(String, String), Trial>,
}

impl Reader {
    fn read(&mut self, line: &Line) -> Result<Result<DryRunAnswer, FetchError>, String> {
        let body =
            std::fs::read(self.answers.join(&line.file)).map_err(|error| error.to_string())?;
        let key = (line.provider.clone(), Value::from(line.parameters.clone()).to_string());
        if !self.trials.contains_key(&key) {
            self.trials.insert(key.clone(), trial(line)?);
        }
        let trial = &self.trials[&key];
        let run = match line.history {
            false => trial.read(&line.endpoint, body),
            true => trial.read_history(&line.endpoint, body, ALL_TIME),
        };
        run.map(|run| run.outcome).map_err(|error| format!("{error:#}"))
    }
}

fn trial(line: &Line) -> Result<Trial, String> {
    let provider = crate_folder().join(format!("providers/{}.toml", line.provider));
    let origin = provider.display().to_string();
    let text = std::fs::read_to_string(&provider).map_err(|error| format!("{origin}: {error}"))?;
    let parameters = line.parameters.clone().into_iter().collect();
    Trial::new(&origin, &text, parameters).map_err(|error| format!("{error:#}"))
}

/// That the file itself knows the answer for an error, rather than failing on its shape.
fn expect_fault(outcome: Result<DryRunAnswer, FetchError>) -> Result<(), String> {
    match outcome {
        Err(
            FetchError::Fault { .. }
            | FetchError::RateLimited { .. }
            | FetchError::Spent { .. }
            | FetchError::Refused { .. },
        ) => Ok(()),
        Err(other) => Err(format!("jq.fault does not know this fault; it ends as: {other}")),
        Ok(answer) => Err(format!("jq.fault takes this fault for an answer: {:?}", answer.events)),
    }
}

fn compare(expected: &[Map<String, Value>], answer: &DryRunAnswer) -> Result<(), String> {
    let mut rest: Vec<&Event> = answer.events.iter().collect();
    let mut differences = Vec::new();
    for object in expected {
        match rest.iter().position(|event| has_all(event, object)) {
            Some(at) => {
                rest.remove(at);
            }
            None => differences.push(format!("  expected {}", Value::from(object.clone()))),
        }
    }
    differences.extend(rest.iter().map(|event| format!("  came     {}", shown(event))));
    if differences.is_empty() {
        return Ok(());
    }
    differences.extend(answer.problems.iter().map(|problem| format!("  problem  {problem}")));
    let (found, wanted) = (answer.events.len(), expected.len());
    Err(format!("{found} events, {wanted} expected\n{}", differences.join("\n")))
}

/// Whether the event has all fields of the object.
fn has_all(event: &Event, object: &Map<String, Value>) -> bool {
    let body = event.to_json();
    let decimals: Vec<&str> = event
        .kind()
        .fields()
        .iter()
        .filter(|field| matches!(field.field_type, FieldType::Decimal))
        .map(|field| field.name)
        .collect();
    object.iter().all(|(name, expected)| match name.as_str() {
        "at_us" => body["event_at_us"] == *expected,
        name if decimals.contains(&name) => same_number(&body[name], expected),
        name => body[name] == *expected,
    })
}

fn same_number(actual: &Value, expected: &Value) -> bool {
    let number = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Decimal::parse(&text).ok()
    };
    match (number(actual), number(expected)) {
        (Some(actual), Some(expected)) => actual == expected,
        _ => actual == expected,
    }
}

/// The event without what every event has.
fn shown(event: &Event) -> Value {
    let mut body = event.to_json();
    if let Value::Object(fields) = &mut body {
        for common in ["kind", "version", "id", "source", "observed_at_us"] {
            fields.remove(common);
        }
    }
    body
}

#[test]
fn differences_are_told_in_both_directions() {
    let event = sample(Kind::Price);
    let mut object = match shown(&event) {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    };
    object.remove("event_at_us");
    object.insert("at_us".to_owned(), event.event_at_us().into());
    let answer =
        |events: Vec<Event>| DryRunAnswer { events, problems: Vec::new(), missing: Vec::new() };
    assert_eq!(compare(&[object.clone()], &answer(vec![event.clone()])), Ok(()));
    let missing = compare(&[object.clone()], &answer(Vec::new())).unwrap_err();
    assert!(
        missing.contains("0 events, 1 expected") && missing.contains("expected {"),
        "{missing}"
    );
    let beyond = compare(&[], &answer(vec![event.clone()])).unwrap_err();
    assert!(beyond.contains("1 events, 0 expected") && beyond.contains("came     {"), "{beyond}");
    for (field, value) in [("price", "1.5"), ("asset", "dogecoin"), ("at_us", "1")] {
        let mut other = object.clone();
        other.insert(field.to_owned(), value.into());
        assert!(compare(&[other], &answer(vec![event.clone()])).is_err(), "{field}");
    }
    let mut absent = object.clone();
    absent.insert("quote".to_owned(), Value::Null);
    assert!(compare(&[absent], &answer(vec![event])).is_err());
}

#[test]
fn decimals_are_compared_by_value() {
    for (one, two) in [("1.50", "1.5"), ("5e-7", "0.0000005"), ("12", "12.000")] {
        assert!(same_number(&one.into(), &two.into()), "{one} {two}");
    }
    assert!(same_number(&"12".into(), &12.into()));
    assert!(
        !same_number(&"1.5".into(), &"1.50001".into()) && !same_number(&"1".into(), &Value::Null)
    );
}
