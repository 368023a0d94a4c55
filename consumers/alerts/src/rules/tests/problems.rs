//! What is wrong with rules, and where.

use proptest::prelude::*;

use super::*;

fn problems_of(text: &str) -> Vec<RuleProblem> {
    let destinations = ["ops".to_owned(), "night".to_owned()];
    RuleSet::parse(&[("rules/test.toml", text)], Some(&destinations)).expect_err("must be refused")
}

#[test]
fn a_problem_names_file_rule_place_and_mend() {
    let text = rule("when = 'token_verified && amout > 1000.0'\n");
    let shown = problems_of(&text)[0].to_string();
    assert_eq!(
        shown,
        "rules/test.toml:5:27: rule test: unknown field `amout`\n\
         5 | when = 'token_verified && amout > 1000.0'\n\
         \x20 |                           ^^^^^\n\
         \x20 = did you mean `amount`?"
    );
}

#[test]
fn places_are_right_in_conditions_of_several_lines() {
    let text = rule("when = '''\ntoken_verified\n  && usdd > 1.0\n'''\n");
    let problem = &problems_of(&text)[0];
    assert_eq!((problem.line, problem.column), (Some(7), Some(6)), "{problem}");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `usd`?"));
}

#[test]
fn each_mistake_is_refused_with_its_mend() {
    for (lines, message, hint) in [
        ("id = 'Has Spaces'\n", "is no rule id", ""),
        ("id = 'rule-fails'\n", "about rules that fail", "another id"),
        ("on = 'evm.*.transfer.erc2O'\n", "no kind of event is on", "`evm.*.transfer.erc20`"),
        ("on = 'watch.base.>'\n", "rules cannot read", "size(watched) > 0"),
        ("on = 'evn.*.block'\n", "rules cannot read", "did you mean `evm`?"),
        ("on = '>'\n", "rules cannot read", "one stream"),
        ("on = 'tick.evm'\n", "rules cannot read", "begin with one of"),
        ("on = 'evm..x'\n", "no subject pattern", "evm.*.transfer.erc20"),
        ("on = []\n", "names no subject", "a list such as"),
        ("on = ['evm.*.swap', 'evm.*.swop']\n", "no kind of event is on", "`evm.*.swap`"),
        ("on = ['evm.*.swap', 'market.>']\n", "\"market.>\" of MARKET", "one rule for each"),
        ("on = 5\n", "a subject pattern or a list of them", ""),
        ("cooldown = 'five minutes'\n", "no duration", "90s, 5m"),
        ("max_event_age = '10'\n", "no duration", "90s, 5m"),
        ("larger_passes = 10\n", "no meaning without a cooldown", ""),
        ("larger_passes = 0.5\ncooldown = '1m'\n", "a factor from 1 on", "ten times"),
        ("finality = 'final'\n", "not supported", "`confirmations = N`"),
        ("finality = 'confirmed'\n", "not supported", "`confirmations = N`"),
        ("confirmations = 3\n", "is for finality = \"confirmed\"", ""),
        ("trigger = 'windw'\n", "no trigger is named", "one of event, window"),
        ("trigger = 'window'\n", "needs [rule.window]", ""),
        ("resolved_title = 'x'\n", "tells of single events", "make a condition"),
        ("for = '1m'\ncooldown = '1m'\n", "a cooldown has no meaning", "keep_firing_for"),
        ("group_by = ['form']\n", "unknown field `form`", "did you mean `from`?"),
        ("routes = ['opss']\n", "unknown route `opss`", "did you mean `ops`?"),
        ("routes = ['telegram']\n", "unknown route", "configured destinations: ops, night"),
        ("routes = ['ops', 'ops']\n", "twice", ""),
        ("unpriced = 'maybe'\nwhen = 'usd > 1.0'\n", "unknown variant `maybe`", ""),
        ("unpriced = 'fire'\n", "names no amount in dollars", "leave it out"),
        ("labels = { Team = 'a' }\n", "no name of a label", ""),
        ("labels = { chain = 'a' }\n", "set by itself", "another name"),
        ("labels = { from = 'a' }\ngroup_by = ['from']\n", "set by itself", ""),
        ("labels = { team = '' }\n", "1 to 120 characters", ""),
        ("severity = 'urgent'\n", "unknown variant `urgent`", ""),
        ("wen = 'true'\n", "unknown field `wen`", "did you mean `when`?"),
        ("title = '{{ amont }}'\n", "template names unknown field `amont`", "`amount`"),
        ("title = '{{ amount|nun }}'\n", "filter nun is unknown", ""),
        ("title = '{{ amount'\n", "template: ", ""),
        ("title = '{{ symbol|num }}'\n", "num needs a number", ""),
        ("lines = ['ok', '{{ tx }}']\n", "template names unknown field `tx`", "known: "),
        ("links = [{ label = 'x', url = '{{ nope }}' }]\n", "unknown field `nope`", ""),
        ("title = '{% for i in range(99999) %}{% endfor %}'\n", "fuel", ""),
    ] {
        let problems = problems_of(&rule(lines));
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{lines}: {problem}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{lines}: {problem}");
        assert!(problem.line.is_some(), "{lines}: {problem}");
        assert_eq!(problems.len(), 1, "{lines}: {problems:#?}");
    }
}

