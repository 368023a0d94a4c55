#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn bot(topic: Option<i64>) -> Telegram {
    let text = r#"token = "1:x"
        chat_id = -5"#;
    let config: TelegramConfig = toml::from_str(text).unwrap();
    let client = crate::channel::clients(false).unwrap().services;
    Telegram::new(TelegramConfig { message_thread_id: topic, ..config }, client)
}

fn meant(status: u16, body: &str) -> Outcome {
    bot(Some(9)).settle(meaning(&Answer::of(status, body), None))
}

fn refused(code: u16, description: &str) -> Outcome {
    let body = json!({ "ok": false, "error_code": code, "description": description });
    meant(code, &body.to_string())
}

#[test]
fn only_an_answer_with_an_id_is_sent() {
    let sent = meant(200, r#"{"ok":true,"result":{"message_id":7}}"#);
    assert_eq!(sent, Outcome::Sent { message_id: "7".to_owned() });
    assert_eq!(meant(200, r#"{"ok":true,"result":{}}"#).label(), "uncertain");
    assert_eq!(meant(200, "<html>hello</html>").label(), "uncertain");
    assert_eq!(meant(200, r#"{"ok":tr"#).label(), "uncertain");
}

#[test]
fn waits_a_second_longer_than_asked() {
    let body = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7",
                   "parameters":{"retry_after":7}}"#;
    let Outcome::Wait { after, .. } = meant(429, body) else { panic!("must wait") };
    assert_eq!(after, Duration::from_secs(8));
    assert_eq!(refused(429, "Too Many Requests").label(), "wait");
    // A number that no clock can hold is believed for a day.
    let Outcome::Wait { after, .. } = meant(429, &body.replace(":7}", &format!(":{}}}", u64::MAX)))
    else {
        panic!("must wait")
    };
    assert_eq!(after, Duration::from_secs(86_400));
}

#[test]
fn every_known_refusal_has_its_meaning() {
    for (code, text, label) in [
        (401, "Unauthorized", "closed"),
        (404, "Not Found", "closed"),
        (400, "Bad Request: chat not found", "closed"),
        (403, "Forbidden: bot was blocked by the user", "closed"),
        (403, "Forbidden: bot was kicked from the supergroup chat", "closed"),
        (400, "Bad Request: not enough rights to send text messages", "closed"),
        (400, "Bad Request: message thread not found", "readdressed"),
        (400, "Bad Request: TOPIC_CLOSED", "readdressed"),
        (400, "Bad Request: can't parse entities: Unsupported start tag", "plain_text"),
        (400, "Bad Request: message is too long", "refused"),
        (400, "Bad Request: something new", "refused"),
        (500, "Internal Server Error", "not_sent"),
    ] {
        assert_eq!(refused(code, text).label(), label, "{code} {text}");
    }
}

#[test]
fn a_closed_topic_is_told_as_closed_and_a_missing_one_as_missing() {
    let told = |text| match refused(400, text) {
        Outcome::Readdressed { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert!(told("Bad Request: TOPIC_CLOSED").contains("is closed"));
    assert!(told("Bad Request: message thread not found").contains("does not exist"));
}

#[test]
fn an_upgraded_group_names_its_new_number() {
    let body = r#"{"ok":false,"error_code":400,
        "description":"Bad Request: group chat was upgraded to a supergroup chat",
        "parameters":{"migrate_to_chat_id":-100777}}"#;
    let bot = bot(None);
    let Outcome::Readdressed { hint, .. } = bot.settle(meaning(&Answer::of(400, body), None))
    else {
        panic!("it is followed")
    };
    assert!(hint.contains("-100777"), "{hint}");
    let other = super::tests::bot(None);
    assert!(other.recall(&bot.learnt().unwrap()) && other.learnt() == bot.learnt());
    assert_eq!(bot.settle(meaning(&Answer::of(400, body), None)).label(), "refused");
}

#[test]
fn a_failure_in_somebody_elses_words_is_uncertain() {
    assert_eq!(meant(502, "<html>bad gateway</html>").label(), "uncertain");
    assert_eq!(meant(403, "<html>blocked</html>").label(), "not_sent");
    assert_eq!(meant(429, "slow down").label(), "wait");
    assert_eq!(meant(301, "").label(), "not_sent");
}

#[test]
fn an_edit_that_changes_nothing_is_done_and_one_of_a_lost_message_is_not() {
    let edited = |description: &str| {
        let body = json!({ "ok": false, "error_code": 400, "description": description });
        bot(None).settle(meaning(&Answer::of(400, &body.to_string()), Some("7")))
    };
    let unchanged = "Bad Request: message is not modified: specified new message content and …";
    assert_eq!(edited(unchanged), Outcome::Sent { message_id: "7".to_owned() });
    assert_eq!(edited("Bad Request: message to edit not found").label(), "lost_anchor");
    assert_eq!(edited("Bad Request: message can't be edited").label(), "lost_anchor");
    assert_eq!(refused(400, unchanged).label(), "refused", "nothing was to be changed");
}
