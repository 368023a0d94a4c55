//! Which field values a condition needs before it can be true: what the index is made of.

use std::collections::{BTreeMap, BTreeSet};

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, operators},
};

use crate::condition::fields::{Field, FieldType};

/// A field that must hold one of these texts for the condition to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Required {
    pub(crate) field: &'static str,
    pub(crate) values: BTreeSet<String>,
}

type Constraints = BTreeMap<String, BTreeSet<String>>;

/// The most selective requirement of a condition; `None` when every event must be looked at.
pub(crate) fn most_selective(expression: &IdedExpr, fields: &[Field]) -> Option<Required> {
    let constraints = constraints_of(expression);
    let mut candidates: Vec<(u8, usize, Required)> = constraints
        .into_iter()
        .filter_map(|(name, values)| {
            let field = fields.iter().find(|field| field.name == name)?;
            let rank = match (field.field_type, field.name) {
                // Few values over all events: they part little.
                (_, "chain" | "kind" | "source" | "status" | "standard" | "quote") => 2,
                (FieldType::Hex(_), _) => 0,
                (FieldType::Text, _) => 1,
                _ => return None,
            };
            Some((rank, values.len(), Required { field: field.name, values }))
        })
        .collect();
    candidates.sort_by_key(|(rank, values, _)| (*rank, *values));
    candidates.into_iter().next().map(|(_, _, required)| required)
}

fn constraints_of(node: &IdedExpr) -> Constraints {
    let Expr::Call(call) = &node.expr else { return Constraints::new() };
    let CallExpr { func_name, target: None, args } = call else { return Constraints::new() };
    let [left, right] = args.as_slice() else { return Constraints::new() };
    match func_name.as_str() {
        operators::LOGICAL_AND => both(constraints_of(left), constraints_of(right)),
        operators::LOGICAL_OR => either(constraints_of(left), &constraints_of(right)),
        operators::EQUALS => match (name_of(left), text_of(right), name_of(right), text_of(left)) {
            (Some(name), Some(text), ..) | (_, _, Some(name), Some(text)) => {
                Constraints::from([(name, BTreeSet::from([text]))])
            }
            _ => Constraints::new(),
        },
        operators::IN => match (name_of(left), &right.expr) {
            (Some(name), Expr::List(list)) => list
                .elements
                .iter()
                .map(text_of)
                .collect::<Option<BTreeSet<String>>>()
                .map_or_else(Constraints::new, |texts| Constraints::from([(name, texts)])),
            _ => Constraints::new(),
        },
        _ => Constraints::new(),
    }
}

fn both(mut left: Constraints, right: Constraints) -> Constraints {
    for (name, values) in right {
        match left.get_mut(&name) {
            Some(known) => known.retain(|value| values.contains(value)),
            None => {
                left.insert(name, values);
            }
        }
    }
    left
}

fn either(left: Constraints, right: &Constraints) -> Constraints {
    left.into_iter()
        .filter_map(|(name, mut values)| {
            values.extend(right.get(&name)?.iter().cloned());
            Some((name, values))
        })
        .collect()
}

fn name_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        _ => None,
    }
}

fn text_of(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => None,
    }
}
