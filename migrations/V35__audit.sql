-- Who changed what. Few rows, asked for by recency, by person and by thing: a plain table with the event's id as key, into which
-- persist only inserts.
CREATE TABLE audit (
    event_at     timestamptz NOT NULL,
    observed_at  timestamptz NOT NULL,
    id           text PRIMARY KEY,
    actor        text NOT NULL,
    key          text,
    action       text NOT NULL,
    target       text,
    via          text NOT NULL,
    origin       text NOT NULL,
    request      text,
    before       text,
    after        text
);

-- "The last changes", page by page.
CREATE INDEX audit_event_at ON audit (event_at DESC, id DESC);
-- "What was done to this".
CREATE INDEX audit_target ON audit (target, event_at DESC) WHERE target IS NOT NULL;

COMMENT ON TABLE audit IS 'Changes that people and programs asked for, through the API or by a command.';
COMMENT ON COLUMN audit.event_at IS 'When it was done.';
COMMENT ON COLUMN audit.observed_at IS 'The same: who does it says it.';
COMMENT ON COLUMN audit.id IS 'Id of the event.';
COMMENT ON COLUMN audit.actor IS 'Who: the name of the API key, or of the user who ran the command.';
COMMENT ON COLUMN audit.key IS 'Id of the API key; NULL without one.';
COMMENT ON COLUMN audit.action IS 'What was done, as thing and verb, such as silence.add.';
COMMENT ON COLUMN audit.target IS 'What it was done to: an address, an id.';
COMMENT ON COLUMN audit.via IS 'Which way it came: api or command.';
COMMENT ON COLUMN audit.origin IS 'From where: the address of the client, or the machine that the command ran on.';
COMMENT ON COLUMN audit.request IS 'Id of the request to the API, as in its log and in X-Request-Id.';
COMMENT ON COLUMN audit.before IS 'What there was before, as JSON, where that is known.';
COMMENT ON COLUMN audit.after IS 'What there is now, as JSON; never a secret.';
