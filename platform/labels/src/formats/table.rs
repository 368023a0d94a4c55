use csv::StringRecord;

use super::{Common, Read, Wrong, row::Row};

/// Names that lists have for their columns.
const COLUMNS: &[(Column, &[&str])] = &[
    (Column::Address, &["address", "account", "wallet", "wallet_address", "banned_address"]),
    (Column::Name, &["label", "name", "nametag", "name_tag", "wallet_tag", "entity", "actor"]),
    (Column::Category, &["category", "categories", "tag", "tags", "type", "data_source"]),
    (Column::Chain, &["chain", "network", "currency", "chain_id"]),
    (Column::Detail, &["detail", "details", "description", "notes", "comment"]),
    (Column::Confidence, &["confidence"]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Address,
    Name,
    Category,
    Chain,
    Detail,
    Confidence,
}

/// Columns of a file without a line of names.
const UNNAMED: &[Column] = &[Column::Address, Column::Name, Column::Category];

pub(super) fn read(text: &str, delimiter: u8, common: &Common) -> Read {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        // In files between tabs a quote is a character of a name.
        .quoting(delimiter == b',')
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Option<Column>>> = None;
    let mut found = Read::default();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                found
                    .wrong
                    .push(Wrong { line, problem: format!("not a line of a table: {error}") });
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let known = match &columns {
            Some(columns) => columns,
            None => {
                let named = columns_of(&record);
                let is_header = named.contains(&Some(Column::Address));
                let columns = columns.insert(match is_header {
                    true => named,
                    false => UNNAMED.iter().copied().map(Some).collect(),
                });
                if is_header {
                    continue;
                }
                columns
            }
        };
        found.take(line, row_of(&record, known).labels(common));
    }
    found
}

fn columns_of(record: &StringRecord) -> Vec<Option<Column>> {
    let column_of = |name: &str| {
        let name = name.to_ascii_lowercase();
        COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
    };
    record.iter().map(column_of).collect()
}

fn row_of<'a>(record: &'a StringRecord, columns: &[Option<Column>]) -> Row<'a> {
    let mut row = Row::default();
    for (text, column) in record.iter().zip(columns) {
        match column {
            Some(Column::Address) => row.address = text,
            Some(Column::Name) if row.name.is_empty() => row.name = text,
            Some(Column::Category) => row.categories.extend(text.split(['|', ';', ','])),
            Some(Column::Chain) => row.chain = text,
            Some(Column::Detail) => row.detail = text,
            Some(Column::Confidence) => row.confidence = text,
            Some(Column::Name) | None => {}
        }
    }
    row
}
