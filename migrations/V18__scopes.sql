-- A chain may be followed for a part of its events. Its blocks then say for which.

ALTER TABLE blocks ADD COLUMN scope_version integer;
ALTER TABLE blocks ADD COLUMN scope_digest text;
ALTER TABLE blocks ADD COLUMN covers_from bigint;

COMMENT ON COLUMN blocks.scope_version IS 'Which of the chain''s scopes the block is complete for, counted from 1; NULL: everything.';
COMMENT ON COLUMN blocks.scope_digest IS 'Digest of that scope, equal for equal scopes; NULL: everything.';
COMMENT ON COLUMN blocks.covers_from IS 'The row also stands for the blocks from this number up to its own that have no row: none of them has an event in the scope.';

CREATE OR REPLACE VIEW v_blocks AS
SELECT chain, block_number, hex_text(block_hash) AS block_hash_text, block_time, canonical, incarnation, event_rows,
       transactions, gas_used, gas_limit, base_fee_per_gas, finalized_number, observed_at, stored_at,
       scope_version, scope_digest, covers_from
FROM blocks;
COMMENT ON COLUMN v_blocks.scope_version IS 'Which of the chain''s scopes the block is complete for, counted from 1; NULL: everything.';
COMMENT ON COLUMN v_blocks.scope_digest IS 'Digest of that scope, equal for equal scopes; NULL: everything.';
COMMENT ON COLUMN v_blocks.covers_from IS 'The row also stands for the blocks from this number up to its own that have no row: none of them has an event in the scope.';
COMMENT ON COLUMN token_transfers.tx_from IS 'Sender of the transaction; NULL where the endpoint gave no transaction, or the chain''s scope needs none.';

-- Events of a narrow scope may lack sender, receiver and method of their transaction, and labels that follow from those. When
-- the block comes again for a wider scope, they get them: the only columns of events that a writer may change.
CREATE OR REPLACE FUNCTION grant_roles(tables_of_blocks name[]) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    wanted name;
    party name;
    made record;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['crypto_intel_writer', 'crypto_intel_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'this user may not make the role %: its rights are not granted', wanted;
                    RETURN NEXT format(
                        'this user may not make the role %s: let somebody run CREATE ROLE %s, then migrate again', wanted, wanted);
                    CONTINUE;
                -- Another database of the server is being migrated, too.
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF NOT has_schema_privilege(wanted, current_schema(), 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), wanted);
        END IF;
        FOR made IN
            SELECT oid::regprocedure AS signature FROM pg_proc
            WHERE pronamespace = quote_ident(current_schema())::regnamespace AND provolatile <> 'v'
              AND pg_has_role(proowner, 'USAGE')
              AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
        LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', made.signature, wanted);
        END LOOP;
        FOR made IN
            SELECT oid::regclass AS relation, relkind, relname FROM pg_class
            WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind IN ('r', 'v')
              AND pg_has_role(relowner, 'USAGE')
              AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        LOOP
            IF wanted = 'crypto_intel_reader' THEN
                EXECUTE format('GRANT SELECT ON %s TO %I', made.relation, wanted);
            ELSIF made.relname IN ('storage_retention', 'refinery_schema_history') THEN
                EXECUTE format('GRANT SELECT ON %s TO %I', made.relation, wanted);
            ELSIF made.relkind = 'r' THEN
                EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', made.relation, wanted);
            END IF;
            IF wanted = 'crypto_intel_writer' AND made.relname IN ('positions', 'blocks', 'wallets') THEN
                EXECUTE format('GRANT UPDATE ON %s TO %I', made.relation, wanted);
            ELSIF wanted = 'crypto_intel_writer' AND made.relname = ANY (tables_of_blocks) THEN
                EXECUTE format('GRANT DELETE ON %s TO %I', made.relation, wanted);
                FOR party IN
                    SELECT attname FROM pg_attribute
                    WHERE attrelid = made.relation AND attname IN ('tx_from', 'tx_to', 'method', 'watched') AND NOT attisdropped
                LOOP
                    EXECUTE format('GRANT UPDATE (%I) ON %s TO %I', party, made.relation, wanted);
                END LOOP;
            END IF;
        END LOOP;
        IF wanted = 'crypto_intel_writer' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION drop_expired TO %I', wanted);
        END IF;
    END LOOP;
END $$;

