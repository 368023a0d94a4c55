//! Which objects of a schema belong to a set of tables.

use deadpool_postgres::Object;

use super::retired::RETIRED;
use crate::{
    error::StoreError,
    pool::{edition::Edition, store::Store},
};

/// What an object is, as `ALTER` calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    View,
    /// Also a continuous aggregate, although the catalogue calls it a view.
    MaterializedView,
    Sequence,
    Routine,
}

impl Kind {
    pub(crate) const fn is_view(self) -> bool {
        matches!(self, Self::View | Self::MaterializedView)
    }

    pub(crate) const fn sql(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::MaterializedView => "MATERIALIZED VIEW",
            Self::Sequence => "SEQUENCE",
            Self::Routine => "ROUTINE",
        }
    }
}

/// An object of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseObject {
    pub(crate) oid: u32,
    pub(crate) kind: Kind,
    /// Its name without schema.
    pub(crate) name: String,
    /// Its name as SQL writes it, without schema; a routine with its arguments.
    pub(crate) sql_name: String,
    /// The search path that is set on a routine.
    pub(crate) search_path: Option<String>,
}

/// The objects of one set of tables.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    /// As SQL writes it.
    pub(crate) schema: String,
    pub(crate) objects: Vec<DatabaseObject>,
}

impl Inventory {
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &DatabaseObject> {
        self.objects.iter().filter(move |object| object.kind == kind)
    }

    /// Object identifiers of tables, views and sequences.
    pub(crate) fn relations(&self) -> Vec<u32> {
        self.objects.iter().filter(|one| one.kind != Kind::Routine).map(|one| one.oid).collect()
    }

    pub(crate) fn routines(&self) -> Vec<u32> {
        self.of_kind(Kind::Routine).map(|routine| routine.oid).collect()
    }

    /// The object as SQL writes it, with its schema.
    pub(crate) fn qualified(&self, object: &DatabaseObject) -> String {
        format!("{}.{}", self.schema, object.sql_name)
    }

    /// The statement that moves an object of this set into another schema.
    pub(crate) fn move_to(&self, schema: &str, object: &DatabaseObject) -> String {
        format!("ALTER {} {} SET SCHEMA {schema}", object.kind.sql(), self.qualified(object))
    }

    pub(crate) fn has_view(&self, name: &str) -> bool {
        self.objects.iter().any(|object| object.name == name && object.kind.is_view())
    }

    /// The objects of another schema that have the name of an object of this set, now or in an earlier version.
    fn same_names(&self, other: Self) -> Self {
        let is_ours = |object: &DatabaseObject| {
            RETIRED.contains(&&*object.name)
                || self.objects.iter().any(|own| {
                    own.name == object.name
                        && (own.kind == Kind::Routine) == (object.kind == Kind::Routine)
                })
        };
        let objects = other.objects.into_iter().filter(is_ours).collect();
        Self { schema: other.schema, objects }
    }
}

/// The new set, which is everything in its schema, and what belongs to the live one.
pub(super) async fn inventories(
    store: &Store,
    new: &str,
    live: &str,
) -> Result<(Inventory, Inventory), StoreError> {
    let edition = store.edition().await?;
    let client = store.client().await?;
    let new = everything(&client, &edition, new).await?;
    let live = new.same_names(everything(&client, &edition, live).await?);
    Ok((new, live))
}

