-- "What did this transaction do?" by its hash alone, as people paste it. A B-tree of hashes takes 55 bytes a row and a page of its
-- own for each; a bloom filter over 64 pages takes 3 bytes a row, is written once, and leaves a few pages to read for a hash. The
-- API's own links name the block, too, and need none of this.
CREATE INDEX token_transfers_tx ON token_transfers
    USING brin (tx_hash bytea_bloom_ops(n_distinct_per_range = 4000, false_positive_rate = 0.001))
    WITH (pages_per_range = 64, autosummarize = on);
CREATE INDEX native_transfers_tx ON native_transfers
    USING brin (tx_hash bytea_bloom_ops(n_distinct_per_range = 4000, false_positive_rate = 0.001))
    WITH (pages_per_range = 64, autosummarize = on);
CREATE INDEX internal_transfers_tx ON internal_transfers
    USING brin (tx_hash bytea_bloom_ops(n_distinct_per_range = 4000, false_positive_rate = 0.001))
    WITH (pages_per_range = 64, autosummarize = on);
