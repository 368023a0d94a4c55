use crypto_intel_service::RoleRegistry;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// Metrics of the role. Rules are bounded by configuration, so they may be labels.
#[derive(Debug, Clone)]
pub struct Metrics {
    evaluated: IntCounterVec,
    matched: IntCounterVec,
    fired: IntCounterVec,
    corrected: IntCounterVec,
    resolved: IntCounterVec,
    late: IntCounterVec,
    summaries: IntCounterVec,
    suppressed: IntCounterVec,
    absent: IntCounterVec,
    unpriced: IntCounterVec,
    errors: IntCounterVec,
    unhealthy: IntGaugeVec,
    /// 1 while the files are wrong and the last good rules stay in force.
    pub(crate) rules_wrong: IntGauge,
    pub(crate) sets_taken: IntCounterVec,
    pub(crate) sets_missing: IntCounterVec,
    pub(crate) received: IntCounterVec,
    pub(crate) published: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) contradicted: IntCounter,
    pub(crate) dead_lettered: IntCounterVec,
    pub(crate) lost: IntCounterVec,
    pub(crate) resets: IntCounterVec,
    pub(crate) lag_seconds: IntGaugeVec,
    pub(crate) lag_messages: IntGaugeVec,
    pub(crate) snapshots: IntCounterVec,
    pub(crate) snapshot_bytes: IntGaugeVec,
    pub(crate) ticks: IntCounter,
    pub(crate) evicted: IntCounter,
}

/// Metrics of one rule.
#[derive(Debug, Clone)]
pub(crate) struct RuleMetrics {
    pub(crate) evaluated: IntCounter,
    pub(crate) matched: IntCounter,
    pub(crate) fired: IntCounter,
    pub(crate) corrected: IntCounter,
    pub(crate) resolved: IntCounter,
    pub(crate) late: IntCounter,
    pub(crate) summaries: IntCounter,
    pub(crate) suppressed_cooldown: IntCounter,
    pub(crate) suppressed_age: IntCounter,
    pub(crate) absent: IntCounter,
    pub(crate) unpriced: IntCounter,
    pub(crate) errors: IntCounter,
    pub(crate) unhealthy: IntGauge,
}

impl Metrics {
    /// Registers the metrics; those of an earlier run of the role in this process are replaced.
    ///
    /// # Errors
    /// When another component has one of the names.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_alerts_");
        let per_rule = |name: &str, help: &str| metrics.counters(name, help, &["rule"]);
        let per_stream = |name: &str, help: &str| metrics.counters(name, help, &["stream"]);
        let stream_gauge = |name: &str, help: &str| metrics.gauges(name, help, &["stream"]);
        let total = |name: &str, help: &str| metrics.counter(name, help);
        Ok(Self {
            evaluated: per_rule(
                "evaluated_total",
                "Events for which a rule's condition was evaluated",
            )?,
            matched: per_rule("matched_total", "Events for which a rule's condition was true")?,
            fired: per_rule("fired_total", "Alerts that a rule fired")?,
            corrected: per_rule("corrected_total", "Alerts corrected after a reorg")?,
            resolved: per_rule("resolved_total", "Conditions that ended")?,
            late: per_rule("late_total", "Events that came after their window")?,
            summaries: per_rule("summaries_total", "Alerts about what a cooldown held back")?,
            suppressed: metrics.counters(
                "suppressed_total",
                "Matches without an alert of their own: held back by a cooldown and in its summary, or too old",
                &["rule", "reason"],
            )?,
            absent: per_rule("absent_total", "Events that lack a field the condition depends on")?,
            unpriced: per_rule(
                "unpriced_total",
                "Events without a known amount in dollars that a rule left out for it",
            )?,
            errors: per_rule("rule_errors_total", "Conditions or templates that failed")?,
            unhealthy: metrics.gauges(
                "rule_unhealthy",
                "1 while a rule failed ten times without a success between",
                &["rule"],
            )?,
            rules_wrong: metrics
                .gauges(
                    "rules_wrong",
                    "1 while the rule files are wrong and the last good rules stay in force",
                    &[],
                )?
                .with_label_values::<&str>(&[]),
            sets_taken: per_stream("rule_sets_taken_total", "Changed rule sets put in force")?,
            sets_missing: per_stream(
                "rule_sets_missing_total",
                "Rule sets that should be in force and are kept no more",
            )?,
            received: per_stream("received_total", "Messages read")?,
            published: total("published_total", "Alerts acknowledged by the stream ALERT")?,
            duplicates: total("duplicates_total", "Alerts that the stream already had")?,
            contradicted: total(
                "contradicted_total",
                "Alerts that the stream refused although they were withdrawn",
            )?,
            dead_lettered: per_stream("dead_lettered_total", "Messages that are not our events")?,
            lost: per_stream("lost_messages_total", "Messages dropped before they were read")?,
            resets: per_stream("stream_resets_total", "Streams recreated or restored")?,
            lag_seconds: stream_gauge("lag_seconds", "Age of the newest tick that was applied")?,
            lag_messages: stream_gauge("lag_messages", "Messages still to be read")?,
            snapshots: per_stream("snapshots_total", "Snapshots of rule state written")?,
            snapshot_bytes: stream_gauge("snapshot_bytes", "Bytes that the newest snapshot wrote")?,
            ticks: total("ticks_total", "Ticks published")?,
            evicted: total(
                "crowded_out_total",
                "Alerts that can no longer be corrected because too many are open",
            )?,
        })
    }

    /// No rule is evaluated here: none is unhealthy.
    pub(crate) fn forget_rules(&self) {
        self.unhealthy.reset();
    }

    /// A rule is gone: its state is no longer reported.
    pub(crate) fn forget_rule(&self, id: &str) {
        // It may never have been reported.
        drop(self.unhealthy.remove_label_values(&[id]));
    }

    pub(crate) fn rule(&self, id: &str) -> RuleMetrics {
        RuleMetrics {
            evaluated: self.evaluated.with_label_values(&[id]),
            matched: self.matched.with_label_values(&[id]),
            fired: self.fired.with_label_values(&[id]),
            corrected: self.corrected.with_label_values(&[id]),
            resolved: self.resolved.with_label_values(&[id]),
            late: self.late.with_label_values(&[id]),
            summaries: self.summaries.with_label_values(&[id]),
            suppressed_cooldown: self.suppressed.with_label_values(&[id, "cooldown"]),
            suppressed_age: self.suppressed.with_label_values(&[id, "age"]),
            absent: self.absent.with_label_values(&[id]),
            unpriced: self.unpriced.with_label_values(&[id]),
            errors: self.errors.with_label_values(&[id]),
            unhealthy: self.unhealthy.with_label_values(&[id]),
        }
    }
}
