//! Values under names of their own, such as those of a window, as CEL variables.

use std::sync::atomic::{AtomicBool, Ordering};

use cel::{
    common::{
        types::{CelDouble, CelInt, CelNull},
        value::CowVal,
    },
    context::VariableResolver,
};

use crate::{condition::Absences, engine::triggers::exact::Exact};

/// A value that is no field of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NamedValue<'v> {
    /// A whole number.
    Int(i64),
    /// A number that is no exact decimal: rounded in messages, as it is in conditions.
    Double(f64),
    /// A decimal number: exact in messages, rounded in conditions.
    Exact(&'v Exact),
    /// It is not known.
    Absent,
}

/// Named values, read when a condition names them.
pub(crate) struct NamedValues<'v> {
    values: &'v [(&'static str, NamedValue<'v>)],
    absent: AtomicBool,
}

impl<'v> NamedValues<'v> {
    pub(crate) fn new(values: &'v [(&'static str, NamedValue<'v>)]) -> Self {
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
            NamedValue::Exact(value) => CowVal::owned(CelDouble::from(value.to_f64())),
            NamedValue::Absent => {
                self.absent.store(true, Ordering::Relaxed);
                CowVal::owned(CelNull)
            }
        })
    }
}
