//! The watch-list as a table (CSV), the same in both directions.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use crypto_intel_schemas::{AccountAddress, WatchChain, WatchEntry, WatchKind, Watched};

/// Problems that are shown at once.
const SHOWN: usize = 10;
/// Its columns, as they are written. They are read in any order; only `address` has to be there.
const COLUMNS: [&str; 8] =
    ["address", "chains", "label", "kind", "group", "owner", "tags", "notes"];
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 4] = ['=', '+', '-', '@'];

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// When it cannot be read, has no line of column names, or has wrong lines: these are named.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Watched>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("read standard input")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    }
    parse(&text).with_context(|| format!("{}: nothing is changed", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Watched>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().context("read the line of column names")?.clone();
    let unknown: Vec<&str> = header.iter().filter(|name| !COLUMNS.contains(name)).collect();
    if !header.iter().any(|name| name == "address") || !unknown.is_empty() {
        let columns = COLUMNS.join(",");
        bail!(
            "the first line names the columns, {columns}: `address` and any of the others{}",
            if unknown.is_empty() {
                String::new()
            } else {
                format!(", and not {}", unknown.join(","))
            }
        );
    }
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        match record {
            Ok(record) => match parse_row(&header, &record) {
                Ok(watched) => entries.extend(watched),
                Err(problem) => {
                    problems.push(format!("line {}: {problem}", line(record.position())));
                }
            },
            Err(error) => problems.push(format!("line {}: {error}", line(error.position()))),
        }
    }
    if problems.len() > SHOWN {
        let more = problems.len() - SHOWN;
        problems.truncate(SHOWN);
        problems.push(format!("and {more} more"));
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(entries)
}

/// The entries of a line: one for each chain.
fn parse_row(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
) -> Result<Vec<Watched>, String> {
    let cell = |name: &str| {
        let at = header.iter().position(|column| column == name);
        let text = at.and_then(|at| record.get(at)).unwrap_or_default();
        // The guard of what began like a formula.
        let guarded = text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA));
        guarded.unwrap_or(text)
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let list = |name: &str| -> Vec<String> {
        let parts = cell(name).split('|').map(str::trim);
        parts.filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
    };
    let address: AccountAddress = cell("address").parse()?;
    let kind = match cell("kind") {
        "" => WatchKind::default(),
        text => text.parse()?,
    };
    let entry = WatchEntry {
        label: some(cell("label")),
        tags: list("tags"),
        kind,
        group: some(cell("group")),
        owner: some(cell("owner")),
        notes: some(cell("notes")),
        added_at_us: 0,
    };
    entry.validate()?;
    let mut chains = list("chains");
    if chains.is_empty() {
        chains.push(WatchChain::All.name().to_owned());
    }
    let watched =
        |chain: String| Ok(Watched { chain: chain.parse()?, address, entry: entry.clone() });
    chains.into_iter().map(watched).collect()
}

/// Writes entries: a line for each address and what is said of it, with its chains.
///
/// # Errors
/// Never in practice: it is written into memory.
pub(super) fn write(entries: &[Watched]) -> anyhow::Result<String> {
    let mut lines: BTreeMap<(AccountAddress, [String; 6]), Vec<&str>> = BTreeMap::new();
    for Watched { chain, address, entry } in entries {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let said = [
            text(&entry.label),
            entry.kind.as_str().to_owned(),
            text(&entry.group),
            text(&entry.owner),
            entry.tags.join("|"),
            text(&entry.notes),
        ];
        lines.entry((*address, said)).or_default().push(chain.name());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for ((address, said), chains) in lines {
        let cells = [address.to_string(), chains.join("|")].into_iter().chain(said);
        writer.write_record(cells.map(|cell| guard(&cell)))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// A spreadsheet must not run what a person called an address.
fn guard(cell: &str) -> String {
    let is_formula = cell.starts_with(FORMULA);
    if is_formula { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ONE: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

    #[test]
    fn what_is_exported_is_imported_as_it_was() {
        let text = format!(
            "\u{feff}notes,address,group,tags,chains,label,owner,kind\r\n\"a, \"\"b\"\"\nc\",{ONE},desk,hot|cold,base|ethereum,'=1+1,Alice,token\r\n,{ONE},,,,,,\r\n"
        );
        let entries = parse(&text).unwrap();
        assert_eq!(entries.len(), 3);
        let first = &entries[0];
        assert_eq!((first.chain.name(), first.entry.label.as_deref()), ("base", Some("=1+1")));
        assert_eq!(first.entry.notes.as_deref(), Some("a, \"b\"\nc"));
        assert_eq!(
            (first.entry.kind, &first.entry.tags[..]),
            (WatchKind::Token, &["hot".to_owned(), "cold".to_owned()][..])
        );
        assert_eq!((entries[2].chain.name(), &entries[2].entry), ("all", &WatchEntry::default()));
        let written = write(&entries).unwrap();
        assert!(written.contains("base|ethereum,'=1+1,"), "{written}");
        let key = |one: &Watched| Watched::key(&one.chain, &one.address);
        let mut again = parse(&written).unwrap();
        let mut entries = entries;
        again.sort_by_key(key);
        entries.sort_by_key(key);
        assert_eq!(again, entries);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let text = format!("address,chains,kind\nhello,,\n{ONE},No Chain,\n{ONE},,cat\n");
        let error = parse(&text).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].starts_with("line 2: \"hello\" is no address"), "{error}");
        assert!(lines[1].contains("No Chain") && lines[2].contains("cat"), "{error}");
        let error = parse(&format!("{ONE},x\n")).unwrap_err().to_string();
        assert!(error.contains("address,chains,label"), "{error}");
        let error = parse("address,color\n").unwrap_err().to_string();
        assert!(error.contains("not color"), "{error}");
    }
}
