//! The static check of a condition. CEL itself finds an unknown name or a comparison of text with
//! a number only when it evaluates, and its boolean operators then hide the error: so every
//! condition is walked once, when it is loaded.

use std::sync::Arc;

use cel::{
    Env, IdedExpr,
    common::ast::{
        ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, SelectExpr, SourceInfo,
    },
};

use crate::{
    condition::{
        fields::{Field, FieldType},
        types::Type,
    },
    nearest::correction,
};

/// A list literal is rebuilt at each evaluation: beyond this it costs more than the rest.
const MAX_LIST_ELEMENTS: usize = 100;

/// Lists within lists within lists: their lengths multiply for every event.
const MAX_NESTED_LISTS: usize = 2;

/// What is wrong with a condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConditionProblem {
    /// First byte within the condition's text.
    pub(crate) offset: usize,
    /// Bytes; at least 1.
    pub(crate) length: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What the value of an expression must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Truth,
    Number,
}

/// Walks a condition, notes what is wrong, and writes hex literals in lower case.
pub(crate) struct Checker<'c> {
    fields: &'c [Field],
    source: &'c SourceInfo,
    pub(super) env: &'c Arc<Env>,
    bound: Vec<(String, Type)>,
    /// Lists that are gone through around what is looked at.
    nested: usize,
    problems: Vec<ConditionProblem>,
}

impl<'c> Checker<'c> {
    /// Checks a whole condition.
    pub(crate) fn check(
        expression: &mut IdedExpr,
        source: &'c SourceInfo,
        fields: &'c [Field],
        env: &'c Arc<Env>,
        wanted: Wanted,
    ) -> Vec<ConditionProblem> {
        let mut checker =
            Self { fields, source, env, bound: Vec::new(), nested: 0, problems: Vec::new() };
        let result = checker.expression(expression);
        let message = match wanted {
            _ if result == Type::Any => None,
            Wanted::Truth if result == Type::Bool => None,
            Wanted::Truth => Some(format!("a condition is true or false, this is {result}")),
            Wanted::Number if result.is_number() || result == Type::U256 => None,
            Wanted::Number => Some(format!("a number is needed, this is {result}")),
        };
        if let Some(message) = message {
            checker.report(expression.id, message, None);
        }
        checker.problems.sort_by_key(|problem| problem.offset);
        checker.problems
    }

    pub(super) fn report(&mut self, node: u64, message: String, hint: Option<String>) {
        let (offset, length) = self.source.offset_for(node).map_or((0, 1), |(start, stop)| {
            (start as usize, (stop.max(start) - start + 1) as usize)
        });
        self.problems.push(ConditionProblem { offset, length, message, hint });
    }

