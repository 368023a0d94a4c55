//! Values under names of their own, such as those of a window, as CEL variables; and the names that an expression uses.

use std::sync::atomic::{AtomicBool, Ordering};

use cel::{
    IdedExpr,
    common::{
        ast::{EntryExpr, Expr},
        types::{CelDouble, CelInt, CelNull},
        value::CowVal,
    },
    context::VariableResolver,
};

use crate::condition::Absences;

/// A value that is no field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedValue {
    /// A whole number.
    Int(i64),
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

/// Every name that an expression uses, those of its macros among them.
pub(super) fn names(node: &IdedExpr, found: &mut Vec<String>) {
    match &node.expr {
        Expr::Ident(name) => found.push(name.clone()),
        Expr::Select(select) => names(&select.operand, found),
        Expr::Call(call) => {
            call.target.iter().for_each(|target| names(target, found));
            call.args.iter().for_each(|argument| names(argument, found));
        }
        Expr::List(list) => list.elements.iter().for_each(|element| names(element, found)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    names(&entry.key, found);
                    names(&entry.value, found);
                }
            }
        }
        Expr::Comprehension(comprehension) => {
            let parts = [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ];
            parts.into_iter().for_each(|part| names(part, found));
        }
        Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}
