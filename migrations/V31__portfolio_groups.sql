-- The days of wallets by the group that they belong to.

CREATE OR REPLACE VIEW portfolio_daily AS
SELECT held.bucket, held.chain, held.address, wallet.label, sum(held.usd) AS usd, count(held.usd) AS priced,
       count(*) FILTER (WHERE held.usd IS NULL) AS unpriced, wallet.group_name
FROM balances_daily AS held LEFT JOIN (
    SELECT address, min(label) AS label, min(group_name) AS group_name
    FROM wallets WHERE removed_at IS NULL GROUP BY address
) AS wallet ON wallet.address = held.address
WHERE held.raw <> 0
GROUP BY held.bucket, held.chain, held.address, wallet.label, wallet.group_name;

COMMENT ON COLUMN portfolio_daily.group_name IS 'The group of the watch-list that the wallet belongs to; NULL for none.';
