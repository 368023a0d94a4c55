-- Everything explains itself: psql's \d+ and Grafana's query builder show these texts. Columns of the same name mean the
-- same in every table, so each is explained once; where one means something of its own, its table is named.

COMMENT ON FUNCTION hex_text IS 'Bytes as 0x text, as explorers show addresses and hashes.';
COMMENT ON VIEW v_blocks IS 'blocks, with hashes as text.';
COMMENT ON VIEW v_token_transfers IS 'token_transfers, with addresses and hashes also as text.';
COMMENT ON VIEW v_native_transfers IS 'native_transfers, with addresses and hashes also as text.';
COMMENT ON VIEW v_swaps IS 'swaps, with addresses and hashes also as text.';
COMMENT ON VIEW v_events IS 'events, with addresses and hashes also as text.';

DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT DISTINCT ON (relation.oid, attribute.attnum) relation.relname, attribute.attname, texts.explanation
        FROM (VALUES
            -- Where a column means something of its own.
            ('alerts', 'n', 'Which message of this alert: 1 the first, and one more for each correction.'),
            ('alerts', 'id', 'Id of the alert event.'),
            ('alerts', 'state', 'fired, corrected or resolved.'),
            ('alerts', 'chain', 'Chain slug, of alerts about a chain.'),
            ('alerts', 'block_number', 'Height of the block behind it, of alerts about a chain.'),
            ('alerts', 'block_hash', 'Hash of the block behind it, of alerts about a chain.'),
            ('alerts', 'tx_hash', 'Hash of the transaction behind it, where one is.'),
            ('alerts', 'observed_at', 'When the alert was raised.'),
            ('deliveries', 'id', 'Id of the delivery event.'),
            ('deliveries', 'seen_at', 'When the pipeline first saw the event behind the alert.'),
            ('deliveries', 'alert', 'Key of the alert, see alerts.alert.'),
            ('deliveries', 'error', 'What the service answered when it refused.'),
            ('deliveries', 'observed_at', 'When the result was written down.'),
            ('approvals', 'value', 'How much may be spent, in the token''s smallest unit; NULL where the event is about NFTs.'),
            ('approvals', 'token_id', 'Which NFT may be moved; NULL for ERC-20 and ApprovalForAll.'),
            ('approvals', 'standard', 'erc20, erc721, or unknown: ApprovalForAll, which ERC-721 and ERC-1155 share.'),
            ('approvals', 'owner', 'Whose tokens may be moved.'),
            ('approvals', 'token', 'The token''s contract.'),
            ('indices', 'value', 'The index, in its own scale.'),
            ('liquidity', 'owner', 'Whose position changed.'),
            ('liquidity', 'sender', 'Who called the pool.'),
            ('liquidity', 'recipient', 'Who received what was taken out.'),
            ('liquidity', 'tick', 'Tick of the first price, of initialize.'),
            ('liquidity', 'amount0', 'Amount of the pool''s first token in its smallest unit.'),
            ('liquidity', 'amount1', 'Amount of the pool''s second token in its smallest unit.'),
            ('liquidity', 'protocol', 'The form of the event, as in swaps.'),
            ('swaps', 'sender', 'Who called the pool, mostly a router.'),
            ('swaps', 'recipient', 'Who received what was bought.'),
            ('swaps', 'tick', 'Tick of the price after the swap.'),
            ('swaps', 'liquidity', 'Liquidity that was in use at the price after the swap.'),
            ('logs', 'address', 'The contract that emitted it.'),
            ('logs', 'reason', 'Why a log with a known topic is kept raw; NULL for those of configured contracts.'),
            ('events', 'name', 'Name of the event in its ABI.'),
            ('contracts', 'status', 'success, failed, or unknown before Byzantium.'),
            ('native_transfers', 'status', 'success, or unknown before Byzantium.'),
            ('blocks', 'block_hash', 'Hash of the block.'),
            ('v_blocks', 'block_hash_text', 'Hash of the block, as text.'),
            ('positions', 'stream', 'Name of the stream.'),
            ('token_volume_%', 'value', 'Sum in the token''s smallest unit; of NFTs how many moved.'),
            ('token_volume_%', 'amount', 'Sum in whole tokens, of transfers whose token''s decimals were known.'),
            ('token_volume_%', 'usd', 'Sum in US dollars, of transfers with a known price.'),
            ('watched_%', 'value', 'Sum in the token''s smallest unit; of NFTs how many moved.'),
            ('watched_%', 'amount', 'Sum in whole tokens, of transfers whose token''s decimals were known.'),
            ('watched_%', 'usd', 'Sum in US dollars, of transfers with a known price.'),
            ('watched_flow_%', 'token', 'The token''s contract; NULL for native value.'),
            ('wallet_volume_%', 'token', 'The token''s contract; NULL for native value.'),
            ('wallet_volume_%', 'address', 'The watched address.'),
            ('wallet_volume_%', 'label', 'What people call it.'),
            ('base_fee_%', 'transactions', 'Number of transactions in these blocks.'),
            ('base_fee_%', 'gas_used', 'Gas that these blocks used.'),
            ('base_fee_%', 'gas_limit', 'Gas that these blocks had room for.'),
            ('candles_%', 'volume_24h', 'Last traded volume of 24 hours in the bucket, in units of quote.'),
            ('candles_%', 'market_cap', 'Last market value in the bucket, in units of quote.'),
            -- What a column means everywhere else.
            ('%', 'bucket', 'Begin of the bucket (UTC).'),
            ('%', 'chain', 'Chain slug, such as ethereum.'),
            ('%', 'chain_id', 'EIP-155 chain id.'),
            ('%', 'block_number', 'Height of the block.'),
            ('%', 'block_hash', 'Hash of the block; with chain and height it leads to blocks.'),
            ('%', 'block_time', 'The block''s own time.'),
            ('%', 'parent_hash', 'Hash of the block before it.'),
            ('%', 'miner', 'Who received the fees.'),
            ('%', 'safe_number', 'Highest block that the chain called safe when this one was published.'),
            ('%', 'transactions', 'Number of transactions.'),
            ('%', 'gas_used', 'Gas that the block used.'),
            ('%', 'gas_limit', 'Gas that the block had room for.'),
            ('%', 'base_fee_per_gas', 'Base fee per gas in wei; NULL before London and on chains without one.'),
            ('%', 'event_at', 'When it happened, by its source''s clock.'),
            ('%', 'observed_at', 'When the pipeline first saw it.'),
            ('%', 'updated_at', 'When the row last changed.'),
            ('%', 'tx_hash', 'Hash of the transaction.'),
            ('%', 'tx_index', 'Place of the transaction in its block.'),
            ('%', 'log_index', 'Place of the log in its block.'),
            ('%', 'sub_index', 'Place within the log, where one log is several events.'),
            ('%', 'tx_from', 'Sender of the transaction; NULL where the endpoint gave no transaction.'),
            ('%', 'tx_to', 'Recipient of the transaction; NULL for a contract creation.'),
            ('%', 'method', 'First four bytes of the transaction''s input; NULL where it has fewer.'),
            ('%', 'watched', 'Labels and tags of the watched addresses that it touches; NULL where there is none.'),
            ('%', 'sender', 'Who sent it.'),
            ('%', 'recipient', 'Who received it.'),
            ('%', 'value', 'Amount in the smallest unit.'),
            ('%', 'symbol', 'The token''s symbol, where it is known. Anyone may choose any symbol.'),
            ('%', 'decimals', 'The token''s decimals, where they are known.'),
            ('%', 'token', 'The token''s contract.'),
            ('%', 'standard', 'erc20, erc721 or erc1155.'),
            ('%', 'amount', 'Amount in whole tokens, exact, where the decimals are known.'),
            ('%', 'usd', 'Value in US dollars when it was seen, where a fresh price was known.'),
            ('%', 'spender', 'Who may move them.'),
            ('%', 'approved', 'Whether ApprovalForAll was given or taken back; NULL for other approvals.'),
            ('%', 'creator', 'Who sent the transaction that made it.'),
            ('%', 'contract', 'The new contract.'),
            ('%', 'address', 'The contract that emitted it.'),
            ('%', 'topic0', 'First topic: hash of the event''s signature, but for anonymous events.'),
            ('%', 'topic1', 'Second topic.'),
            ('%', 'topic2', 'Third topic.'),
            ('%', 'topic3', 'Fourth topic.'),
            ('%', 'data', 'Data of the log, cut where truncated says so.'),
            ('%', 'data_length', 'Length of the whole data in bytes, where it was cut.'),
            ('%', 'data_keccak', 'Keccak-256 of the whole data, where it was cut.'),
            ('%', 'abi', 'Name of the ABI that it was decoded by.'),
            ('%', 'signature', 'The event''s signature, such as Deposit(address,uint256).'),
            ('%', 'protocol', 'The form of the event: uniswap-v2, uniswap-v3, pancake-v3 or uniswap-v4.'),
            ('%', 'pool', 'The pool; for Uniswap V4 the contract of all pools.'),
            ('%', 'pool_id', 'Which pool, Uniswap V4 only.'),
            ('%', 'liquidity', 'Liquidity at the price.'),
            ('%', 'protocol_fee0', 'Fee of the protocol in the first token, where the event says it.'),
            ('%', 'protocol_fee1', 'Fee of the protocol in the second token, where the event says it.'),
            ('%', 'reserve0', 'The pool''s reserve of its first token in the smallest unit, of sync.'),
            ('%', 'reserve1', 'The pool''s reserve of its second token in the smallest unit, of sync.'),
            ('%', 'token0', 'The pool''s first token, of pool_created.'),
            ('%', 'token1', 'The pool''s second token, of pool_created.'),
            ('%', 'hooks', 'Contract of the pool''s hooks, Uniswap V4 only.'),
            ('%', 'tick_lower', 'Lower end of the position''s range.'),
            ('%', 'tick_upper', 'Upper end of the position''s range.'),
            ('%', 'tick_spacing', 'Distance between ticks that positions may begin at.'),
            ('%', 'sqrt_price_x96', 'Square root of the price (second token per first), times 2^96.'),
            ('%', 'asset', 'The asset, such as bitcoin.'),
            ('%', 'quote', 'What the price is in, such as usd.'),
            ('%', 'source', 'The provider.'),
            ('%', 'market_cap', 'Market value in units of quote.'),
            ('%', 'change_24h_percent', 'Change of the price in 24 hours, percent, as the provider says.'),
            ('%', 'index_name', 'Name of the index, such as fear-greed.'),
            ('%', 'classification', 'The provider''s word for the value.'),
            ('%', 'rule', 'Name of the rule.'),
            ('%', 'severity', 'info, warning or critical.'),
            ('%', 'title', 'First line of the message.'),
            ('%', 'lines', 'Further lines of the message.'),
            ('%', 'links', 'Links of the message: a list of label and url.'),
            ('%', 'routes', 'Destinations that the alert goes to.'),
            ('%', 'event_id', 'Id of the event behind it.'),
            ('%', 'delivery', 'Key of the message to this destination: the same over all tries.'),
            ('%', 'destination', 'Name of the destination.'),
            ('%', 'channel', 'telegram, discord or webhook.'),
            ('%', 'message_id', 'The service''s id of the message, where it gave one.'),
            ('%', 'attempts', 'How many times it was tried.'),
            ('%', 'transfers', 'How many transfers.'),
            ('%', 'transfers_in', 'How many transfers it received.'),
            ('%', 'transfers_out', 'How many transfers it sent.'),
            ('%', 'value_in', 'Received, in the token''s smallest unit; of NFTs how many.'),
            ('%', 'value_out', 'Sent, in the token''s smallest unit; of NFTs how many.'),
            ('%', 'value_net', 'Received less sent, in the token''s smallest unit.'),
            ('%', 'amount_in', 'Received in whole tokens, of transfers whose token''s decimals were known.'),
            ('%', 'amount_out', 'Sent in whole tokens, of transfers whose token''s decimals were known.'),
            ('%', 'amount_net', 'Received less sent, in whole tokens.'),
            ('%', 'usd_in', 'Received in US dollars, of transfers with a known price.'),
            ('%', 'usd_out', 'Sent in US dollars, of transfers with a known price.'),
            ('%', 'usd_net', 'Received less sent, in US dollars.'),
            ('%', 'swaps', 'How many trades.'),
            ('%', 'volume0', 'Traded amount of the pool''s first token in its smallest unit, both directions.'),
            ('%', 'volume1', 'Traded amount of the pool''s second token in its smallest unit, both directions.'),
            ('%', 'net0', 'Change of the pool''s first token by these trades: above 0 paid in.'),
            ('%', 'net1', 'Change of the pool''s second token by these trades: above 0 paid in.'),
            ('%', 'blocks', 'How many blocks.'),
            ('%', 'p10', 'A tenth of the blocks had at most this base fee per gas, wei.'),
            ('%', 'p50', 'Half of the blocks had at most this base fee per gas, wei.'),
            ('%', 'p90', 'Nine tenths of the blocks had at most this base fee per gas, wei.')
        ) AS texts (relations, name, explanation)
        JOIN pg_attribute AS attribute ON attribute.attname = texts.name
        JOIN pg_class AS relation ON relation.oid = attribute.attrelid AND relation.relname LIKE texts.relations
        WHERE relation.relnamespace = quote_ident(current_schema())::regnamespace AND relation.relkind IN ('r', 'v')
          AND relation.relname NOT LIKE 'v\_%' AND col_description(relation.oid, attribute.attnum) IS NULL
        -- The longer pattern is the narrower one.
        ORDER BY relation.oid, attribute.attnum, length(texts.relations) DESC
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;

    -- The views of V5 and V6 show columns of their tables, some of them as text.
    FOR missing IN
        SELECT shown.relname, attribute.attname, col_description(original.oid, column_of.attnum) AS explanation
        FROM pg_class AS shown
        JOIN pg_class AS original
          ON original.relnamespace = shown.relnamespace AND shown.relname = 'v_' || original.relname
        JOIN pg_attribute AS attribute ON attribute.attrelid = shown.oid
        JOIN pg_attribute AS column_of ON column_of.attrelid = original.oid
          AND attribute.attname IN (column_of.attname, column_of.attname || '_text')
        WHERE shown.relnamespace = quote_ident(current_schema())::regnamespace
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', missing.relname, missing.attname, missing.explanation);
    END LOOP;
END $$;
