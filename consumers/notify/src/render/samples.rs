//! Alerts for tests: a plain one, hostile ones, long ones.

use crypto_intel_schemas::{Alert, AlertState, Link, Severity};
use proptest::prelude::*;

pub(crate) fn alert() -> Alert {
    Alert {
        alert: "a1".into(),
        code: "K7Q2A".into(),
        rule: "whale-inflow".into(),
        severity: Severity::Critical,
        state: AlertState::Fired,
        title: "12,500,000 USDC ($12.50M) → Binance".into(),
        lines: vec!["from 0x28c6…1d60 to Binance 14".into()],
        links: vec![Link { label: "tx".into(), url: "https://etherscan.io/tx/0x1?a=1&b=2".into() }],
        ..Alert::empty()
    }
}

/// Pieces that parsers trip over, and anything else.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "<b>",
            "</b>",
            "<",
            ">",
            "&",
            "&lt",
            "&amp;",
            "&#x27;",
            "\"",
            "'",
            "/",
            ";",
            "#",
            "\\",
            "**",
            "__",
            "||",
            "~~",
            "`",
            "```",
            "[x](http://y)",
            "@everyone",
            "@here",
            "<@1>",
            "<#2>",
            "<t:1:R>",
            "- ",
            "> ",
            "://",
            "\n",
            "\u{202e}",
            "\u{200b}",
            "🚨",
            "👨‍👩‍👧‍👦",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

pub(crate) fn hostile() -> impl Strategy<Value = Alert> {
    (nasty(), prop::collection::vec(nasty(), 0..4), nasty(), nasty()).prop_map(
        |(title, lines, label, path)| Alert {
            title,
            lines,
            links: vec![Link { label, url: format!("https://example.org/{path}") }],
            ..alert()
        },
    )
}

pub(crate) fn long() -> impl Strategy<Value = Alert> {
    let line = || (nasty(), 1..60_usize).prop_map(|(text, times)| text.repeat(times));
    (prop::collection::vec(line(), 5..40), line(), 0..400_usize).prop_map(|(lines, title, path)| {
        let url = format!("https://example.org/{}", "a(b)>".repeat(path));
        let links = vec![Link { label: "long label ".repeat(9), url }; 10];
        Alert { title, lines, links, ..alert() }
    })
}

/// Alerts whose titles are as long as can be once escaped.
pub(crate) fn many(count: usize) -> Vec<Alert> {
    (0..count)
        .map(|number| Alert {
            alert: format!("z{number}"),
            code: format!("Z{number:04}"),
            rule: format!("{}{number}", "_".repeat(80)),
            title: "*".repeat(500),
            ..alert()
        })
        .collect()
}
