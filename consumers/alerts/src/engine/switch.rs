//! Another rule set in the middle of a stream.

use std::sync::Arc;

use crypto_intel_schemas::Alert;

use crate::{
    engine::{Engine, failures::no_failures, triggers::TriggerIndex},
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
            let stays = rules.find(&id).is_some_and(|rule| rule.stream == self.stream);
            if stays || self.rules.rules[index].stream != self.stream {
                continue;
            }
            let groups = self.state.groups.iter().filter(|(rule, ..)| *rule == id);
            let groups: Vec<String> = groups.map(|(_, name, _)| name.to_owned()).collect();
            for name in groups {
                self.publish_held_back(index, &name, alerts);
                drop(self.state.groups.remove(&id, &name));
            }
            if rules.index_of(&id).is_none() {
                metrics.forget_rule(&id);
            }
        }
        self.metrics = rules.rules.iter().map(|rule| metrics.rule(&rule.id)).collect();
        self.failures = no_failures(&rules, self.stream, &self.metrics);
        self.state.retire_failures(&rules);
        self.index = SubjectIndex::new(self.stream);
        self.triggers = TriggerIndex::build(&rules, self.stream, &mut self.state);
        self.rules = rules;
    }
}
