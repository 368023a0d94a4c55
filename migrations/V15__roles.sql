-- Three roles (ADR 5): the owner is whoever migrates; the other two cannot log in, users of a deployment are members of
-- them. Roles belong to the whole server, so databases share them; what they may do is granted in each.
--
--   crypto_intel_writer  what persist needs: insert and read events, delete those of dropped blocks, move positions
--   crypto_intel_reader  reads tables and views, calls the summary functions
--
-- `crypto-intel migrate` calls this after its migrations, each time: new tables are granted, and roles that this user was
-- not allowed to make are taken up once somebody made them. Answers what could not be done.
CREATE FUNCTION grant_roles(tables_of_blocks name[]) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    wanted name;
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
            END IF;
        END LOOP;
        IF wanted = 'crypto_intel_writer' THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION drop_expired TO %I', wanted);
        END IF;
    END LOOP;
END $$;

COMMENT ON FUNCTION grant_roles IS 'Makes the roles crypto_intel_writer and crypto_intel_reader where it may, and grants them what they need.';

-- What makes or changes things is the owner's alone.
REVOKE EXECUTE ON FUNCTION partition_by_time, size_chunks, use_column_store, make_rollup, grant_roles FROM PUBLIC;
