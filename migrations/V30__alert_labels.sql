-- What routes and silences match, and which alerts last until they are resolved.

ALTER TABLE alerts ADD COLUMN labels jsonb;
ALTER TABLE alerts ADD COLUMN ongoing boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN alerts.labels IS 'Labels of the rule, its chain and the values of its groups, text by name; NULL where there are none.';
COMMENT ON COLUMN alerts.ongoing IS 'Whether it tells of a condition that lasts until the alert is resolved.';
