//! `$parameters.range`: the range of time that is asked for.

use jaq_json::{Map, Val};
use jiff::Timestamp;

use crate::{mapping::filter::Variables, past::span::Span};

/// The variables with `$parameters.range`.
pub(super) fn with_range(variables: &Variables, span: Span, step_s: i64) -> Variables {
    let number = |value: i64| Val::from(isize::try_from(value).unwrap_or(isize::MAX));
    let text = |time_s: i64| {
        let time = Timestamp::from_second(time_s).unwrap_or_default();
        Val::utf8_str(time.to_string())
    };
    let points = span.seconds() / step_s;
    let fields = [
        ("from_s", number(span.from_s)),
        ("to_s", number(span.to_s)),
        ("from_ms", number(span.from_s * 1_000)),
        ("to_ms", number(span.to_s * 1_000)),
        ("from", text(span.from_s)),
        ("to", text(span.to_s)),
        ("step_s", number(step_s)),
        ("points", number(points)),
    ];
    let range: Map = fields.into_iter().map(|(name, value)| (Val::utf8_str(name), value)).collect();
    let mut parameters = match &variables.parameters {
        Val::Obj(parameters) => (**parameters).clone(),
        _ => Map::default(),
    };
    parameters.insert(Val::utf8_str("range"), Val::obj(range));
    Variables { parameters: Val::obj(parameters), ..variables.clone() }
}
