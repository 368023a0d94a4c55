//! Conditions that depend on an amount in dollars, which is unknown where no fresh price is.

use cel::{
    IdedExpr,
    common::ast::{Expr, LiteralValue, operators},
};
use crypto_intel_schemas::Event;

use super::{
    fields::{Field, FieldType, FieldValue, field_of},
    visit::visit,
};

/// What a condition says about amounts in dollars.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    /// The amounts that it depends on and that may be unknown.
    pub(crate) names: Vec<&'static str>,
    /// Whether it compares one of them with `null`: it decides itself.
    pub(crate) asks_whether_known: bool,
}

impl Prices {
    /// What an expression over these fields says.
    pub(crate) fn of(expression: &IdedExpr, fields: &[Field]) -> Self {
        let mut prices = Self::default();
        visit(expression, &mut |node| match &node.expr {
            Expr::Ident(name) => {
                let field = fields.iter().find(|field| field.name == name && is_price(field));
                if let Some(field) = field.filter(|field| !prices.names.contains(&field.name)) {
                    prices.names.push(field.name);
                }
            }
            Expr::Call(call)
                if [operators::EQUALS, operators::NOT_EQUALS]
                    .contains(&call.func_name.as_str()) =>
            {
                let is_null =
                    |node: &IdedExpr| matches!(node.expr, Expr::Literal(LiteralValue::Null));
                let is_price = |node: &IdedExpr| match &node.expr {
                    Expr::Ident(name) => is_price_name(name),
                    _ => false,
                };
                prices.asks_whether_known |=
                    call.args.iter().any(is_null) && call.args.iter().any(is_price);
            }
            _ => {}
        });
        prices
    }

    /// Whether an event lacks one of the amounts.
    pub(crate) fn are_unknown(&self, event: &Event) -> bool {
        let is_absent = |name: &&str| matches!(field_of(event, name), Some(FieldValue::Absent));
        self.names.iter().any(is_absent)
    }
}

/// Whether a name is that of an amount in dollars.
pub(crate) fn is_price_name(name: &str) -> bool {
    name == "usd" || name.ends_with("_usd")
}

fn is_price(field: &Field) -> bool {
    field.optional && field.field_type == FieldType::Decimal && is_price_name(field.name)
}
