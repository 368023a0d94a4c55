-- What pollers say beside prices and indices: numbers, articles, transfers that a provider reports, and how the providers
-- themselves do. As there, rows are partitioned by the time that the event carries, and the key answers "this one over time".

CREATE TABLE metrics (
    event_at     timestamptz NOT NULL,
    observed_at  timestamptz NOT NULL,
    name         text NOT NULL,
    key          text NOT NULL,
    source       text NOT NULL,
    value        numeric NOT NULL,
    unit         text NOT NULL,
    labels       jsonb,
    -- Also answers "this metric of all chains": the name comes first.
    PRIMARY KEY (name, key, source, event_at)
);
SELECT partition_by_time('metrics', 'event_at', INTERVAL '7 days');
SELECT use_column_store('metrics', 'name, key, source', 'event_at DESC');

COMMENT ON TABLE metrics IS 'Numbers that providers give of a chain, an asset, a protocol or a pool: gas prices, fees, value locked, rates, heights.';
COMMENT ON COLUMN metrics.event_at IS 'When it was so, by the provider''s clock; of a provider that gives no time, when it was asked.';
COMMENT ON COLUMN metrics.observed_at IS 'When the pipeline first saw it.';
COMMENT ON COLUMN metrics.name IS 'What is measured, such as gas.fast. It begins with gas, defi, network or market.';
COMMENT ON COLUMN metrics.key IS 'What it is measured of, such as ethereum: a chain, an asset, a protocol, a pool.';
COMMENT ON COLUMN metrics.source IS 'The provider.';
COMMENT ON COLUMN metrics.value IS 'The number, exact.';
COMMENT ON COLUMN metrics.unit IS 'Unit of the number, such as gwei, usd or percent.';
COMMENT ON COLUMN metrics.labels IS 'What else the provider says of the number, text by name; NULL where it says nothing.';

CREATE TABLE articles (
    event_at     timestamptz NOT NULL,
    observed_at  timestamptz NOT NULL,
    link         text NOT NULL,
    source       text NOT NULL,
    title        text NOT NULL,
    author       text,
    publisher    text,
    summary      text,
    assets       text[],
    tags         text[],
    PRIMARY KEY (link, source, event_at)
);
SELECT partition_by_time('articles', 'event_at', INTERVAL '30 days');
SELECT use_column_store('articles', 'source', 'event_at DESC, link');
-- What was written about an asset: WHERE assets @> ARRAY['bitcoin'].
CREATE INDEX articles_assets ON articles USING gin (assets);

COMMENT ON TABLE articles IS 'Articles that news providers list: title, link and summary.';
COMMENT ON COLUMN articles.event_at IS 'When it was published.';
COMMENT ON COLUMN articles.observed_at IS 'When the pipeline first saw it.';
COMMENT ON COLUMN articles.link IS 'Where it is: without fragment and utm parameters, so that two providers'' links to one page are equal.';
COMMENT ON COLUMN articles.source IS 'The provider that listed it.';
COMMENT ON COLUMN articles.title IS 'Its title.';
COMMENT ON COLUMN articles.author IS 'Who wrote it, where the provider says so.';
COMMENT ON COLUMN articles.publisher IS 'Who published it, where the provider collects articles of others.';
COMMENT ON COLUMN articles.summary IS 'What it is about, at most 500 characters.';
COMMENT ON COLUMN articles.assets IS 'Assets that it is about, such as bitcoin; NULL where none is known.';
COMMENT ON COLUMN articles.tags IS 'The provider''s words for what it is about, lower case; NULL where it gives none.';

CREATE TABLE whales (
    event_at         timestamptz NOT NULL,
    observed_at      timestamptz NOT NULL,
    sub_index        bigint NOT NULL,
    chain            text NOT NULL,
    hash             text NOT NULL,
    source           text NOT NULL,
    asset            text,
    symbol           text,
    amount           numeric,
    amount_usd       numeric,
    sender           text,
    recipient        text,
    sender_owner     text,
    recipient_owner  text,
    -- Also answers "who reported this transaction".
    PRIMARY KEY (chain, hash, sub_index, source, event_at)
);
SELECT partition_by_time('whales', 'event_at', INTERVAL '30 days');
SELECT use_column_store('whales', 'chain, source', 'event_at DESC, hash, sub_index');

