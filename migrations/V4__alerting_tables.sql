-- What people were told. Few rows, asked for by id and by recency: plain tables with the event's id as key.

CREATE TABLE alerts (
    event_at      timestamptz NOT NULL,
    observed_at   timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    block_number  bigint,
    n             bigint NOT NULL,
    id            text PRIMARY KEY,
    alert         text NOT NULL,
    code          text NOT NULL,
    rule          text NOT NULL,
    severity      text NOT NULL,
    state         text NOT NULL,
    title         text NOT NULL,
    lines         text[],
    links         jsonb,
    routes        text[],
    event_id      text NOT NULL,
    chain         text,
    block_hash    bytea,
    tx_hash       bytea
);

-- "The last alerts" and "the history of this alert".
CREATE INDEX alerts_observed_at ON alerts (observed_at DESC);
CREATE INDEX alerts_alert ON alerts (alert);

COMMENT ON TABLE alerts IS 'Alerts that fired, were corrected or resolved.';
COMMENT ON COLUMN alerts.alert IS 'Key of the alert: the same for fired, corrected and resolved, and over replays.';
COMMENT ON COLUMN alerts.code IS 'Five characters people can read out, of the key.';
COMMENT ON COLUMN alerts.seen_at IS 'When the pipeline first saw the event behind it.';

CREATE TABLE deliveries (
    done_at      timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL,
    observed_at  timestamptz NOT NULL,
    attempts     bigint NOT NULL,
    id           text PRIMARY KEY,
    delivery     text NOT NULL,
    destination  text NOT NULL,
    channel      text NOT NULL,
    alert        text NOT NULL,
    rule         text NOT NULL,
    severity     text NOT NULL,
    state        text NOT NULL,
    message_id   text,
    error        text
);

-- "The last messages" and "who was told of this alert".
CREATE INDEX deliveries_done_at ON deliveries (done_at DESC);
CREATE INDEX deliveries_alert ON deliveries (alert);

COMMENT ON TABLE deliveries IS 'What became of each message to each destination.';
COMMENT ON COLUMN deliveries.state IS 'sent, repeated (sent, possibly a second time), uncertain, dead or expired.';
COMMENT ON COLUMN deliveries.done_at IS 'When the service answered: done_at - seen_at is the latency from head to chat.';
