//! Conditions: CEL over the fields of one event, checked when loaded.

mod bounds;
pub(crate) mod check;
pub(crate) mod fields;
pub(crate) mod functions;
mod named;
mod operators;
mod prices;
pub(crate) mod required;
pub(crate) mod types;
pub(crate) mod u256;
mod visit;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Value,
    common::{
        ast::Expr,
        types::{
            CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey as Key, CelNull, CelString,
            CelUInt,
        },
        value::{CowVal, Val},
    },
    context::VariableResolver,
};
use crypto_intel_schemas::{Event, EventValue};

pub(crate) use self::named::{NamedValue, NamedValues};
use self::{
    check::{Checker, ConditionProblem, Wanted},
    fields::{Field, FieldValue, field_of, hex_text, is_list},
    prices::{Prices, is_price_name},
    required::Required,
    u256::CelU256,
    visit::visit,
};

/// A compiled and checked condition.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: IdedExpr,
    /// Its text; where lines end does not matter.
    text: String,
    required: Option<Required>,
    prices: Prices,
}

/// What a condition says about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is true.
    Match,
    /// It is false.
    NoMatch,
    /// It depends on a field that this event lacks: no match.
    Absent,
    /// It depends on an amount in dollars that is unknown, and the rule leaves such events out: no match.
    Unpriced,
    /// It cannot be evaluated, for example for a division by zero: no match, and an error.
    Failed(String),
}

impl Condition {
    /// Compiles and checks a condition over events with these fields.
    pub(crate) fn compile(
        source: &str,
        fields: &[Field],
        env: &Arc<Env>,
    ) -> Result<Self, Vec<ConditionProblem>> {
        Self::compile_as(Wanted::Truth, source, fields, env)
    }

    /// Compiles and checks an expression whose value is a number.
    pub(crate) fn compile_number(
        source: &str,
        fields: &[Field],
        env: &Arc<Env>,
    ) -> Result<Self, Vec<ConditionProblem>> {
        Self::compile_as(Wanted::Number, source, fields, env)
    }

