//! Another rule set in the middle of a stream.

use std::sync::Arc;

use crypto_intel_schemas::Alert;

use crate::{
    engine::{Engine, triggers::TriggerIndex},
    metrics::Metrics,
    rules::{RuleSet, SubjectIndex},
};

impl Engine {
    /// Goes on with another rule set. Rules that are in it keep their state; what the cooldowns of others collected is
    /// told now.
    pub(crate) fn switch(
        &mut self,
        rules: Arc<RuleSet>,
        metrics: &Metrics,
        alerts: &mut Vec<Alert>,
    ) {
        for index in 0..self.rules.rules.len() {
            let id = self.rules.rules[index].id.clone();
            let stays = rules.rules.iter().any(|rule| rule.id == id && rule.stream == self.stream);
            if stays || self.rules.rules[index].stream != self.stream {
                continue;
            }
            let groups = self.state.groups.iter().filter(|(rule, ..)| *rule == id);
            let groups: Vec<String> = groups.map(|(_, name, _)| name.to_owned()).collect();
            for name in groups {
                self.publish_held_back(index, &name, alerts);
                drop(self.state.groups.remove(&id, &name));
            }
            metrics.forget_rule(&id);
        }
        self.metrics = rules.rules.iter().map(|rule| metrics.rule(&rule.id)).collect();
        self.consecutive_errors = vec![0; rules.rules.len()];
        self.index = SubjectIndex::new(self.stream);
        self.triggers = TriggerIndex::build(&rules, self.stream, &mut self.state);
        self.rules = rules;
    }
}
