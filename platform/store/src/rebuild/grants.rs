//! Copies grants and storage options of the live tables to the new ones.

use deadpool_postgres::Object;

use super::inventory::Inventory;
use crate::error::{StoreError, describe};

/// Statements that grant on the new set (schema `$3`) what was granted on the live one: `$1` its relations, `$2` its routines.
/// The migrations' own grants exist already.
const GRANTS: &str = "
WITH given AS (
  SELECT old.oid, acl.*, CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END AS whom
  FROM pg_class AS old CROSS JOIN LATERAL aclexplode(old.relacl) AS acl
  WHERE old.oid = ANY ($1::oid[]) AND acl.grantee <> old.relowner)
SELECT format('GRANT %s ON %s %s TO %s%s', privilege_type,
              CASE new.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, new.oid::regclass, whom,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM given JOIN pg_class AS old USING (oid)
JOIN pg_class AS new ON new.relname = old.relname AND new.relnamespace = to_regnamespace($3::text)
WHERE NOT EXISTS (SELECT FROM aclexplode(new.relacl) AS own
  WHERE own.grantee = given.grantee AND own.privilege_type = given.privilege_type)
UNION ALL
SELECT format('GRANT %s (%I) ON TABLE %s TO %s', acl.privilege_type, column_of.attname, new.oid::regclass,
              CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
FROM pg_attribute AS column_of CROSS JOIN LATERAL aclexplode(column_of.attacl) AS acl
JOIN pg_class AS old ON old.oid = attrelid
JOIN pg_class AS new ON new.relname = old.relname AND new.relnamespace = to_regnamespace($3::text)
JOIN pg_attribute AS twin ON twin.attrelid = new.oid AND twin.attname = column_of.attname
WHERE old.oid = ANY ($1::oid[])
UNION ALL
SELECT format('GRANT EXECUTE ON ROUTINE %s TO %s', new.oid::regprocedure,
              CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END)
FROM pg_proc AS old CROSS JOIN LATERAL aclexplode(old.proacl) AS acl
JOIN pg_proc AS new ON new.proname = old.proname AND new.proargtypes = old.proargtypes
  AND new.pronamespace = to_regnamespace($3::text)
WHERE old.oid = ANY ($2::oid[]) AND acl.grantee <> old.proowner
UNION ALL
SELECT format('ALTER TABLE %s SET (%s)', new.oid::regclass, array_to_string(old.reloptions, ', '))
FROM pg_class AS old JOIN pg_class AS new ON new.relname = old.relname AND new.relnamespace = to_regnamespace($3::text)
WHERE old.oid = ANY ($1::oid[]) AND old.relkind = 'r' AND new.relkind = 'r' AND old.reloptions IS DISTINCT FROM new.reloptions
  AND old.reloptions IS NOT NULL";

/// Gives the new set the grants and options of the live one; returns the statements that the server refuses, and why:
/// TimescaleDB refuses grants on single columns of a table in its column store.
pub(super) async fn copy(
    client: &Object,
    live: &Inventory,
    new: &Inventory,
) -> Result<Vec<String>, StoreError> {
    let rows = client
        .query(GRANTS, &[&live.relations(), &live.routines(), &new.schema])
        .await
        .map_err(StoreError::sql("read grants and options of the live tables"))?;
    let statements: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let fail = || StoreError::sql("give the same grants and options to the new tables");
    let mut left_out = Vec::new();
    for statement in statements {
        client.batch_execute("SAVEPOINT granted").await.map_err(fail())?;
        let after = match client.batch_execute(&statement).await {
            Ok(()) => "RELEASE SAVEPOINT granted",
            Err(error) if error.code().is_some() => {
                left_out.push(format!("{statement}: {}", describe(&error)));
                "ROLLBACK TO SAVEPOINT granted; RELEASE SAVEPOINT granted"
            }
            Err(lost) => return Err(fail()(lost)),
        };
        client.batch_execute(after).await.map_err(fail())?;
    }
    Ok(left_out)
}
