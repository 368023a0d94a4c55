//! Plausible headlines and incidents: one each minute lately, and one each half hour of the day before.

use serde_json::{Value, json};

use super::ProviderAnswer;

const MINUTE: u64 = 60;
/// How far back each minute has one.
const RECENT_MINUTES: u64 = 10;
/// How far back each half hour has one.
const PAST_HALF_HOURS: u64 = 48;

/// Title, what it says, assets, words. Their number has no divisor in common with the minutes of half an hour.
const STORIES: [(&str, &str, &[&str], &[&str]); 13] = [
    (
        "Bitcoin funds take in 210 million dollars",
        "It is the third day of inflows in a row.",
        &["bitcoin"],
        &["etf", "markets"],
    ),
    (
        "A bridge pauses withdrawals for an upgrade",
        "Deposits made meanwhile are kept.",
        &["ethereum"],
        &["bridges"],
    ),
    (
        "Stablecoin supply grows to a new high",
        "Most of the growth is in two tokens.",
        &["usd-coin", "tether"],
        &["stablecoins"],
    ),
    (
        "Withdrawals of one network are delayed",
        "We are looking into a backlog of confirmations.",
        &["ethereum"],
        &["incident", "minor", "monitoring"],
    ),
    (
        "Developers set a date for the next upgrade",
        "Test networks follow two weeks before.",
        &["ethereum"],
        &["upgrade"],
    ),
    (
        "A lender lowers the limits of three markets",
        "The vote passed with 94 percent.",
        &["dai"],
        &["governance"],
    ),
    (
        "Miners sell less than they earn, for the first time since spring",
        "Their balances grew by 1,900 coins.",
        &["bitcoin"],
        &["mining"],
    ),
    (
        "An exchange lists prices of three pairs too late",
        "Prices were up to 40 seconds old.",
        &[],
        &["incident", "major", "resolved"],
    ),
    (
        "A treasury moves 40,000 ether to a new wallet",
        "The old address was used since 2021.",
        &["ethereum"],
        &["whales"],
    ),
    (
        "Fees fall to a third after blobs are doubled",
        "Rollups pay the least since their launch.",
        &["ethereum"],
        &["fees"],
    ),
    (
        "A regulator publishes rules for custody",
        "Comments are taken for 60 days.",
        &[],
        &["regulation"],
    ),
    (
        "Auditors find a mistake in a vesting contract",
        "No funds were at risk, the team says.",
        &[],
        &["security"],
    ),
    (
        "Traders pay for protection against a weak week",
        "Options of one week cost the most since June.",
        &["bitcoin"],
        &["options"],
    ),
];

/// Articles of the last day, newest first.
pub(super) fn articles(now_ms: u64) -> ProviderAnswer {
    let minute = now_ms / 1_000 / MINUTE;
    let recent = (0..RECENT_MINUTES).map(|ago| minute - ago);
    let past = (0..PAST_HALF_HOURS).map(|ago| (minute - RECENT_MINUTES) / 30 * 30 - ago * 30);
    let articles = recent.chain(past).map(article);
    ProviderAnswer::json(json!({ "articles": Value::from_iter(articles) }).to_string())
}

fn article(minute: u64) -> Value {
    let (title, text, assets, words) = STORIES[(minute % STORIES.len() as u64) as usize];
    json!({
        "title": title,
        "link": format!("https://news.example/{minute}"),
        "text": text,
        "assets": assets,
        "words": words,
        "at": minute * MINUTE,
    })
}
