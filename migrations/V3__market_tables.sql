-- What pollers see. Partitioned by the time that the event carries (the provider's, or the schedule slot's), which is the
-- same each time the answer is seen; a week per chunk because a poll a minute is few rows.

CREATE TABLE prices (
    event_at            timestamptz NOT NULL,
    observed_at         timestamptz NOT NULL,
    asset               text NOT NULL,
    quote               text NOT NULL,
    source              text NOT NULL,
    price               numeric NOT NULL,
    volume_24h          numeric,
    market_cap          numeric,
    change_24h_percent  numeric,
    -- Also answers "this asset's prices over time".
    PRIMARY KEY (asset, quote, source, event_at)
);
SELECT partition_by_time('prices', 'event_at', INTERVAL '7 days');

COMMENT ON TABLE prices IS 'Prices of assets by provider.';
COMMENT ON COLUMN prices.price IS 'Units of quote for one unit of asset.';
COMMENT ON COLUMN prices.volume_24h IS 'Traded in the last 24 hours, in units of quote.';

CREATE TABLE indices (
    event_at        timestamptz NOT NULL,
    observed_at     timestamptz NOT NULL,
    index_name      text NOT NULL,
    source          text NOT NULL,
    value           numeric NOT NULL,
    classification  text,
    PRIMARY KEY (index_name, source, event_at)
);
SELECT partition_by_time('indices', 'event_at', INTERVAL '7 days');

COMMENT ON TABLE indices IS 'Named indices, such as fear and greed, in their own scale.';
