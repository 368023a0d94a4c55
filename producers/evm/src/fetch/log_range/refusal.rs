//! Reads the text of an `eth_getLogs` refusal: the same code means many things.

use crypto_intel_chain::header::Span;

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Ask for this range, which begins where the refused one did.
    Range(Span),
    /// Ask for at most so many blocks.
    Width(u64),
    /// Ask for half as many.
    Halve,
    /// Fewer blocks would be refused, too: wait, or ask another endpoint.
    NeverSplit,
    /// An unknown text.
    Unknown,
}

/// Texts about the width although they contain a word of [`NEVER`].
const WIDTH_FIRST: &[&str] = &["ranges over", "block range limit exceeded"];

/// Rates, keys, pruning, missing methods and missing state: splitting helps none of them.
const NEVER: &[&str] = &[
    "rate limit",
    "ratelimit",
    "request limit",
    "requests limit",
    "rps limit",
    "too many requests",
    "requests per second",
    "compute units per second",
    "capacity limit",
    "credits",
    "payment required",
    "timeout on the free plan",
    "request timeout",
    "authenticat",
    "unauthorized",
    "api key",
    "personal token",
    "pruned",
    "specify an address",
    "not supported",
    "does not exist/is not available",
    "method not found",
    "missing trie node",
    "header not found",
    "no state available",
    "historical state",
    "unknown block",
    "unknown state",
];

/// Texts before the number of blocks that would be accepted.
const BEFORE_WIDTH: &[&str] = &[
    "limited to 0 - ",
    "limited to a ",
    "limited to ",
    "maximum block range: ",
    "max block range: ",
    "maximum allowed is ",
    "blocks distance: ",
    "must not exceed ",
    "max range: ",
    "requested blocks is ",
    "max is ",
    "at most ",
    "(maximum ",
    "up to a ",
];

/// Texts without a number, with the width that is known to be accepted if there is one.
const WITHOUT_NUMBER: &[(&str, Advice)] = &[
    ("block range is too wide", Advice::Width(3_000)),
    ("block range too large", Advice::Width(2_000)),
    ("ranges over", Advice::Halve),
    ("block range limit exceeded", Advice::Halve),
    ("query exceeds max results", Advice::Halve),
    ("query returned more than", Advice::Halve),
    ("logs matched by query exceeds limit", Advice::Halve),
    ("logs returned", Advice::Halve),
    ("log response size exceeded", Advice::Halve),
    ("block range is too large", Advice::Halve),
    ("range is too large", Advice::Halve),
    ("response is too big", Advice::Halve),
    ("response too large", Advice::Halve),
    ("no backend is currently healthy", Advice::Halve),
    ("logs or", Advice::Halve),
    ("http 413", Advice::Halve),
];

/// Reads a refusal of a range: the suggested range, else the number in the text, else half.
pub(crate) fn read_refusal(text: &str, asked: Span) -> Advice {
    let lower = text.to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    // A bare "limit exceeded" is how a node says that it serves no logs at all.
    let is_closed = lower.trim() == "limit exceeded";
    if is_closed || (says(NEVER) && !says(WIDTH_FIRST)) {
        return Advice::NeverSplit;
    }
    if let Some(advice) = suggested(&lower, asked) {
        return advice;
    }
    // dRPC's number is not the width that it accepts.
    if !says(WIDTH_FIRST)
        && let Some(width) = stated_width(&lower)
    {
        return Advice::Width(width);
    }
    let known = WITHOUT_NUMBER.iter().find(|(part, _)| lower.contains(part));
    known.map_or(Advice::Unknown, |(_, advice)| *advice)
}

/// `[0xA, 0xB]` or `range A-B`. A range that begins elsewhere still says how wide one may be.
fn suggested(lower: &str, asked: Span) -> Option<Advice> {
    let span = bracketed(lower).or_else(|| dashed(lower))?;
    if span.to < span.from || span.width() >= asked.width() {
        return None;
    }
    Some(if span.from == asked.from { Advice::Range(span) } else { Advice::Width(span.width()) })
}

fn bracketed(lower: &str) -> Option<Span> {
    let (_, inner) = lower.split_once("[0x")?;
    let (inner, _) = inner.split_once(']')?;
    let (from, to) = inner.split_once(',')?;
    let to = to.trim().strip_prefix("0x")?;
    Some(Span {
        from: u64::from_str_radix(from.trim(), 16).ok()?,
        to: u64::from_str_radix(to, 16).ok()?,
    })
}

fn dashed(lower: &str) -> Option<Span> {
    let (_, rest) = lower.split_once("retry with the range ")?;
    let (from, rest) = rest.split_once('-')?;
    let to: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(Span { from: from.trim().parse().ok()?, to: to.parse().ok()? })
}

fn stated_width(lower: &str) -> Option<u64> {
    if let Some(width) = number_after(lower, "maximum is set to ") {
        // Avalanche counts the ends' distance.
        return Some(width.saturating_sub(1));
    }
    if let Some((_, rest)) = lower.split_once("your plan (") {
        return number_after(rest, "> ");
    }
    BEFORE_WIDTH.iter().find_map(|before| number_after(lower, before)).filter(|width| *width > 0)
}

/// The number right after a text: `10,000`, `1000`, `2k`.
fn number_after(lower: &str, before: &str) -> Option<u64> {
    let (_, rest) = lower.split_once(before)?;
    let length =
        rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',').len();
    let (digits, rest) = rest.split_at(length);
    let number: u64 = digits.replace(',', "").parse().ok()?;
    let is_thousands = rest.starts_with('k');
    Some(if is_thousands { number.saturating_mul(1_000) } else { number })
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
