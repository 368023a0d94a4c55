//! The parts of a subscription, read one by one: what is wrong is told at once.

use std::sync::Arc;

use crypto_intel_schemas::{Decimal, Kind, subjects::is_chain_slug};

use super::super::{
    live_event::{Token, micro_usd, parse_token},
    service::Service,
};
use crate::problem::{ParameterProblem, Problem};

const MAX_ID_CHARS: usize = 64;
/// What a problem quotes of what a client sent.
pub(super) const MAX_QUOTED: usize = 300;

/// The beginning of what a client sent.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}

pub(super) fn id_of(text: &str) -> Result<Arc<str>, String> {
    let length = text.chars().count();
    if (1..=MAX_ID_CHARS).contains(&length) && !text.chars().any(char::is_control) {
        Ok(text.into())
    } else {
        Err(format!("write 1 to {MAX_ID_CHARS} printable characters"))
    }
}

pub(super) fn kind_of(text: &str, service: Service) -> Result<Kind, String> {
    let kind: Option<Kind> = text.parse().ok();
    kind.filter(|kind| service.kinds().contains(*kind)).ok_or_else(|| {
        let names: Vec<&str> = service.kinds().iter().map(Kind::as_str).collect();
        format!("{:?} is no kind of {service}, which has {}", quoted(text), names.join(", "))
    })
}

pub(super) fn chain_of(text: &str) -> Result<String, String> {
    if is_chain_slug(text) {
        return Ok(text.to_owned());
    }
    Err(format!("{:?} is no chain: write its name, such as ethereum", quoted(text)))
}

pub(super) fn token_of(text: &str) -> Result<Token, String> {
    parse_token(text).ok_or_else(|| {
        format!("{:?} is no token: write the address of its contract, or native", quoted(text))
    })
}

pub(super) fn dollars_of(text: &str) -> Result<u128, String> {
    let value = Decimal::parse(text).ok().and_then(|value| micro_usd(&value));
    value.ok_or_else(|| {
        format!("{:?} is no amount of dollars: write one such as \"100000\"", quoted(text))
    })
}

pub(super) fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

/// Reads the parts of a subscription, and collects what is wrong.
#[derive(Default)]
pub(super) struct Reading {
    problems: Vec<ParameterProblem>,
}

impl Reading {
    pub(super) fn refuse(&mut self, parameter: impl Into<String>, detail: String) {
        // A list of a thousand wrong addresses is told by its first ones.
        if self.problems.len() < 10 {
            let parameter = parameter.into();
            self.problems.push(ParameterProblem { parameter, detail });
        }
    }

    pub(super) fn one<T>(
        &mut self,
        name: &str,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match text.map(read)? {
            Ok(value) => Some(value),
            Err(detail) => {
                self.refuse(name, detail);
                None
            }
        }
    }

    /// Sorted and without repetitions.
    pub(super) fn list<T: Ord>(
        &mut self,
        name: &str,
        texts: &[String],
        most: usize,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        if texts.len() > most {
            self.refuse(name, format!("{} are more than {most}", texts.len()));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            match read(text) {
                Ok(value) => values.push(value),
                Err(detail) => self.refuse(format!("{name}[{place}]"), detail),
            }
        }
        sorted(values)
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.problems.is_empty() { Ok(()) } else { Err(Problem::parameters(self.problems)) }
    }
}