#[test]
fn all_problems_of_all_files_are_told_at_once() {
    let one = rule("when = 'a > 1 && b > 2'\ncooldown = 'x'\n");
    let two = rule("routes = ['nobody']\n").replace("'test'", "'other'");
    let problems = RuleSet::parse(&[("1.toml", &one), ("2.toml", &two)], Some(&[])).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    let twice = RuleSet::parse(&[("1.toml", &rule("")), ("2.toml", &rule(""))], None).unwrap_err();
    assert!(twice[0].to_string().contains("another rule has this id, in 1.toml"), "{}", twice[0]);
}

#[test]
fn an_unknown_key_does_not_hide_the_other_mistakes() {
    let one = "wen = 'a'\nseverity = 'urgent'\ncooldown = 'x'\nwhen = 'amout > 1.0'\nlinks = [{ labl = 'x', label = 'x', url = '{{ nope }}' }]\n";
    let text = "rules = 1\n".to_owned() + &rule(one) + &rule("id = 'b'\nroutes = ['opss']\n");
    let shown: Vec<String> = problems_of(&text).iter().map(ToString::to_string).collect();
    let all = shown.join("\n");
    for message in [
        "unknown field `rules`",
        "did you mean `rule`?",
        "rule test: unknown field `wen`",
        "unknown variant `urgent`",
        "\"x\" is no duration",
        "unknown field `amout`",
        "unknown field `labl`",
        "unknown field `nope`",
        "unknown route `opss`",
    ] {
        assert!(all.contains(message), "{message}: {all}");
    }
    assert_eq!(shown.len(), 8, "{all}");
}

#[test]
fn mistakes_of_triggers_are_refused_at_their_place() {
    let window = |window: &str| {
        format!(
            "[[rule]]\nid = 'w'\non = 'evm.*.transfer.erc20'\ntrigger = 'window'\ngroup_by = ['to']\ntitle = '{{{{ to }}}} {{{{ count }}}}'\n[rule.window]\n{window}"
        )
    };
    for (keys, message, hint) in [
        ("over = '1h'\nhaving = 'sum > 5.0'", "`sum` is not known", "add `of = \"FIELD\"`"),
        ("over = '1h'\nof = 'usd'\nhaving = 'ratio > 2.0'", "`ratio` is not known", "24h mean"),
        ("over = '1h'\nof = 'usd'\nhaving = 'summ > 5.0'", "unknown field `summ`", "`sum`"),
        ("over = '1h'\nof = 'symbol'\nhaving = 'count > 5'", "is no number", "by `distinct`"),
        ("over = '1h'\nof = 'usdd * 2.0'\nhaving = 'count > 5'", "unknown field `usdd`", "`usd`"),
        ("over = '1h'\nevery = '7m'\nhaving = 'count > 5'", "whole steps", "every = \"1m\""),
        ("over = '1h'\nkind = 'hopping'\nhaving = 'count > 5'", "no window is", "tumbling"),
        ("over = '1h'\nbaseline = 'week'\nhaving = 'ratio > 5.0'", "no baseline is", "24h mean"),
        ("over = '0s'\nhaving = 'count > 5'", "longer than nothing", ""),
        ("over = 'ever'\nhaving = 'count > 5'", "\"ever\" is no duration", "90s, 5m"),
        ("over = '1h'\nhaving = 'count'", "a condition is true or false", ""),
        ("over = '1h'\nhavin = 'count > 5'", "unknown field `havin`", "did you mean `having`"),
    ] {
        let text = window(keys);
        let problems = RuleSet::parse(&[("t.toml", text.as_str())], None).expect_err(keys);
        let problem = &problems[0];
        assert!(problem.message.contains(message), "{keys}: {problems:?}");
        assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{keys}: {problem:?}");
        assert!(problem.line.is_some_and(|line| line >= 8), "{keys}: {problem:?}");
    }
    let title =
        window("over = '1h'\nof = 'value'\nhaving = 'sum > 5.0'").replace("{ count", "{ from");
    let problems = RuleSet::parse(&[("t.toml", title.as_str())], None).expect_err("from");
    assert!(problems[0].message.contains("unknown field `from`"), "a window knows its group only");
}