COMMENT ON TABLE whales IS 'Large transfers as providers report them, on any chain. The pipeline itself has not seen them there.';
COMMENT ON COLUMN whales.event_at IS 'When it happened, as the provider says.';
COMMENT ON COLUMN whales.observed_at IS 'When the pipeline first saw it.';
COMMENT ON COLUMN whales.sub_index IS 'Which transfer of the transaction it is, as the provider counts; -1 where it does not count.';
COMMENT ON COLUMN whales.chain IS 'Chain slug, such as bitcoin.';
COMMENT ON COLUMN whales.hash IS 'The transaction, as text; hex is lower case.';
COMMENT ON COLUMN whales.source IS 'The provider.';
COMMENT ON COLUMN whales.asset IS 'The asset, such as bitcoin, where it is in the registry.';
COMMENT ON COLUMN whales.symbol IS 'The provider''s symbol of what was moved.';
COMMENT ON COLUMN whales.amount IS 'How much was moved, in whole coins; NULL where only its worth is given.';
COMMENT ON COLUMN whales.amount_usd IS 'What it was worth in US dollars, as the provider says.';
COMMENT ON COLUMN whales.sender IS 'Address of the sender, as text; hex is lower case.';
COMMENT ON COLUMN whales.recipient IS 'Address of the recipient, as text; hex is lower case.';
COMMENT ON COLUMN whales.sender_owner IS 'The provider''s name for the owner of the sending address.';
COMMENT ON COLUMN whales.recipient_owner IS 'The provider''s name for the owner of the receiving address.';

CREATE TABLE provider_statuses (
    event_at         timestamptz NOT NULL,
    observed_at      timestamptz NOT NULL,
    latency_ms       bigint,
    quota_used       bigint,
    quota_limit      bigint,
    stale_seconds    bigint,
    on_time_percent  numeric,
    provider         text NOT NULL,
    endpoint         text NOT NULL,
    state            text NOT NULL,
    quota_window     text,
    detail           text,
    PRIMARY KEY (provider, endpoint, event_at)
);
SELECT partition_by_time('provider_statuses', 'event_at', INTERVAL '1 day');
SELECT use_column_store('provider_statuses', 'provider, endpoint', 'event_at DESC');

COMMENT ON TABLE provider_statuses IS 'How polled providers and their endpoints did: reachable, on time, within their quota.';
COMMENT ON COLUMN provider_statuses.event_at IS 'When it was so.';
COMMENT ON COLUMN provider_statuses.observed_at IS 'The same: the poller says it of itself.';
COMMENT ON COLUMN provider_statuses.latency_ms IS 'How long the last answer took, milliseconds.';
COMMENT ON COLUMN provider_statuses.quota_used IS 'Units that were used of the quota nearest to its end.';
COMMENT ON COLUMN provider_statuses.quota_limit IS 'Units that this quota has.';
COMMENT ON COLUMN provider_statuses.stale_seconds IS 'Seconds since its last good answer; NULL before the first one.';
COMMENT ON COLUMN provider_statuses.on_time_percent IS 'How many of its scheduled polls of the last day were done on time, percent.';
COMMENT ON COLUMN provider_statuses.provider IS 'Name of the provider.';
COMMENT ON COLUMN provider_statuses.endpoint IS 'Name of the endpoint; empty where all of the provider is meant.';
COMMENT ON COLUMN provider_statuses.state IS 'ok, late, failing, held, refused, quota_spent or off.';
COMMENT ON COLUMN provider_statuses.quota_window IS 'What the quota is for: second, minute, day or month.';
COMMENT ON COLUMN provider_statuses.detail IS 'Why it was in that state.';
