//! How large an expression may be. The parser and everything that walks an expression call themselves for each level of it: a text
//! that is deep enough would end the process, and texts come from others, too.

use super::check::ConditionProblem;

/// Brackets within each other.
const MAX_DEPTH: usize = 24;
/// Operators, and what else may put one expression into another.
const MAX_SIGNS: usize = 500;

/// The parser takes up to 200 kB for each bracket, in debug builds.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// Runs what parses an expression within these bounds where it has room for that.
pub(super) fn with_stack<T: Send>(parse: impl Fn() -> T + Sync) -> T {
    let parse = &parse;
    let parsed = std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
        let thread = builder.spawn_scoped(scope, parse);
        thread.ok().and_then(|thread| thread.join().ok())
    });
    // Without a thread the caller's room has to do, which it does for all but the deepest.
    parsed.unwrap_or_else(parse)
}

/// What is too much in an expression.
pub(super) fn excess(source: &str) -> Option<ConditionProblem> {
    let (mut depth, mut signs) = (0_usize, 0);
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let offset = source.len() - rest.len();
        let problem = |message: String, hint: &str| {
            Some(ConditionProblem { offset, length: 1, message, hint: Some(hint.to_owned()) })
        };
        match first {
            '"' | '\'' => {
                let is_raw = source[..offset].ends_with(['r', 'R']);
                rest = after_text(rest, first, is_raw);
                continue;
            }
            '/' if rest.starts_with("//") => {
                rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} brackets are within each other");
            return problem(message, "write it flatter, or as several rules");
        }
        let is_word = first == 'i' && rest.starts_with("in ");
        signs +=
            usize::from(is_word || (first.is_ascii_punctuation() && first != ',' && first != '_'));
        if signs > MAX_SIGNS {
            let message = format!("it has more than {MAX_SIGNS} operators and brackets");
            return problem(message, "write a list with `in`, or several rules");
        }
        rest = &rest[first.len_utf8()..];
    }
    None
}

/// What is behind a quoted text that begins here.
fn after_text(text: &str, quote: char, is_raw: bool) -> &str {
    let triple = quote.to_string().repeat(3);
    let end = if text.starts_with(&triple) { triple.as_str() } else { &triple[..1] };
    let mut rest = &text[end.len()..];
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(end) {
            return behind;
        }
        rest = &rest[first.len_utf8()..];
        if first == '\\' && !is_raw {
            rest = rest.chars().next().map_or("", |escaped| &rest[escaped.len_utf8()..]);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_operators_are_counted_outside_of_texts() {
        let deep = |inner: &str| "(".repeat(24) + inner + &")".repeat(24);
        assert_eq!(excess(&deep("1")), None);
        assert_eq!(excess(&deep("(1)")).map(|problem| problem.offset), Some(24));
        // What closes within a text or a comment closes nothing.
        for hidden in ["')' + ", "r'\\' + ')' + ", "'''it's ) \n''' + ", "\"\\\")\" + ", "// )\n"] {
            assert!(excess(&deep(&format!("{hidden}(1)"))).is_some(), "{hidden}");
            assert_eq!(excess(&format!("{hidden}{}", deep("1"))), None, "{hidden}");
        }
        assert_eq!(excess("('"), None, "the parser says what is wrong with that");
        assert!(excess(&"1+".repeat(501)).is_some() && excess(&"1 in ".repeat(501)).is_some());
        let addresses = vec!["'0xd8da6bf26964af9d7eed9e03e53415d37aa96045'"; 100].join(", ");
        assert_eq!(excess(&format!("from in [{addresses}]")), None);
    }
}
