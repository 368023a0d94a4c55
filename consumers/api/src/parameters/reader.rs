use std::borrow::Cow;

use utoipa::openapi::{
    Required,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::{ArrayBuilder, SchemaType, Type},
};

use super::values::Value;
use crate::problem::{ParameterProblem, Problem};

/// Parameters that turn pages, and do not say what the pages are of.
const OF_PAGES: [&str; 3] = ["cursor", "format", "limit"];
/// Values of a parameter that may be repeated.
const MAX_REPEATED: usize = 50;
const MAX_DISTANCE: usize = 3;

/// The query of a request, parameter by parameter.
#[derive(Debug)]
pub(crate) struct Reader {
    pairs: Vec<(String, String)>,
    problems: Vec<ParameterProblem>,
}

/// A type that query parameters are read into.
pub(crate) trait FromQuery: Sized {
    /// Reads all values of a parameter.
    ///
    /// # Errors
    /// What is wrong, and how to correct it.
    fn from_query(values: &[&str]) -> Result<Self, String>;

    /// Describes the parameter.
    fn describe(name: &str, about: &str) -> Parameter;
}

fn described(name: &str, about: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(about))
}

fn only<'v>(values: &[&'v str]) -> Result<Option<&'v str>, String> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err("it may be given once".to_owned()),
    }
}

impl<T: Value> FromQuery for Option<T> {
    fn from_query(values: &[&str]) -> Result<Self, String> {
        only(values)?.map(T::parse).transpose()
    }

    fn describe(name: &str, about: &str) -> Parameter {
        described(name, about).schema(Some(T::schema())).build()
    }
}

impl<T: Value> FromQuery for Vec<T> {
    fn from_query(values: &[&str]) -> Result<Self, String> {
        if values.len() > MAX_REPEATED {
            return Err(format!("it may be given {MAX_REPEATED} times at most"));
        }
        values.iter().map(|value| T::parse(value)).collect()
    }

    fn describe(name: &str, about: &str) -> Parameter {
        let list = ArrayBuilder::new()
            .schema_type(SchemaType::new(Type::Array))
            .items(T::schema())
            .max_items(Some(MAX_REPEATED));
        described(name, about).schema(Some(list)).explode(Some(true)).build()
    }
}

/// A parameter that must be given.
#[derive(Debug, Clone)]
pub(crate) struct Needed<T>(pub(crate) T);

impl<T: Value> FromQuery for Needed<T> {
    fn from_query(values: &[&str]) -> Result<Self, String> {
        let value = only(values)?.ok_or_else(|| "it must be given".to_owned())?;
        T::parse(value).map(Self)
    }

    fn describe(name: &str, about: &str) -> Parameter {
        described(name, about).required(Required::True).schema(Some(T::schema())).build()
    }
}

impl Reader {
    pub(crate) fn new(query: &str) -> Self {
        let pairs = query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name).into_owned(), decoded(value).into_owned())
        });
        Self { pairs: pairs.collect(), problems: Vec::new() }
    }

    /// What the pages are of.
    pub(crate) fn filters(&self) -> String {
        let mut filters: Vec<String> = self
            .pairs
            .iter()
            .filter(|(name, _)| !OF_PAGES.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        filters.sort_unstable();
        filters.join("&")
    }

    /// A parameter; `None` when it is wrong.
    pub(crate) fn take<T: FromQuery>(&mut self, name: &str) -> Option<T> {
        let own = self.pairs.iter().filter(|(key, _)| key == name);
        let values: Vec<&str> = own.map(|(_, value)| value.as_str()).collect();
        match T::from_query(&values) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.problems.push(ParameterProblem { parameter: name.to_owned(), detail });
                None
            }
        }
    }

    /// What was read, if nothing was wrong and nothing unknown.
    ///
    /// # Errors
    /// Everything that was.
    pub(crate) fn finish<T>(mut self, read: Option<T>, known: &[&str]) -> Result<T, Problem> {
        for (name, _) in &self.pairs {
            if !known.contains(&name.as_str()) {
                let detail = unknown(name, known);
                self.problems.push(ParameterProblem { parameter: shown(name), detail });
            }
        }
        match read {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problem::parameters(self.problems)),
        }
    }
}

fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(64).collect()
}

fn unknown(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|one| (strsim::damerau_levenshtein(&shown(name), one), one))
        .filter(|(distance, _)| *distance <= MAX_DISTANCE)
        .min_by_key(|(distance, _)| *distance);
    match (nearest, known) {
        (Some((_, nearest)), _) => format!("there is no such parameter, did you mean {nearest:?}?"),
        (None, []) => "there is no such parameter: this route has none".to_owned(),
        (None, known) => format!("there is no such parameter, there is {}", known.join(", ")),
    }
}

/// `application/x-www-form-urlencoded`; what is not UTF-8 becomes a sign that no value has.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{
        QueryParameters as _, parameters,
        values::{ChainSlug, Limit},
    };

    parameters! {
        /// Of a test.
        pub(crate) struct Sample {
            /// Chains.
            pub(crate) chain: Vec<ChainSlug>,
            /// How many
            /// of them.
            pub(crate) limit: Option<Limit>,
        }
    }

    fn read(query: &str) -> Result<Sample, Problem> {
        let mut reader = Reader::new(query);
        let read = Sample::read(&mut reader);
        reader.finish(read, Sample::NAMES)
    }

    #[test]
    fn parameters_are_read_and_repeated() {
        let sample = read("chain=base&chain=ethereum&limit=7").unwrap();
        let chains: Vec<&str> = sample.chain.iter().map(|chain| chain.0.as_str()).collect();
        assert_eq!(chains, ["base", "ethereum"]);
        assert_eq!(sample.limit.map(|limit| limit.0), Some(7));
        assert!(read("").unwrap().chain.is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problem = read("chain=Base!&limit=0&limits=3&colour=red").unwrap_err();
        let names: Vec<&str> = problem.errors.iter().map(|one| one.parameter.as_str()).collect();
        assert_eq!(names, ["chain", "limit", "limits", "colour"]);
        assert!(problem.errors[2].detail.contains("did you mean \"limit\""));
        assert!(problem.errors[3].detail.contains("there is chain, limit"));
        assert!(read("limit=1&limit=2").is_err());
    }

    #[test]
    fn a_cursor_is_bound_to_what_the_pages_are_of() {
        let filters = |query: &str| Reader::new(query).filters();
        assert_eq!(filters("limit=3&chain=b&chain=a&cursor=x"), filters("chain=a&chain=b"));
        assert_ne!(filters("chain=a"), filters("chain=b"));
    }

    #[test]
    fn escapes_are_read_and_broken_ones_left() {
        assert_eq!(decoded("a%20b+c%C3%9F"), "a b cß");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(decoded("%+1"), "% 1");
        assert!(decoded("%ff").contains('\u{fffd}'));
    }

    #[test]
    fn the_description_has_every_parameter() {
        let described = Sample::describe();
        let json = serde_json::to_value(&described).unwrap();
        assert_eq!(json[0]["name"], "chain");
        assert_eq!(json[0]["schema"]["type"], "array");
        assert_eq!(json[1]["description"], "How many of them.");
        assert_eq!(json[1]["schema"]["maximum"], 1000);
    }
}
