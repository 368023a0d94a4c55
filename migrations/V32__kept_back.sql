-- Messages that are not sent on purpose, and what kept them back.

ALTER TABLE deliveries ADD COLUMN cause text;

COMMENT ON COLUMN deliveries.cause IS 'What kept it back: the id of a silence, or the code of an alert that inhibits it.';
COMMENT ON COLUMN deliveries.state IS 'sent, repeated (sent, possibly a second time), uncertain, dead or expired; not sent on purpose: silenced, inhibited or muted.';