    pub(super) fn expression(&mut self, node: &mut IdedExpr) -> Type {
        match &mut node.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self.name(node.id, name),
            Expr::Select(select) => self.select(node.id, select),
            Expr::Call(call) => self.call(node.id, call),
            Expr::List(list) => self.list(node.id, list),
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) => {
                self.report(node.id, "conditions build no messages".to_owned(), None);
                Type::Any
            }
            Expr::Unspecified => Type::Any,
        }
    }

    fn name(&mut self, node: u64, name: &str) -> Type {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| bound == name) {
            return bound.clone();
        }
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Type::of_field(field.field_type);
        }
        self.unknown_name(node, name);
        Type::Any
    }

    /// Whether a name is a field whose values have names of their own.
    pub(super) fn is_map(&self, name: &str) -> bool {
        let mut fields = self.fields.iter();
        let is_map = |of: FieldType| matches!(of, FieldType::Fields | FieldType::Labels);
        fields.any(|field| field.name == name && is_map(field.field_type))
    }

    fn unknown_name(&mut self, node: u64, name: &str) {
        let hint = match name {
            "removed" | "incarnation" => Some(
                "events of a block that left the chain are subtracted by themselves: conditions see only what is on it"
                    .to_owned(),
            ),
            "now" => Some("rules know no clock: use event_at_us and max_event_age".to_owned()),
            _ => Some(correction(name, self.fields.iter().map(|field| field.name))),
        };
        self.report(node, format!("unknown field `{name}`"), hint);
    }

    fn select(&mut self, node: u64, select: &mut SelectExpr) -> Type {
        let path = path_of(&select.operand).map(|path| format!("{path}.{}", select.field));
        let known = path.as_deref().and_then(|path| path.split('.').next()).is_some_and(|root| {
            self.fields.iter().any(|field| field.name == root)
                || self.bound.iter().any(|(bound, _)| bound == root)
        });
        if let Expr::Ident(name) = &select.operand.expr
            && self.is_map(name)
        {
            let key = &select.field;
            let hint = if select.test {
                format!("write `\"{key}\" in {name}`")
            } else {
                format!("write `{name}[\"{key}\"]`, and `double({name}[\"{key}\"])` for a number")
            };
            self.report(node, format!("values of `{name}` are named by keys"), Some(hint));
            return Type::Any;
        }
        match path {
            Some(path) if !known => self.unknown_name(node, &path),
            _ => {
                let is_field = |name: &str| self.fields.iter().any(|field| field.name == name);
                let hint = if !select.test {
                    None
                } else if is_field(&select.field) {
                    Some(format!("write `{} != null`", select.field))
                } else {
                    Some("write `FIELD != null` for a field that may be absent".to_owned())
                };
                let message = format!("no field `.{}`: fields of an event are flat", select.field);
                self.report(node, message, hint);
            }
        }
        Type::Any
    }

    fn list(&mut self, node: u64, list: &mut ListExpr) -> Type {
        if list.elements.len() > MAX_LIST_ELEMENTS {
            let message = format!(
                "a list of {} is too long (limit {MAX_LIST_ELEMENTS}): it is built again for every event",
                list.elements.len()
            );
            self.report(node, message, None);
        }
        let mut element: Option<Type> = None;
        for item in &mut list.elements {
            let item_type = self.expression(item);
            element = Some(match element {
                None => item_type,
                Some(known) => known.join(&item_type).unwrap_or(Type::Any),
            });
        }
        Type::List(Box::new(element.unwrap_or(Type::Any)))
    }

    fn map(&mut self, map: &mut MapExpr) -> Type {
        for entry in &mut map.entries {
            if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                self.expression(&mut entry.key);
                self.expression(&mut entry.value);
            }
        }
        Type::Map
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) -> Type {
        let element = match self.expression(&mut comprehension.iter_range) {
            Type::List(element) => *element,
            Type::Any | Type::Map => Type::Any,
            other => {
                let node = comprehension.iter_range.id;
                self.report(node, format!("a list is needed here, this is {other}"), None);
                Type::Any
            }
        };
        self.nested += 1;
        if self.nested == MAX_NESTED_LISTS + 1 {
            let message = format!(
                "more than {MAX_NESTED_LISTS} lists are gone through within each other: their lengths multiply for every event"
            );
            self.report(comprehension.iter_range.id, message, None);
        }
        let start = self.expression(&mut comprehension.accu_init);
        let depth = self.bound.len();
        self.bound.push((comprehension.iter_var.clone(), element));
        if let Some(second) = &comprehension.iter_var2 {
            self.bound.push((second.clone(), Type::Any));
        }
        self.bound.push((comprehension.accu_var.clone(), start));
        self.expression(&mut comprehension.loop_cond);
        self.expression(&mut comprehension.loop_step);
        let result = self.expression(&mut comprehension.result);
        self.bound.truncate(depth);
        self.nested -= 1;
        result
    }

    /// Text that is compared with an address or hash: the right length, and lower case as the
    /// field is.
    pub(super) fn normalise_hex(&mut self, bytes: usize, node: &mut IdedExpr) {
        match &mut node.expr {
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.normalise_hex(bytes, element);
                }
            }
            Expr::Literal(LiteralValue::String(text)) => {
                let digits = text.inner().strip_prefix("0x").unwrap_or_default();
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                if digits.len() == 2 * bytes && is_hex {
                    *text = text.inner().to_ascii_lowercase().into();
                } else {
                    let message = format!(
                        "{:?} can never be equal: 0x and {} hex digits are needed",
                        text.inner(),
                        2 * bytes
                    );
                    self.report(node.id, message, None);
                }
            }
            _ => {}
        }
    }
}

impl Type {
    pub(crate) fn of_field(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Bool => Self::Bool,
            FieldType::Int => Self::Int,
            FieldType::Decimal | FieldType::I256 => Self::Double,
            FieldType::Text => Self::Text,
            FieldType::Hex(bytes) => Self::Hex(bytes),
            FieldType::Texts => Self::List(Box::new(Self::Text)),
            FieldType::U256 => Self::U256,
            FieldType::Fields | FieldType::Labels | FieldType::Structure => Self::Map,
        }
    }
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

/// The dotted name that an expression spells.
fn path_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", path_of(&select.operand)?, select.field)),
        _ => None,
    }
}