#[test]
fn a_condition_on_dollars_that_says_nothing_of_unknown_ones_is_warned_of() {
    let warned = |lines: &str| {
        let rules = RuleSet::parse(&[("p.toml", &rule(lines))], None).unwrap();
        rules.warnings().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let found = warned("when = 'token_verified && usd > 5.0'\n");
    assert!(found[0].contains("p.toml:5:27: rule test: without a fresh price `usd`"), "{found:?}");
    assert!(found[0].contains("`unpriced = \"skip\"`"), "{found:?}");
    for silent in [
        "when = 'usd > 5.0'\nunpriced = 'skip'\n",
        "when = 'usd == null || usd > 5.0'\n",
        "when = 'amount > 5.0'\n",
        "enabled = false\nwhen = 'usd > 5.0'\n",
    ] {
        assert_eq!(warned(silent), Vec::<String>::new(), "{silent}");
    }
}

/// What is wrong with a window's rule whose lines and window are these.
fn window_problems(lines: &str, window: &str) -> Vec<String> {
    let text = rule(&format!("trigger = 'window'\n{lines}[rule.window]\nover = '1h'\n{window}"));
    let problems = RuleSet::parse(&[("w.toml", text.as_str())], None).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn values_that_a_window_does_not_have_are_refused_wherever_they_are_named() {
    for (lines, window, name, key) in [
        ("resolve_when = 'sum < 5.0'\n", "having = 'count > 5'\n", "sum", "of = \"FIELD\""),
        ("resolve_when = 'ratio < 1.0'\n", "having = 'count > 5'\n", "ratio", "24h mean"),
        ("title = '{{ count }} {{ mean }}'\n", "having = 'count > 5'\n", "mean", "of = "),
        ("lines = ['{{ distinct }}']\n", "having = 'count > 5'\n", "distinct", "distinct = "),
        ("resolved_title = '{{ p95 }}'\n", "having = 'count > 5'\n", "p95", "of = "),
    ] {
        let found = window_problems(lines, window);
        assert_eq!(found.len(), 1, "{lines}: {found:#?}");
        let expected = format!("`{name}` is not known in this window");
        assert!(found[0].contains(&expected) && found[0].contains(key), "{lines}: {}", found[0]);
        let carets = found[0].matches('^').count();
        assert_eq!(carets, name.len(), "{lines}: {}", found[0]);
    }
    let known = "of = 'usd'\ndistinct = 'from'\nbaseline = '24h mean'\nhaving = 'sum > 5.0'\n";
    let lines = "resolve_when = 'ratio < 1.0 && distinct < 3 && p95 < 5.0'\ntitle = '{{ sum }} {{ distinct }} {{ baseline }}'\n";
    assert_eq!(window_problems(lines, known), Vec::<String>::new());
}

#[test]
fn an_example_that_must_not_fire_says_nothing_and_has_no_end() {
    for key in ["says = 'x'", "resolves = true", "resolves = false"] {
        let text = rule(&format!("[[rule.example]]\nfires = false\n{key}\nevents = [{{ }}]\n"));
        let problems = problems_of(&text);
        let name = key.split(' ').next().unwrap();
        let message = format!("example: `{name}` has no meaning with `fires = false`");
        assert_eq!((&problems[0].message, problems.len()), (&message, 1), "{problems:#?}");
        assert_eq!(problems[0].line, Some(7), "{}", problems[0]);
    }
}

#[test]
fn places_are_right_beside_letters_of_several_bytes() {
    // The slip is a parenthesis after the text; the parser counts characters.
    let problem = &problems_of(&rule("when = '\"éééééé\")'\n"))[0];
    assert_eq!((problem.line, problem.column), (Some(5), Some(17)), "{problem}");
    let problem = &problems_of(&rule("when = 'symbol == \"日本語\" && usdd > 1.0'\n"))[0];
    assert_eq!((problem.line, problem.column), (Some(5), Some(28)), "{problem}");
    assert!(problem.to_string().contains("^^^^"), "{problem}");
}

#[test]
fn the_warning_marks_the_amount_and_not_a_longer_name() {
    let rules = parse(&rule("when = 'symbol != \"usd_\" && usd > 5.0'\n"));
    assert_eq!(rules.warnings()[0].column, Some(29), "{}", rules.warnings()[0]);
}

proptest! {
    /// Whatever people write, they are told of it: nothing ends the process.
    #[test]
    fn no_text_of_a_rule_is_a_panic(
        parts in prop::collection::vec(prop::sample::select(PARTS.split(' ').collect::<Vec<_>>()), 1..12),
        between in prop::sample::select(vec!["", " ", "\n"]),
        key in prop::sample::select(KEYS.to_vec()),
    ) {
        let text = rule(&format!("{key} = '''{}'''\n", parts.join(between)));
        let shown = |problems: Vec<RuleProblem>| problems.iter().map(ToString::to_string).count();
        let _ = RuleSet::parse(&[("p.toml", &text)], None).map_err(shown);
    }
}

const KEYS: &[&str] = &["when", "title", "resolve_when", "cooldown", "on", "unpriced", "id"];

/// What conditions and templates are made of, right and wrong.
const PARTS: &str = "usd é 日本 \" ( ) [ ] {{ }} {% %} && || ! == >1 1 99999999999999999999 . , has( size( all(x, ? : |num \
    |short( 𝄞 \u{301} 0x m \\ evm.* in null - u256(";
