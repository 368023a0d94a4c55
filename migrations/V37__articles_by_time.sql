-- "What was written lately?" Without an index by time a page of a month was a sort of the month: TimescaleDB has a chunk for it, and the
-- BRIN index of plain PostgreSQL finds rows but does not order them. Ascending: articles come in the order of time, and an index that
-- grows at its end has full pages, 22 bytes a row instead of 40.
CREATE INDEX articles_newest ON articles (event_at);

COMMENT ON INDEX articles_newest IS 'The newest articles, page by page.';
