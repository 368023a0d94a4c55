//! Which columns of a live table can be copied into the new one.

use std::collections::BTreeMap;

use crate::{error::StoreError, pool::store::Store, tables::Table};

/// Tables that each set has for itself: they are not copied, except positions of other streams.
const BOOKKEEPING: [&str; 3] = ["positions", "refinery_schema_history", "storage_retention"];

/// Columns that rows of earlier versions had in another form: the new column, the old one, and the new value by it.
const DERIVED: [(&str, &str, &str); 3] = [
    ("block_tag", "block_hash", "block_tag(old.block_hash)"),
    (
        "erc",
        "standard",
        "CASE old.standard WHEN 'erc20' THEN 20 WHEN 'erc721' THEN 721 WHEN 'erc1155' THEN 1155 END",
    ),
    (
        "succeeded",
        "status",
        "CASE old.status WHEN 'success' THEN true WHEN 'failed' THEN false END",
    ),
];

/// How rows of a live table become rows of the new one of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableMatch {
    pub(crate) name: String,
    /// Columns of the new table that old rows have a value for.
    pub(crate) columns: Vec<String>,
    /// These values, of a row `old` of the live table.
    values: Vec<String>,
    /// Whether live rows name their block by its hash, as those of earlier versions did.
    pub(crate) has_block_hash: bool,
    /// Columns of the new table's key.
    pub(crate) key: Vec<String>,
    /// Why no row can be copied.
    pub(crate) obstacle: Option<String>,
}

impl TableMatch {
    /// The columns as a list.
    pub(crate) fn list(&self) -> String {
        self.columns.join(", ")
    }

    /// The values of these columns as a list.
    pub(crate) fn value_list(&self) -> String {
        self.values.join(", ")
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|own| own == column)
    }

    /// `one.a = other.a AND one.b = other.b` over the key.
    pub(crate) fn same_key(&self, one: &str, other: &str) -> String {
        let pairs = self.key.iter().map(|column| format!("{one}.{column} = {other}.{column}"));
        pairs.collect::<Vec<_>>().join(" AND ")
    }
}

/// The tables of both sets that have the same name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matches {
    /// By name.
    pub(crate) tables: BTreeMap<String, TableMatch>,
}

impl Matches {
    pub(crate) fn of(&self, table: Table) -> Option<&TableMatch> {
        self.tables.get(table.name())
    }

    /// Tables that are filled from streams and whose rows belong to no block.
    pub(crate) fn of_no_block(&self) -> impl Iterator<Item = &TableMatch> {
        let of_blocks = |table: &Table| Table::OF_BLOCKS.contains(table) || *table == Table::Blocks;
        let others = Table::ALL.into_iter().filter(move |table| !of_blocks(table));
        others.filter_map(|table| self.of(table))
    }

    /// Tables that no stream fills.
    pub(crate) fn unstreamed(&self) -> impl Iterator<Item = &TableMatch> {
        self.tables.values().filter(|one| {
            !BOOKKEEPING.contains(&&*one.name)
                && !Table::ALL.iter().any(|table| table.name() == one.name)
        })
    }
}

/// Every column of every table in the new schema `$2`, beside that of the live schema `$1`.
const COLUMNS: &str = "
SELECT new.relname::text, quote_ident(own.attname), twin.attname IS NOT NULL,
  own.attnotnull AND NOT own.atthasdef AND own.attidentity = '',
  own.attgenerated <> '' OR own.attidentity = 'a',
  coalesce(own.attnum = ANY (indkey::int2[]), false),
  coalesce(twin.atttypid = own.atttypid OR EXISTS (
    SELECT FROM pg_cast WHERE castsource = twin.atttypid AND casttarget = own.atttypid
    AND castcontext IN ('i', 'a')), false),
  format_type(own.atttypid, own.atttypmod),
  array(SELECT attname::text FROM pg_attribute WHERE attrelid = old.oid AND attnum > 0 AND NOT attisdropped)
FROM pg_class AS new
JOIN pg_class AS old ON old.relname = new.relname AND old.relnamespace = to_regnamespace($1::text)
  AND old.relkind IN ('r', 'p')
JOIN pg_attribute AS own ON own.attrelid = new.oid AND own.attnum > 0 AND NOT own.attisdropped
LEFT JOIN pg_index ON indrelid = new.oid AND indisprimary
LEFT JOIN pg_attribute AS twin ON twin.attrelid = old.oid AND twin.attname = own.attname AND twin.attnum > 0
  AND NOT twin.attisdropped
WHERE new.relnamespace = to_regnamespace($2::text) AND new.relkind IN ('r', 'p')
ORDER BY new.relname, own.attnum";

impl Matches {
    /// Compares the tables of two schemas.
    pub(super) async fn read(store: &Store, live: &str, new: &str) -> Result<Self, StoreError> {
        let client = store.client().await?;
        let rows = client
            .query(COLUMNS, &[&live, &new])
            .await
            .map_err(StoreError::sql("compare columns"))?;
        let mut matches = Self::default();
        for row in &rows {
            let (name, column): (String, String) = (row.get(0), row.get(1));
            let (in_live, is_required, is_generated): (bool, bool, bool) =
                (row.get(2), row.get(3), row.get(4));
            let (in_key, fits, type_name): (bool, bool, String) =
                (row.get(5), row.get(6), row.get(7));
            let in_live_table: Vec<String> = row.get(8);
            let table = matches.tables.entry(name.clone()).or_insert_with(|| TableMatch {
                name,
                columns: Vec::new(),
                values: Vec::new(),
                has_block_hash: in_live_table.iter().any(|column| column == "block_hash"),
                key: Vec::new(),
                obstacle: None,
            });
            let derived = DERIVED.iter().find(|(new, source, _)| {
                !in_live && *new == column && in_live_table.iter().any(|old| old == source)
            });
            let obstacle = match (in_live, in_key) {
                _ if derived.is_some() => None,
                (false, true) => Some(format!("its new key has {column}, which old rows lack")),
                (false, false) if is_required => Some(format!(
                    "its new column {column} has no default, and old rows have no value for it"
                )),
                (true, _) if !is_generated && !fits => Some(format!(
                    "its column {column} is {type_name} now, to which old values cannot be converted"
                )),
                _ => None,
            };
            table.obstacle = table.obstacle.take().or(obstacle);
            if in_key {
                table.key.push(column.clone());
            }
            if let Some((_, _, value)) = derived {
                table.values.push((*value).to_owned());
                table.columns.push(column);
            } else if in_live && !is_generated {
                table.values.push(format!("old.{column}"));
                table.columns.push(column);
            }
        }
        Ok(matches)
    }
}