    fn compile_as(
        wanted: Wanted,
        source: &str,
        fields: &[Field],
        env: &Arc<Env>,
    ) -> Result<Self, Vec<ConditionProblem>> {
        if let Some(problem) = bounds::excess(source) {
            return Err(vec![problem]);
        }
        let program = bounds::with_stack(|| env.compile(source)).map_err(|errors| {
            // One slip is often several errors: the first says where it begins.
            errors
                .errors
                .first()
                .map(|error| syntax_problem(source, error))
                .into_iter()
                .collect::<Vec<_>>()
        })?;
        let mut expression = program.expression().clone();
        let problems = Checker::check(&mut expression, program.source_info(), fields, env, wanted);
        if !problems.is_empty() {
            return Err(problems);
        }
        let required = required::most_selective(&expression, fields);
        let prices = Prices::of(&expression, fields);
        let text = source.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { expression, text, required, prices })
    }

    /// What it was compiled of.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it says about amounts in dollars.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What must hold before this can be true.
    pub(crate) fn required(&self) -> Option<&Required> {
        self.required.as_ref()
    }

    /// Every name that it uses.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        visit(&self.expression, &mut |node| {
            if let Expr::Ident(name) = &node.expr {
                found.push(name.clone());
            }
        });
        found
    }

    /// The number that an expression is for an event, as text; `None` where it depends on an absent field.
    pub(crate) fn number(
        &self,
        context: &Context<'_, '_>,
        variables: &impl Absences,
    ) -> Result<Option<String>, String> {
        variables.absent().store(false, Ordering::Relaxed);
        match Value::resolve_val(&self.expression, context) {
            Ok(value) => {
                let double = value.downcast_ref::<CelDouble>().map(|it| it.inner().to_string());
                let int = value.downcast_ref::<CelInt>().map(|it| it.inner().to_string());
                let uint = value.downcast_ref::<CelUInt>().map(|it| it.inner().to_string());
                let wide = value.downcast_ref::<CelU256>().map(|it| it.0.to_string());
                let number = double.or(int).or(uint).or(wide);
                match number {
                    Some(number) => Ok(Some(number)),
                    None if variables.absent().load(Ordering::Relaxed) => Ok(None),
                    None => Err(format!("a number is needed, this is {}", value.get_type().name())),
                }
            }
            Err(ExecutionError::NoSuchKey(_)) => Ok(None),
            Err(_) if variables.absent().load(Ordering::Relaxed) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Evaluates over the event or values behind `variables`, which `context` resolves names by.
    pub(crate) fn evaluate(&self, context: &Context<'_, '_>, variables: &impl Absences) -> Verdict {
        variables.absent().store(false, Ordering::Relaxed);
        match Value::resolve_val(&self.expression, context) {
            Ok(value) => match value.downcast_ref::<CelBool>().map(|truth| *truth.inner()) {
                Some(true) => Verdict::Match,
                Some(false) => Verdict::NoMatch,
                None => self.without_value(variables, || {
                    format!("a condition is true or false, this is {}", value.get_type().name())
                }),
            },
            // A key of `fields` that this event lacks is absent as any field.
            Err(ExecutionError::NoSuchKey(_)) => Verdict::Absent,
            Err(error) => self.without_value(variables, || error.to_string()),
        }
    }

    fn without_value(&self, variables: &impl Absences, error: impl FnOnce() -> String) -> Verdict {
        if variables.absent().load(Ordering::Relaxed) {
            Verdict::Absent
        } else {
            Verdict::Failed(error())
        }
    }
}

fn syntax_problem(source: &str, error: &cel::ParseError) -> ConditionProblem {
    let offset = offset_of(source, error.pos);
    let digits: String =
        source[offset..].chars().take_while(|digit| digit.is_ascii_alphanumeric()).collect();
    let hint = if error.msg.contains("has() macro") {
        Some("fields are flat: write `usd != null` instead of `has(usd)`".to_owned())
    } else if error.msg.contains("invalid int literal") && !digits.is_empty() {
        Some(format!(
            "too large for an int: write u256(\"{digits}\") for a raw amount, {digits}.0 for a decimal"
        ))
    } else {
        None
    };
    ConditionProblem { offset, length: 1, message: format!("syntax: {}", error.msg), hint }
}

/// The byte at a position as the parser says it: line and column from 1, in characters. Positions may be wrong, or beyond
/// the end: what comes is always between two characters.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let from_zero = |number: isize| usize::try_from(number).unwrap_or_default().saturating_sub(1);
    let mut lines = source.split_inclusive('\n');
    let line_start: usize = lines.by_ref().take(from_zero(line)).map(str::len).sum();
    let line = lines.next().unwrap_or_default();
    let column = line.char_indices().nth(from_zero(column)).map(|(offset, _)| offset);
    line_start + column.unwrap_or(line.len())
}

/// What knows whether a name was resolved to something that is not there.
pub(crate) trait Absences {
    fn absent(&self) -> &AtomicBool;
}

/// An event's fields as CEL variables, read when a condition names them.
pub(crate) struct Variables<'e> {
    event: &'e Event,
    /// Whether a name was resolved to a field that the event lacks.
    absent: AtomicBool,
    /// Whether one of them is an amount in dollars.
    unpriced: AtomicBool,
    /// What such an amount is supposed to be, a [`Price`].
    supposed: AtomicU8,
}

/// What an unknown amount in dollars is supposed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Price {
    /// It stays unknown.
    Unknown,
    /// Nothing.
    Zero,
    /// More than any rule asks for.
    Highest,
}

impl<'e> Variables<'e> {
    pub(crate) fn new(event: &'e Event) -> Self {
        Self {
            event,
            absent: AtomicBool::new(false),
            unpriced: AtomicBool::new(false),
            supposed: AtomicU8::new(Price::Unknown as u8),
        }
    }

    /// Forgets what earlier evaluations met.
    pub(crate) fn forget_price(&self) {
        self.unpriced.store(false, Ordering::Relaxed);
    }

