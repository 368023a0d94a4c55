//! Values under names of their own, such as those of a window, as CEL variables.

use std::sync::atomic::{AtomicBool, Ordering};

use cel::{
    common::{
        types::{CelDouble, CelInt, CelNull},
        value::CowVal,
    },
    context::VariableResolver,
};

use crate::condition::Absences;

/// A value that is no field of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NamedValue {
    /// A whole number.
    Int(i64),
    /// A number that is no exact decimal: rounded in messages, as it is in conditions.
    Double(f64),
    /// A decimal number as text: exact in messages, rounded in conditions.
    Decimal(String),
    /// It is not known.
    Absent,
}

/// Named values, read when a condition names them.
pub(crate) struct NamedValues<'v> {
    values: &'v [(&'static str, NamedValue)],
    absent: AtomicBool,
}

impl<'v> NamedValues<'v> {
    pub(crate) fn new(values: &'v [(&'static str, NamedValue)]) -> Self {
        Self { values, absent: AtomicBool::new(false) }
    }
}

impl Absences for NamedValues<'_> {
    fn absent(&self) -> &AtomicBool {
        &self.absent
    }
}

impl VariableResolver for NamedValues<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (_, value) = self.values.iter().find(|(name, _)| *name == variable)?;
        Some(match value {
            NamedValue::Int(value) => CowVal::owned(CelInt::from(*value)),
            NamedValue::Double(value) => CowVal::owned(CelDouble::from(*value)),
            NamedValue::Decimal(text) => {
                CowVal::owned(CelDouble::from(text.parse::<f64>().unwrap_or(f64::NAN)))
            }
            NamedValue::Absent => {
                self.absent.store(true, Ordering::Relaxed);
                CowVal::owned(CelNull)
            }
        })
    }
}
