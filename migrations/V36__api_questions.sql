-- "When did this rule fire last?" A rule that seldom fires is found without walking through the alerts of the others.
CREATE INDEX alerts_rule ON alerts (rule, observed_at DESC);
