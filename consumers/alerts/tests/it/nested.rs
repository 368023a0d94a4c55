//! Texts that are nested as deep as a file can be: they are refused, and end nothing.

use crypto_intel_alerts::RuleSet;

fn with(when: &str) -> String {
    format!(
        "[[rule]]\nid = 'a'\non = 'evm.*.transfer.erc20'\nwhen = \'\'\'{when}\'\'\'\ntitle = 'x'\n"
    )
}

fn saying(title: &str) -> String {
    format!("[[rule]]\nid = 'a'\non = 'evm.*.block'\ntitle = '{title}'\n")
}

#[test]
fn a_text_that_is_nested_too_deep_is_refused() {
    let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
    for text in [
        with(&(deep("(", ")") + " > 0")),
        with(&deep("[", "]")),
        with(&deep("is_zero(", ")")),
        with(&("!".repeat(20_000) + "true")),
        with(&("1+".repeat(20_000) + "1 > 0")),
        with(&("true?true:".repeat(20_000) + "true")),
        with(&("chain".to_owned() + &".a".repeat(20_000))),
        with(&("1 in ".repeat(20_000) + "[1]")),
        saying(&format!("{{{{ {} }}}}", deep("(", ")"))),
        saying(&format!("{{{{ {}1 }}}}", "1+".repeat(20_000))),
        saying(&format!("{{{{ {}1 }}}}", "not ".repeat(20_000))),
        saying(&format!("{{{{ 1{} }}}}", "|num".repeat(20_000))),
        saying(&("{% if 1 %}".repeat(20_000) + &"{% endif %}".repeat(20_000))),
        deep("x = [", "]"),
        format!("x = {}", deep("[", "]")),
        format!("x{} = 1", ".a".repeat(20_000)),
        format!("[x{}]", ".a".repeat(20_000)),
    ] {
        let short: String = text.chars().take(100).collect();
        assert!(RuleSet::parse(&[("rules", &text)], None).is_err(), "{short}");
    }
    // The longest that are taken are read, too.
    for text in [
        with(&("1+".repeat(499) + "1 > 0")),
        with(&("(".repeat(23) + "usd" + &")".repeat(23) + " > 0.0")),
        saying(&format!("{{{{ {}1 }}}}", "1+".repeat(1_950))),
        saying(&format!("{{{{ 1{} }}}}", "|num".repeat(950))),
    ] {
        let problems = RuleSet::parse(&[("rules", &text)], None).err().unwrap_or_default();
        assert!(problems.is_empty(), "{}", problems[0]);
    }
}
