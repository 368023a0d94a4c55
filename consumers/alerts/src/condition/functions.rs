//! The functions of conditions: what each takes, gives and is for. The check, the reference and the environment that
//! evaluates them are made of this one list.

use cel::{
    Env, ExecutionError,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelString},
        value::Val,
    },
};
use crypto_intel_schemas::U256;

use super::{
    types::Type,
    u256::{self, CelU256},
};

/// A function that conditions may call.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// How it is written, for the reference.
    pub(crate) usage: &'static str,
    pub(crate) about: &'static str,
    /// The type of its value for arguments of these types, the first of which is what stands before a dot; `None` where
    /// it does not take them.
    pub(crate) check: fn(method: bool, arguments: &[&Type]) -> Option<Type>,
}

/// Every function, in the order of the reference.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        name: "size",
        usage: "size(list)",
        about: "number of elements of a list, characters of a text",
        check: |_, arguments| match arguments {
            [Type::Text | Type::Hex(_) | Type::List(_) | Type::Map | Type::Bytes] => {
                Some(Type::Int)
            }
            _ => None,
        },
    },
    Function {
        name: "contains",
        usage: "text.contains(\"part\")",
        about: "whether a text has the part",
        check: two_texts,
    },
    Function {
        name: "startsWith",
        usage: "text.startsWith(\"part\")",
        about: "whether a text begins with the part",
        check: two_texts,
    },
    Function {
        name: "endsWith",
        usage: "text.endsWith(\"part\")",
        about: "whether a text ends with the part",
        check: two_texts,
    },
    Function {
        name: "matches",
        usage: "text.matches(\"(?i)hack\")",
        about: "whether a regular expression matches somewhere in the text",
        check: |_, arguments| two_texts(true, arguments),
    },
    Function {
        name: "has_tag",
        usage: "has_tag(to_tags, \"exchange\")",
        about: "whether a list of tags or labels has this one",
        check: |method, arguments| match arguments {
            [Type::List(element), tag] if !method && element.can_equal(&Type::Text) => {
                tag.is_text().then_some(Type::Bool)
            }
            _ => None,
        },
    },
    Function {
        name: "any_of",
        usage: "any_of(to_tags, [\"mixer\", \"sanctioned\"])",
        about: "whether two lists have something in common",
        check: |method, arguments| match arguments {
            [Type::List(one), Type::List(other)] if !method && one.can_equal(other) => {
                Some(Type::Bool)
            }
            _ => None,
        },
    },
    Function {
        name: "is_zero",
        usage: "is_zero(to)",
        about: "whether an address, hash or uint256 is zero",
        check: |method, arguments| match arguments {
            [Type::Hex(_) | Type::U256] if !method => Some(Type::Bool),
            _ => None,
        },
    },
    Function {
        name: "short",
        usage: "short(from)",
        about: "an address as messages show it: `0x28c6…1d60`",
        check: |method, arguments| match arguments {
            [text] if !method && text.is_text() => Some(Type::Text),
            _ => None,
        },
    },
    Function {
        name: "units",
        usage: "units(\"1.5\", 18)",
        about: "a uint256: so many units of so many decimals, here 1.5 × 10¹⁸",
        check: |method, arguments| match arguments {
            [Type::Text, Type::Int] if !method => Some(Type::U256),
            _ => None,
        },
    },
    Function {
        name: "ether",
        usage: "ether(\"2\")",
        about: "a uint256: so many ether in wei",
        check: one_amount,
    },
    Function {
        name: "gwei",
        usage: "gwei(\"30\")",
        about: "a uint256: so many gwei in wei",
        check: one_amount,
    },
    Function {
        name: "u256",
        usage: "u256(\"1000\"), u256(\"0xff\")",
        about: "a uint256 from digits or hex digits",
        check: |method, arguments| match arguments {
            [Type::Text | Type::Int] if !method => Some(Type::U256),
            _ => None,
        },
    },
    Function {
        name: "abs",
        usage: "abs(change_24h_percent)",
        about: "a number without its sign",
        check: |method, arguments| match arguments {
            [number @ (Type::Int | Type::Double)] if !method => Some((*number).clone()),
            _ => None,
        },
    },
    Function {
        name: "double",
        usage: "double(fields[\"assets\"])",
        about: "a double from a text or number; a uint256 is rounded",
        check: |method, arguments| match arguments {
            [Type::Int | Type::Uint | Type::Double | Type::Text | Type::U256] if !method => {
                Some(Type::Double)
            }
            _ => None,
        },
    },
    Function {
        name: "int",
        usage: "int(\"5\")",
        about: "an int from a text or number",
        check: |method, arguments| number_or_text(method, arguments).then_some(Type::Int),
    },
    Function {
        name: "uint",
        usage: "uint(\"5\")",
        about: "a uint from a text or number",
        check: |method, arguments| number_or_text(method, arguments).then_some(Type::Uint),
    },
    Function {
        name: "string",
        usage: "string(5)",
        about: "a text from a number or truth value",
        check: |method, arguments| match arguments {
            [Type::Int | Type::Uint | Type::Double | Type::Bool | Type::Text] if !method => {
                Some(Type::Text)
            }
            _ => None,
        },
    },
    Function {
        name: "bool",
        usage: "bool(\"true\")",
        about: "a truth value from a text",
        check: |method, arguments| match arguments {
            [Type::Bool | Type::Text] if !method => Some(Type::Bool),
            _ => None,
        },
    },
];

