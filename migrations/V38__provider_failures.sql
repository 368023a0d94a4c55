-- "What went wrong with providers lately?" Most of what they tell is that all is well, every five minutes: failures have an index of
-- their own.
CREATE INDEX provider_statuses_failures ON provider_statuses (event_at DESC, provider DESC, endpoint DESC) WHERE state <> 'ok';
COMMENT ON INDEX provider_statuses_failures IS 'What was not well, newest first: for the list of failures.';