    /// Whether an evaluation met an unknown amount in dollars.
    pub(crate) fn lacks_price(&self) -> bool {
        self.unpriced.load(Ordering::Relaxed)
    }

    /// Takes unknown amounts in dollars for this from now on.
    pub(crate) fn suppose(&self, price: Price) {
        self.supposed.store(price as u8, Ordering::Relaxed);
    }

    fn supposed(&self) -> Option<f64> {
        match self.supposed.load(Ordering::Relaxed) {
            price if price == Price::Zero as u8 => Some(0.0),
            price if price == Price::Highest as u8 => Some(f64::MAX),
            _ => None,
        }
    }
}

impl Absences for Variables<'_> {
    fn absent(&self) -> &AtomicBool {
        &self.absent
    }
}

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        // Names that macros make are not ours.
        if variable.starts_with('@') {
            return None;
        }
        // The check has let pass only fields of some kind of the pattern, and variables of macros
        // are found before they come here: what is left is a field that this kind lacks.
        let value = match field_of(self.event, variable).unwrap_or(FieldValue::Absent) {
            FieldValue::Absent if is_list(variable) => {
                CowVal::owned(CelList::from(Vec::<Box<dyn Val + 'b>>::new()))
            }
            FieldValue::Absent => {
                if is_price_name(variable) {
                    if let Some(price) = self.supposed() {
                        return Some(CowVal::owned(CelDouble::from(price)));
                    }
                    self.unpriced.store(true, Ordering::Relaxed);
                }
                self.absent.store(true, Ordering::Relaxed);
                CowVal::owned(CelNull)
            }
            FieldValue::Bool(value) => CowVal::owned(CelBool::from(value)),
            FieldValue::Int(value) => CowVal::owned(CelInt::from(value)),
            FieldValue::Decimal(value) => CowVal::owned(CelDouble::from(value.to_f64())),
            FieldValue::Text(value) => CowVal::owned(CelString::from(value)),
            FieldValue::Hex(value) => CowVal::owned(CelString::from(hex_text(value))),
            FieldValue::Texts(values) => {
                let items: Vec<Box<dyn Val + 'b>> = values
                    .iter()
                    .map(|value| Box::new(CelString::from(value.as_str())) as Box<dyn Val + 'b>)
                    .collect();
                CowVal::owned(CelList::from(items))
            }
            FieldValue::U256(value) => CowVal::owned(CelU256(value)),
            FieldValue::Fields(fields) => {
                let entries: HashMap<Key<'b>, Box<dyn Val + 'b>> = fields
                    .0
                    .iter()
                    .map(|(name, value)| (Key::from(name.as_str()), event_value(value)))
                    .collect();
                CowVal::owned(CelMap::from(entries))
            }
            FieldValue::Labels(labels) => {
                let entries: HashMap<Key<'b>, Box<dyn Val + 'b>> = labels
                    .0
                    .iter()
                    .map(|(name, text)| {
                        let text: Box<dyn Val + 'b> = Box::new(CelString::from(text.as_str()));
                        (Key::from(name.as_str()), text)
                    })
                    .collect();
                CowVal::owned(CelMap::from(entries))
            }
            FieldValue::I256(value) => {
                // Text of an integer always reads as a double, at worst rounded.
                let rounded = value.to_string().parse::<f64>().unwrap_or_default();
                CowVal::owned(CelDouble::from(rounded))
            }
        };
        Some(value)
    }
}

/// A value of a contract's event: numbers are text, `double(…)` and `u256(…)` read them.
fn event_value<'v>(value: &'v EventValue) -> Box<dyn Val + 'v> {
    match value {
        EventValue::Bool(value) => Box::new(CelBool::from(*value)),
        EventValue::Text(value) => Box::new(CelString::from(value.as_str())),
        EventValue::List(values) => {
            let items: Vec<Box<dyn Val + 'v>> = values.iter().map(event_value).collect();
            Box::new(CelList::from(items))
        }
    }
}

#[cfg(test)]
mod tests;
