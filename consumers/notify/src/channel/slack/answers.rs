//! What Slack's answers mean: a webhook answers in plain text, the Web API in JSON.

use std::time::Duration;

use reqwest::StatusCode;

use super::ApiReply;
use crate::channel::{DEFAULT_WAIT, Outcome, Scope, http::Answer};

pub(super) const TOKEN: &str = "take the bot's token from the app's OAuth page and set token";
const WEBHOOK: &str = "make a new incoming webhook and set webhook_url";
const CHANNEL: &str = "invite the bot to the channel, or correct channel_id";

fn wait(answer: &Answer, why: String) -> Outcome {
    let after = answer.wait_or(DEFAULT_WAIT).saturating_add(Duration::from_millis(250));
    Outcome::wait(after, Scope::Destination, why)
}

/// A webhook answers in plain text.
pub(super) fn webhook_outcome(answer: &Answer, delivery: String) -> Outcome {
    let text = String::from_utf8_lossy(&answer.body).trim().to_owned();
    let status = answer.status;
    let why = format!("{status} {}", text.chars().take(200).collect::<String>());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return wait(answer, why);
    }
    if status.is_success() {
        // It names no message.
        return if text == "ok" {
            Outcome::Sent { message_id: delivery }
        } else {
            Outcome::Uncertain { why: "answer is not of Slack".to_owned() }
        };
    }
    match text.as_str() {
        "invalid_blocks" | "invalid_attachments" | "msg_blocks_too_long" | "invalid_payload" => {
            Outcome::PlainText { why }
        }
        "no_text" | "missing_text_or_fallback_or_attachments" | "too_many_attachments" => {
            Outcome::Refused { why }
        }
        "rollup_error" => Outcome::NotSent { why },
        "no_service"
        | "no_team"
        | "invalid_token"
        | "user_not_found"
        | "channel_not_found"
        | "channel_is_archived"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "no_service_id"
        | "team_disabled"
        | "no_active_hooks" => Outcome::closed(why, WEBHOOK),
        _ => match status.as_u16() {
            403 | 404 | 410 => Outcome::closed(why, WEBHOOK),
            _ => answer.foreign(),
        },
    }
}

pub(super) fn bot_outcome(answer: &Answer, is_edit: bool) -> Outcome {
    let Some(reply) = answer.json::<ApiReply>() else { return answer.foreign() };
    let why = format!("{} {}", answer.status, reply.error);
    if reply.ok {
        return match reply.ts {
            Some(message_id) => Outcome::Sent { message_id },
            None => Outcome::Uncertain { why: "answer ok without ts".to_owned() },
        };
    }
    match reply.error.as_str() {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => wait(answer, why),
        "message_not_found"
        | "edit_window_closed"
        | "cant_update_message"
        | "thread_not_found"
        | "cannot_reply_to_message"
            if is_edit || reply.error != "cant_update_message" =>
        {
            Outcome::LostAnchor { why }
        }
        "invalid_blocks" | "invalid_blocks_format" | "msg_blocks_too_long" => {
            Outcome::PlainText { why }
        }
        "not_authed"
        | "invalid_auth"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "not_allowed_token_type"
        | "org_login_required" => Outcome::Closed { why, hint: TOKEN, whole_bot: true },
        "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "no_permission"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "access_denied"
        | "team_access_not_granted"
        | "ekm_access_denied" => Outcome::closed(why, CHANNEL),
        // By Slack's own words a part of it may have happened.
        "fatal_error" | "internal_error" | "request_timeout" => Outcome::Uncertain { why },
        "service_unavailable" | "team_added_to_org" => Outcome::NotSent { why },
        _ if answer.status == StatusCode::TOO_MANY_REQUESTS => wait(answer, why),
        _ => Outcome::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_known_answer_of_a_webhook_has_its_meaning() {
        for (status, text, label) in [
            (200, "ok", "sent"),
            (200, "<html>", "uncertain"),
            (400, "invalid_payload", "plain_text"),
            (400, "no_text", "refused"),
            (403, "action_prohibited", "closed"),
            (404, "channel_not_found", "closed"),
            (404, "no_service", "closed"),
            (410, "channel_is_archived", "closed"),
            (429, r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#, "wait"),
            (500, "rollup_error", "not_sent"),
            (502, "<html>", "uncertain"),
        ] {
            let outcome = webhook_outcome(&Answer::of(status, text), "d".to_owned());
            assert_eq!(outcome.label(), label, "{status} {text}");
        }
    }

    #[test]
    fn every_known_answer_to_a_bot_has_its_meaning() {
        for (error, label) in [
            ("ratelimited", "wait"),
            ("message_not_found", "lost_anchor"),
            ("edit_window_closed", "lost_anchor"),
            ("invalid_blocks", "plain_text"),
            ("invalid_auth", "closed"),
            ("not_in_channel", "closed"),
            ("msg_too_long", "refused"),
            ("fatal_error", "uncertain"),
            ("something_new", "refused"),
        ] {
            let body = json!({ "ok": false, "error": error }).to_string();
            assert_eq!(bot_outcome(&Answer::of(200, &body), true).label(), label, "{error}");
        }
        let sent = bot_outcome(&Answer::of(200, r#"{"ok":true,"ts":"1.2"}"#), false);
        assert_eq!(sent, Outcome::Sent { message_id: "1.2".to_owned() });
    }
}