/// Everything in a schema that belongs neither to an extension nor to a column.
async fn everything(
    client: &Object,
    edition: &Edition,
    schema: &str,
) -> Result<Inventory, StoreError> {
    let relations = client
        .query(
            "SELECT oid, relkind::text, relname::text, quote_ident(relname) FROM pg_class \
             WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'f', 'v', 'm', 'S') \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass \
               AND objid = pg_class.oid AND (deptype = 'e' OR relkind = 'S' AND deptype IN ('a', 'i'))) \
             ORDER BY oid",
            &[&schema],
        )
        .await
        .map_err(StoreError::sql("list tables and views"))?;
    let routines = client
        .query(
            "SELECT oid, proname::text, quote_ident(proname) || '(' || \
             pg_get_function_identity_arguments(oid) || ')', \
             (SELECT substr(setting, length('search_path=') + 1) FROM unnest(proconfig) AS setting \
              WHERE setting LIKE 'search_path=%') \
             FROM pg_proc WHERE pronamespace = to_regnamespace($1) \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass \
               AND objid = pg_proc.oid AND deptype = 'e') ORDER BY oid",
            &[&schema],
        )
        .await
        .map_err(StoreError::sql("list functions"))?;
    let aggregates = continuous_aggregates(client, edition, schema).await?;
    let relation = |row: &tokio_postgres::Row| {
        let name: String = row.get(2);
        let kind = match row.get(1) {
            "S" => Kind::Sequence,
            "m" => Kind::MaterializedView,
            "v" if aggregates.contains(&name) => Kind::MaterializedView,
            "v" => Kind::View,
            _ => Kind::Table,
        };
        DatabaseObject { oid: row.get(0), kind, name, sql_name: row.get(3), search_path: None }
    };
    let routine = |row: &tokio_postgres::Row| DatabaseObject {
        oid: row.get(0),
        kind: Kind::Routine,
        name: row.get(1),
        sql_name: row.get(2),
        search_path: row.get(3),
    };
    let objects = relations.iter().map(relation).chain(routines.iter().map(routine)).collect();
    Ok(Inventory { schema: schema.to_owned(), objects })
}

/// Names of the continuous aggregates of a schema, oldest first: those that are computed from others come after them.
pub(crate) async fn continuous_aggregates(
    client: &Object,
    edition: &Edition,
    schema: &str,
) -> Result<Vec<String>, StoreError> {
    if !matches!(edition, Edition::TimescaleCommunity(_)) {
        return Ok(Vec::new());
    }
    let rows = client
        .query(
            "SELECT view_name::text FROM timescaledb_information.continuous_aggregates \
             WHERE quote_ident(view_schema) = $1 ORDER BY format('%I.%I', view_schema, view_name)::regclass::oid",
            &[&schema],
        )
        .await
        .map_err(StoreError::sql("list continuous aggregates"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use crypto_intel_sandbox::Postgres;
    use tokio_postgres::{Client, NoTls};

    use super::*;
    use crate::{migrate::embedded::MIGRATIONS, rebuild::retired::RETIRED_COLUMNS};

    /// Names of everything in the schema, and columns of tables.
    async fn names(client: &Client) -> (BTreeSet<String>, BTreeSet<String>) {
        let set = async |sql: &str| {
            let rows = client.query(sql, &[]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        };
        let objects = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                       AND relkind <> 't' UNION SELECT proname::text FROM pg_proc \
                       WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend \
                       WHERE objid = pg_proc.oid AND deptype = 'e')";
        let columns = "SELECT relname || '.' || attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
                       WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
                       AND attnum > 0 AND NOT attisdropped";
        (set(objects).await, set(columns).await)
    }

    #[tokio::test]
    async fn names_that_migrations_removed_are_known() {
        let database = Postgres::test_database().await.unwrap();
        let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let (mut objects, mut columns) = (BTreeSet::new(), BTreeSet::new());
        for (name, sql) in MIGRATIONS {
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            let (more, more_columns) = names(&client).await;
            objects.extend(more);
            columns.extend(more_columns);
        }
        let (last, last_columns) = names(&client).await;
        let gone = |all: BTreeSet<String>, last: &BTreeSet<String>, retired: &[&str]| {
            all.into_iter()
                .filter(|name| !last.contains(name) && !retired.contains(&&**name))
                .collect::<Vec<_>>()
        };
        // Columns of a removed table are gone with it.
        columns
            .retain(|column| column.split_once('.').is_none_or(|(table, _)| last.contains(table)));
        assert_eq!(gone(objects, &last, RETIRED), [] as [&str; 0], "add them to RETIRED");
        assert_eq!(gone(columns, &last_columns, RETIRED_COLUMNS), [] as [&str; 0]);
    }
}
