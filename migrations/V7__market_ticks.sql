-- `prices` becomes `market_ticks`: a tick says more than a price (volume, market value, change), and candles are made of
-- it. A rename moves nothing. Its key and its index are renamed with it, so that no name of old is left to wonder about;
-- the index is there only where the table is not a hypertable.

ALTER TABLE prices RENAME TO market_ticks;
ALTER INDEX prices_pkey RENAME TO market_ticks_pkey;
ALTER INDEX IF EXISTS prices_time_brin RENAME TO market_ticks_time_brin;

COMMENT ON TABLE market_ticks IS 'What providers say an asset is worth, each time that they are asked.';
