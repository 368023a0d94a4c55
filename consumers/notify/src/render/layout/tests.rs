use super::{super::samples, *};

const FORM: DigestForm = DigestForm { lines: 40, title_units: 48 };

fn words(layout: &Layout) -> String {
    let lines = layout.head.iter().chain(&layout.body).chain([&layout.links, &layout.foot]);
    lines
        .map(|line| {
            line.iter()
                .map(|span| match span {
                    Span::Text(text) | Span::Bold(text) => text.clone(),
                    Span::Link { label, .. } => label.clone(),
                })
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn states_and_repeats_are_shown() {
    let mut alert = samples::alert();
    assert!(
        words(&alert_layout(&alert, false, &Voice::default())).starts_with("🚨 12,500,000 USDC")
    );
    alert.state = AlertState::Corrected;
    let corrected = words(&alert_layout(&alert, false, &Voice::default()));
    assert!(corrected.starts_with("✏️") && corrected.ends_with("#K7Q2A · corrected"));
    alert.state = AlertState::Resolved;
    let resolved = words(&alert_layout(&alert, true, &Voice::default()));
    assert!(resolved.starts_with("↻ possible repeat of #K7Q2A\n✅"), "{resolved}");
}

#[test]
fn links_that_are_not_of_the_web_keep_their_label_only() {
    let mut alert = samples::alert();
    alert.links[0].url = "javascript:alert(1)".to_owned();
    assert_eq!(
        alert_layout(&alert, false, &Voice::default()).links[0],
        Span::Text("tx".to_owned())
    );
}

#[test]
fn a_digest_counts_rules_and_names_every_code() {
    let alerts: Vec<Alert> = (0..12)
        .map(|number| Alert {
            alert: format!("a{number}"),
            code: format!("C{number:04}"),
            rule: if number < 8 { "whale".into() } else { "depeg".into() },
            ..samples::alert()
        })
        .collect();
    let text = words(&digest_layout(&alerts, FORM, false, &Voice::default()));
    assert!(text.starts_with("📦 12 alerts (whale 8, depeg 4)"), "{text}");
    assert!(alerts.iter().all(|alert| text.matches(&alert.code).count() == 1), "{text}");
}

#[test]
fn a_correction_in_a_digest_says_what_it_corrects_and_how() {
    let correction = |code: &str, line: &str| Alert {
        alert: code.into(),
        code: code.into(),
        state: AlertState::Corrected,
        n: 2,
        title: "9 DEMO at 2".into(),
        lines: vec![line.into()],
        ..samples::alert()
    };
    let alerts = [
        correction("GONE1", "No longer on chain: block 5 was replaced."),
        correction("MOVE1", "Moved to block 7 after a reorganisation, was in block 5."),
        correction("BACK1", "Back on chain, in block 14."),
        Alert {
            lines: vec![
                "Moved to block 7 after a reorganisation, was in block 5.".into(),
                "It no longer meets the rule.".into(),
                "It was: 90 DEMO at 2".into(),
            ],
            ..correction("LESS1", "")
        },
        Alert { alert: "R".into(), state: AlertState::Resolved, lines: vec![], ..samples::alert() },
    ];
    let text = words(&digest_layout(&alerts, FORM, false, &Voice::default()));
    assert!(text.contains("✏️ 9 DEMO at 2: No longer on chain: block 5 was replaced. #GONE1"));
    assert!(text.contains("9 DEMO at 2: Moved to block 7"), "{text}");
    assert!(text.contains("9 DEMO at 2: Back on chain, in block 14. #BACK1"), "{text}");
    let less = "was in block 5. It no longer meets the rule. It was: 90 DEMO at 2 #LESS1";
    assert!(text.contains(less), "{text}");
    assert!(text.contains("✅ 12,500,000 USDC ($12.50M) → Binance: over"), "{text}");
}

#[test]
fn an_alert_and_its_correction_in_one_digest_are_one_line_that_is_true() {
    let fired = samples::alert();
    let gone = Alert {
        state: AlertState::Corrected,
        n: 2,
        lines: vec!["No longer on chain: block 5 was replaced.".into()],
        ..fired.clone()
    };
    let other = Alert { alert: "b2".into(), code: "OTHER".into(), ..fired.clone() };
    let text = words(&digest_layout(&[fired, other, gone], FORM, false, &Voice::default()));
    assert!(text.starts_with("📦 2 alerts"), "{text}");
    assert_eq!(text.matches("#K7Q2A").count(), 1, "{text}");
    assert!(!text.contains("🚨 12,500,000 USDC ($12.50M) → Binance #K7Q2A"), "{text}");
    assert!(text.contains("No longer on chain"), "{text}");
}

#[test]
fn an_alert_without_words_still_says_something() {
    let alert = Alert { title: "\u{202e}\n".into(), ..samples::alert() };
    assert!(words(&alert_layout(&alert, false, &Voice::default())).starts_with("🚨 whale-inflow"));
}

#[test]
fn a_digest_of_more_than_it_has_lines_for_shows_the_most_severe_and_counts_the_rest() {
    let alerts: Vec<Alert> = (0..1_500)
        .map(|number| Alert {
            alert: format!("a{number}"),
            code: format!("C{number:04}"),
            severity: if number == 777 { Severity::Warning } else { Severity::Info },
            ..samples::alert()
        })
        .collect();
    let text = words(&digest_layout(&alerts, FORM, false, &Voice::default()));
    assert!(text.starts_with("📦 1,500 alerts (whale-inflow 1,500)"), "{text}");
    assert!(text.contains("#C0777") && text.contains("#C0000"), "{text}");
    assert!(text.contains("… and 1,460 more"), "{text}");
}