fn two_texts(method: bool, arguments: &[&Type]) -> Option<Type> {
    match arguments {
        [text, part] if method && text.is_text() && part.is_text() => Some(Type::Bool),
        _ => None,
    }
}

fn one_amount(method: bool, arguments: &[&Type]) -> Option<Type> {
    (!method && matches!(arguments, [Type::Text])).then_some(Type::U256)
}

fn number_or_text(method: bool, arguments: &[&Type]) -> bool {
    !method && matches!(arguments, [Type::Int | Type::Uint | Type::Double | Type::Text])
}

/// `1.5` with 18 decimals is 1500000000000000000; `None` where it is no number, has more digits after its point than
/// decimals, or does not fit.
pub(crate) fn parse_units(text: &str, decimals: usize) -> Option<U256> {
    let digits = text.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !whole.is_empty() && are_digits(whole) && are_digits(fraction);
    let zeros = decimals.checked_sub(fraction.len())?;
    if !is_number || decimals > 77 || digits.ends_with('.') {
        return None;
    }
    U256::from_str_radix(&format!("{whole}{fraction}{}", "0".repeat(zeros)), 10).ok()
}

/// The decimals that a function with an amount as its first argument takes it in, where they are in its name.
pub(crate) fn decimals_of(function: &str) -> Option<usize> {
    match function {
        "ether" => Some(18),
        "gwei" => Some(9),
        _ => None,
    }
}

fn amount(
    function: &str,
    text: &CelString<'_>,
    decimals: usize,
) -> Result<CelU256, ExecutionError> {
    let no_amount =
        || ExecutionError::function_error(function, "not an amount of at most 256 bits");
    parse_units(text.inner(), decimals).map(CelU256).ok_or_else(no_amount)
}

fn units(text: &CelString<'_>, decimals: &CelInt) -> Result<CelU256, ExecutionError> {
    amount("units", text, usize::try_from(*decimals.inner()).unwrap_or(usize::MAX))
}

fn ether(text: &CelString<'_>) -> Result<CelU256, ExecutionError> {
    amount("ether", text, 18)
}

fn gwei(text: &CelString<'_>) -> Result<CelU256, ExecutionError> {
    amount("gwei", text, 9)
}

fn has_tag(tags: &CelList<'_>, tag: &CelString<'_>) -> CelBool {
    CelBool::from(tags.inner().iter().any(|known| known.equals(tag)))
}

fn any_of(one: &CelList<'_>, other: &CelList<'_>) -> CelBool {
    let is_in_other = |item: &dyn Val| other.inner().iter().any(|known| known.equals(item));
    CelBool::from(one.inner().iter().any(|item| is_in_other(item.as_ref())))
}

fn is_zero_hex(text: &CelString<'_>) -> CelBool {
    let digits = text.inner().strip_prefix("0x").unwrap_or(text.inner());
    CelBool::from(!digits.is_empty() && digits.bytes().all(|digit| digit == b'0'))
}

fn is_zero_number(number: &CelU256) -> CelBool {
    CelBool::from(number.0.is_zero())
}

fn short<'v>(text: &CelString<'v>) -> CelString<'v> {
    CelString::from(crate::template::filters::shortened_hex(text.inner()))
}

fn abs_int(number: &CelInt) -> Result<CelInt, ExecutionError> {
    let too_large = || ExecutionError::function_error("abs", "too large for an int");
    number.inner().checked_abs().map(CelInt::from).ok_or_else(too_large)
}

fn abs_double(number: &CelDouble) -> CelDouble {
    CelDouble::from(number.inner().abs())
}

/// The standard environment with the functions that are ours.
pub(crate) fn environment() -> Env {
    let mut env = u256::environment();
    let declared = [
        cel::add_overload!(env, fn units: (CelString, CelInt) -> Result<CelU256>),
        cel::add_overload!(env, fn ether: (CelString) -> Result<CelU256>),
        cel::add_overload!(env, fn gwei: (CelString) -> Result<CelU256>),
        cel::add_overload!(env, fn has_tag: (CelList, CelString) -> CelBool, name = "has_tag"),
        cel::add_overload!(env, fn any_of: (CelList, CelList) -> CelBool, name = "any_of"),
        cel::add_overload!(env, fn is_zero_hex: (CelString) -> CelBool,
            name = "is_zero", id = "string_is_zero"),
        cel::add_overload!(env, fn is_zero_number: (CelU256) -> CelBool,
            name = "is_zero", id = "u256_is_zero"),
        cel::add_overload!(env, fn short: (CelString) -> CelString),
        cel::add_overload!(env, fn abs_int: (CelInt) -> Result<CelInt>,
            name = "abs", id = "int64_abs"),
        cel::add_overload!(env, fn abs_double: (CelDouble) -> CelDouble,
            name = "abs", id = "double_abs"),
    ];
    // The names are ours alone: no other declaration can be in their way.
    debug_assert!(declared.iter().all(Result::is_ok), "{declared:?}");
    env
}
