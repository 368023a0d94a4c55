use crate::config::{Config, Destination, DiscordConfig, Policy, TelegramConfig};

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Every problem found, each with its destination and a hint.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (name, destination) in &self.destinations {
            let mut found = Vec::new();
            if name.trim().is_empty() {
                found.push("the name is empty: give it one that rules can route to".to_owned());
            }
            match destination {
                Destination::Telegram(telegram) => check_telegram(telegram, &mut found),
                Destination::Discord(discord) => check_discord(discord, &mut found),
            }
            self.check_policy(name, destination.policy(), &mut found);
            let prefix = format!("notify.destinations.{name}");
            problems.extend(found.into_iter().map(|problem| format!("{prefix}: {problem}")));
        }
        if let Some(unrouted) = &self.unrouted
            && !self.destinations.contains_key(unrouted)
        {
            problems.push(format!(
                "notify.unrouted {unrouted:?} is no destination (known: {})",
                self.known()
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn known(&self) -> String {
        let known: Vec<&str> = self.destinations.keys().map(String::as_str).collect();
        known.join(", ")
    }

    /// The fallbacks from a destination on, if they lead back to it.
    fn circle(&self, name: &str) -> Option<String> {
        let mut path = vec![name];
        loop {
            let last = self.destinations.get(*path.last()?)?;
            let next = last.policy().fallback.as_deref()?;
            path.push(next);
            if next == name {
                return Some(path.join(" -> "));
            }
            // Another circle, which its own members report.
            if path.len() > self.destinations.len() {
                return None;
            }
        }
    }

    fn check_policy(&self, name: &str, policy: &Policy, found: &mut Vec<String>) {
        if !(100..=60_000).contains(&policy.timeout_ms) {
            found.push(format!("policy.timeout_ms is {}: choose 100 to 60000", policy.timeout_ms));
        }
        for limit in &policy.limits {
            if limit.messages == 0 || limit.per_ms == 0 {
                found.push("policy.limits: messages and per_ms must be above 0".to_owned());
            } else if limit.reserved_for_critical >= limit.messages {
                found.push(format!(
                    "policy.limits: {} of {} messages are reserved for critical, so others are never sent",
                    limit.reserved_for_critical, limit.messages
                ));
            }
        }
        match policy.fallback.as_deref() {
            Some(fallback) if fallback == name => {
                found.push("policy.fallback names the destination itself".to_owned());
            }
            Some(fallback) if !self.destinations.contains_key(fallback) => {
                found.push(format!(
                    "policy.fallback {fallback:?} is no destination (known: {})",
                    self.known()
                ));
            }
            Some(_) => {
                if let Some(circle) = self.circle(name) {
                    found.push(format!(
                        "policy.fallback leads back to itself ({circle}): end the chain somewhere"
                    ));
                }
            }
            None => {}
        }
        if policy.probe_after_seconds.is_empty() || policy.probe_after_seconds.contains(&0) {
            found.push(
                "policy.probe_after_seconds: name at least one time, each above 0".to_owned(),
            );
        }
    }
}

fn check_telegram(telegram: &TelegramConfig, found: &mut Vec<String>) {
    if telegram.token.problem().is_some() {
        return;
    }
    let token = telegram.token.expose();
    let well_formed = token.split_once(':').is_some_and(|(bot, key)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        !bot.is_empty()
            && bot.bytes().all(|byte| byte.is_ascii_digit())
            && !key.is_empty()
            && key.bytes().all(plain)
    });
    if !well_formed {
        found.push(
            "token is not a bot token: it has the form 123456:ABC… and comes from BotFather"
                .to_owned(),
        );
    }
    if telegram.chat_id == 0 {
        found.push("chat_id is 0: use the number of the chat, negative for a group".to_owned());
    }
    if telegram.message_thread_id == Some(1) {
        found.push("message_thread_id 1 is the General topic, which must be left out".to_owned());
    }
    if telegram.bot_messages_per_second == 0 {
        found.push("bot_messages_per_second must be above 0".to_owned());
    }
    match reqwest::Url::parse(telegram.api_url.expose()) {
        Ok(url) if is_web(&url) => {}
        _ => found.push(format!("api_url ({}) is no http or https address", telegram.api_url)),
    }
}

fn check_discord(discord: &DiscordConfig, found: &mut Vec<String>) {
    // The address holds the webhook's token: it is never shown.
    if discord.webhook_url.problem().is_some() {
        return;
    }
    let well_formed = reqwest::Url::parse(discord.webhook_url.expose()).is_ok_and(|url| {
        let path: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let position = path.iter().position(|part| *part == "webhooks");
        is_web(&url) && position.is_some_and(|position| path.len() == position + 3)
    });
    if !well_formed {
        found.push(
            "webhook_url is no webhook address: it has the form https://discord.com/api/webhooks/<id>/<token>"
                .to_owned(),
        );
    }
}

fn is_web(url: &reqwest::Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.host().is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GOOD: &str = r#"
        [destinations.ops]
        channel = "telegram"
        token = "123:abc_DEF"
        chat_id = -1001
        policy = { after_uncertain = { info = "skip" }, fallback = "desk" }

        [destinations.desk]
        channel = "discord"
        webhook_url = "https://discord.com/api/webhooks/1/secret-part"
    "#;

    #[test]
    fn problems_name_destination_and_remedy() {
        let text = GOOD
            .replace("123:abc_DEF", "oops")
            .replace("-1001", "0")
            .replace("\"desk\" }", "\"desc\", timeout_ms = 1 }")
            .replace("secret-part", "");
        let config: Config = toml::from_str(&text).unwrap();
        let all = config.validate().unwrap_err();
        assert_eq!(all.len(), 5, "{all:#?}");
        assert!(all.iter().any(|line| line.contains("BotFather")), "{all:#?}");
        assert!(
            all.iter().any(|line| line.contains("\"desc\"") && line.contains("desk")),
            "{all:#?}"
        );
        assert!(!all.iter().any(|line| line.contains("oops")), "a token is never shown");
    }

    #[test]
    fn fallbacks_that_lead_back_are_refused() {
        let text = GOOD.replace(
            "webhooks/1/secret-part\"",
            "webhooks/1/secret-part\"\npolicy = { fallback = \"ops\" }",
        );
        let config: Config = toml::from_str(&text).unwrap();
        let all = config.validate().unwrap_err();
        assert_eq!(all.len(), 2, "{all:#?}");
        assert!(all[0].contains("desk -> ops -> desk"), "{all:#?}");
    }
}
