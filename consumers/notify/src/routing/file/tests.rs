#![allow(clippy::unwrap_used)]

use crypto_intel_schemas::{Alert, Labels, Severity};

use super::*;

const GOOD: &str = r#"
[root]
destinations = ["ops"]
group_by = ["rule"]
collect = "5s"

[[route]]
name = "critical"
match = ["severity=critical"]
destinations = ["phone"]
continue = true
escalate = { after = "15m", to = ["desk"] }

[[route]]
name = "trading"
match = ["team=trading"]
destinations = ["desk"]

  [[route.route]]
  match = ["chain in (base, optimism)"]
  collect = "off"
  remind = "4h"

[[inhibit]]
source = ["rule=chain-stale"]
target = ["severity!=critical"]
equal = ["chain"]

[quiet.ops]
from = "22:00"
to = "07:00"
zone = "Europe/Madrid"

[heartbeat.ops]
at = "09:00"
zone = "Europe/Madrid"
"#;

fn known() -> BTreeSet<String> {
    ["ops", "desk", "phone"].map(str::to_owned).into()
}

fn read_text(text: &str) -> Result<Tree, Vec<String>> {
    parse(Path::new("routes.toml"), text, &known())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn routes_are_walked_in_order_and_inherit() {
    let tree = read_text(GOOD).unwrap();
    let walk = |severity, labels: Labels| {
        let alert = Alert { severity, labels, rule: "depeg".into(), ..Alert::empty() };
        tree.walk(&alert).iter().map(|node| node.path.clone()).collect::<Vec<_>>()
    };
    let trading = || Labels::from([("team", "trading")]);
    assert_eq!(walk(Severity::Info, Labels::default()), ["root"]);
    assert_eq!(walk(Severity::Info, trading()), ["trading"]);
    assert_eq!(walk(Severity::Critical, trading()), ["critical", "trading"]);
    assert_eq!(walk(Severity::Critical, Labels::default()), ["critical"]);
    let on_base = Labels::from([("team", "trading"), ("chain", "base")]);
    assert_eq!(walk(Severity::Info, on_base), ["trading / route 1"]);
    let inner = &tree.root.children[1].children[0];
    assert_eq!(inner.settings.destinations, Some(vec!["desk".to_owned()]));
    assert_eq!((inner.settings.collect_us, inner.settings.remind_us), (0, 14_400_000_000));
    assert_eq!(inner.settings.group_by, ["rule"]);
    assert_eq!(inner.line, 19);
}

#[test]
fn every_problem_has_its_line_and_a_hint() {
    for (from, to, line, part) in [
        ("[\"phone\"]", "[\"phon\"]", 10, "did you mean phone?"),
        ("remind = ", "remint = ", 22, "did you mean remind?"),
        ("[\"severity=critical\"]", "[\"severity=critcal\"]", 9, "did you mean critical?"),
        ("\"15m\"", "\"15x\"", 12, "15m"),
        ("collect = \"off\"", "collect = \"of\"", 21, "or off"),
        ("source = [\"rule=chain-stale\"]", "source = []", 24, "source and target"),
        ("[heartbeat.ops]", "[heartbeat.oops]", 34, "did you mean ops?"),
        ("to = \"07:00\"", "to = \"7\"", 29, "22:00"),
        ("match = [\"team=trading\"]\n", "", 14, "has no match"),
        (GOOD, "# as it is while it is being written\n", 1, "nothing in it"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let problems = read_text(&text).unwrap_err();
        let at = format!("routes.toml:{line}: ");
        assert!(
            problems.iter().any(|one| one.starts_with(&at) && one.contains(part)),
            "{from}: {problems:?}"
        );
    }
}
