use crate::{
    config::{Config, DeadMan, Policy},
    render::zone,
};

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
            found.extend(destination.settings().problems());
            self.check_policy(name, destination.policy(), &mut found);
            if destination.policy().charts && !destination.settings().takes_pictures() {
                found.push(
                    "policy.charts is true, and the channel takes no pictures: remove it, or use telegram, discord or email"
                        .to_owned(),
                );
            }
            let prefix = format!("notify.destinations.{name}");
            problems.extend(found.into_iter().map(|problem| format!("{prefix}: {problem}")));
        }
        let dead_man = self.dead_man.iter().flat_map(DeadMan::problems);
        problems.extend(dead_man.map(|problem| format!("notify.dead_man: {problem}")));
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
        if zone(&policy.time_zone).is_none() {
            found.push(format!(
                "policy.time_zone {:?} is no time zone: use an IANA name such as Europe/Madrid",
                policy.time_zone
            ));
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
    fn pictures_are_for_channels_that_take_them() {
        let charts = GOOD.replace("fallback = \"desk\"", "charts = true");
        assert_eq!(toml::from_str::<Config>(&charts).unwrap().validate(), Ok(()));
        let ntfy = "[destinations.phone]\nchannel = \"ntfy\"\ntopic = \"a1b2c3d4e5f6\"\npolicy = { charts = true }";
        let all = toml::from_str::<Config>(ntfy).unwrap().validate().unwrap_err();
        assert!(all.iter().any(|line| line.contains("policy.charts")), "{all:#?}");
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
