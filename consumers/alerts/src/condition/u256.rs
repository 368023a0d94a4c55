//! `uint256` as a CEL type: compared with its like, never with a number that may be rounded.

use std::{any::Any, cmp::Ordering};

use cel::{
    Env, ExecutionError,
    common::{
        traits::Comparer,
        types::{CelDouble, CelInt, CelString, Type},
        value::{StaticVal, Val},
    },
};
use crypto_intel_schemas::U256;

static U256_TYPE: Type = Type::new_unspecified_type("u256");

/// A value of CEL type `u256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CelU256(pub(crate) U256);

impl Val for CelU256 {
    fn get_type(&self) -> &Type {
        &U256_TYPE
    }

    fn cel_type() -> &'static Type {
        &U256_TYPE
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for CelU256 {}

impl Comparer for CelU256 {
    fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(self.0.cmp(&other.0)),
            None => Err(ExecutionError::no_such_overload(
                "u256 comparison",
                vec!["u256".to_owned(), other.get_type().name().to_owned()],
            )),
        }
    }
}

/// Reads decimal digits (with `_` between them) or `0x` hex.
pub(crate) fn parse(text: &str) -> Option<U256> {
    let digits = text.replace('_', "");
    match digits.strip_prefix("0x") {
        Some(hex) if !hex.is_empty() => U256::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None if digits.is_empty() => None,
        None => U256::from_str_radix(&digits, 10).ok(),
    }
}

fn from_text(text: &CelString<'_>) -> Result<CelU256, ExecutionError> {
    parse(text.inner())
        .map(CelU256)
        .ok_or_else(|| ExecutionError::function_error("u256", "not a number of at most 256 bits"))
}

fn from_int(number: &CelInt) -> Result<CelU256, ExecutionError> {
    u64::try_from(*number.inner())
        .map(|number| CelU256(U256::from(number)))
        .map_err(|_| ExecutionError::function_error("u256", "negative number"))
}

fn to_double(value: &CelU256) -> CelDouble {
    CelDouble::from(value.0.to_string().parse::<f64>().unwrap_or(f64::INFINITY))
}

/// The standard environment with `u256("…")`, `u256(int)` and `double(u256)`.
pub(crate) fn environment() -> Env {
    let mut env = Env::stdlib();
    let declared = [
        cel::add_overload!(env, fn from_text: (CelString) -> Result<CelU256>,
            name = "u256", id = "string_to_u256"),
        cel::add_overload!(env, fn from_int: (CelInt) -> Result<CelU256>,
            name = "u256", id = "int64_to_u256"),
        cel::add_overload!(env, fn to_double: (CelU256) -> CelDouble,
            name = "double", id = "u256_to_double"),
    ];
    // The names are ours alone: no other declaration can be in their way.
    debug_assert!(declared.iter().all(Result::is_ok), "{declared:?}");
    env
}
