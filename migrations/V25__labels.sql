-- Labels of addresses as rows: what is shipped, and what the bucket `labels` holds (ADR 18). Rows of events do not repeat
-- them: a question joins what it shows, so that a label that is renewed or withdrawn is so everywhere at once.
CREATE TABLE label_sources (
    imported_at  timestamptz,
    listed_on    date,
    precedence   integer NOT NULL,
    confidence   smallint NOT NULL,
    source       text PRIMARY KEY,
    licence      text NOT NULL,
    origin       text NOT NULL,
    version      text NOT NULL
);

COMMENT ON TABLE label_sources IS 'Where labels come from.';
COMMENT ON COLUMN label_sources.imported_at IS 'When it was imported; NULL for a source that comes with the program.';
COMMENT ON COLUMN label_sources.listed_on IS 'The day its labels are of.';
COMMENT ON COLUMN label_sources.precedence IS 'The lowest names an address: 0 for own imports, then those that come with the program.';
COMMENT ON COLUMN label_sources.confidence IS 'How sure its labels are, percent, where a label does not say it itself.';
COMMENT ON COLUMN label_sources.source IS 'Its name.';
COMMENT ON COLUMN label_sources.licence IS 'Under which terms its labels may be used.';
COMMENT ON COLUMN label_sources.origin IS 'Where it was taken from.';
COMMENT ON COLUMN label_sources.version IS 'Changes with its labels: what persist compares.';

CREATE TABLE labels (
    confidence  smallint,
    source      text NOT NULL REFERENCES label_sources ON DELETE CASCADE,
    chain       text NOT NULL,
    category    text NOT NULL,
    name        text,
    detail      text,
    address     bytea NOT NULL,
    PRIMARY KEY (address, chain, category, source)
);

-- A source is replaced as a whole.
CREATE INDEX labels_source ON labels (source);

COMMENT ON TABLE labels IS 'What sources say of addresses.';
COMMENT ON COLUMN labels.confidence IS 'How sure, percent; NULL as the source is.';
COMMENT ON COLUMN labels.source IS 'Who says so.';
COMMENT ON COLUMN labels.chain IS 'Chain slug, or all for every chain.';
COMMENT ON COLUMN labels.category IS 'What it is, such as exchange: a tag of events.';
COMMENT ON COLUMN labels.name IS 'What it is called; NULL where the source has no name for it.';
COMMENT ON COLUMN labels.detail IS 'Remarks of the source.';
COMMENT ON COLUMN labels.address IS 'The address.';

-- As events have it: the name by precedence.
CREATE FUNCTION label_of(of_chain text, of_address bytea) RETURNS text
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT labels.name FROM labels JOIN label_sources USING (source)
    WHERE labels.address = of_address AND labels.chain IN (of_chain, 'all') AND labels.name IS NOT NULL
    ORDER BY precedence, coalesce(labels.confidence, label_sources.confidence) DESC, listed_on DESC NULLS LAST, source,
             category
    LIMIT 1;
END;

COMMENT ON FUNCTION label_of IS 'What an address is called on a chain, by the source that is believed first; NULL where none names it.';

-- As events have it: the categories by all sources, `sanctioned` first.
CREATE FUNCTION tags_of(of_chain text, of_address bytea) RETURNS text[]
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT coalesce(array_agg(category ORDER BY category <> 'sanctioned', category), '{}')
    FROM (
        SELECT DISTINCT category FROM labels WHERE address = of_address AND chain IN (of_chain, 'all')
    ) AS known;
END;

COMMENT ON FUNCTION tags_of IS 'What an address is on a chain by all sources, such as exchange; sanctioned first.';

-- "With whom does this address deal?" as V21 has it, with labels where the watch-list has none.
CREATE OR REPLACE FUNCTION counterparties(
    wallet bytea, since timestamptz, until timestamptz DEFAULT now(), most integer DEFAULT 50)
RETURNS TABLE (
    counterparty bytea, label text, transfers_in bigint, transfers_out bigint, usd_in numeric, usd_out numeric,
    tokens bigint, chains text[], first_at timestamptz, last_at timestamptz)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT counterparty,
           coalesce(
               (SELECT wallets.label FROM wallets WHERE wallets.address = counterparty AND wallets.label IS NOT NULL
                ORDER BY wallets.removed_at IS NOT NULL, wallets.chain = 'all' LIMIT 1),
               label_of(chains[1], counterparty)) AS label,
           transfers_in, transfers_out, usd_in, usd_out, tokens, chains, first_at, last_at
    FROM (
        SELECT counterparty,
               count(*) FILTER (WHERE direction = 'in') AS transfers_in,
               count(*) FILTER (WHERE direction = 'out') AS transfers_out,
               coalesce(sum(usd) FILTER (WHERE direction = 'in'), 0) AS usd_in,
               coalesce(sum(usd) FILTER (WHERE direction = 'out'), 0) AS usd_out,
               count(DISTINCT (chain, token)) AS tokens, array_agg(DISTINCT chain) AS chains,
               min(block_time) AS first_at, max(block_time) AS last_at
        FROM wallet_transfers(wallet, since, until) GROUP BY counterparty
        ORDER BY count(*) DESC, counterparty LIMIT most
    ) AS dealt
    ORDER BY transfers_in + transfers_out DESC, counterparty;
END;

-- persist replaces the labels of a source. One more branch of what the roles may do, whatever else was added to it.
DO $$
DECLARE
    before text := pg_get_functiondef('grant_roles(name[])'::regprocedure);
    branch constant text := $q$IF wanted = 'crypto_intel_writer' AND made.relname IN ('positions'$q$;
    more constant text := $q$IF wanted = 'crypto_intel_writer' AND made.relname IN ('labels', 'label_sources') THEN
                EXECUTE format('GRANT UPDATE, DELETE ON %s TO %I', made.relation, wanted);
            ELS$q$;
BEGIN
    IF strpos(before, branch) = 0 THEN
        RAISE EXCEPTION 'grant_roles has another form than V18 gave it';
    END IF;
    EXECUTE replace(before, branch, more || branch);
END $$;
