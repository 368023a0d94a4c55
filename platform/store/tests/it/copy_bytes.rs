//! The copied bytes: per table its statement, per kind of its events the hash of the body.

use std::{fmt::Write as _, fs, path::Path};

use alloy_primitives::keccak256;
use crypto_intel_schemas::{Block, Event, Kind, samples};
use crypto_intel_store::{RowSet, Table};

/// A marker with every field, and one with the required fields only.
fn markers() -> [Block; 2] {
    [samples::sample(Kind::Block), samples::sample_minimal(Kind::Block)].map(|event| match event {
        Event::Block(marker) => marker,
        other => panic!("{other:?}"),
    })
}

/// The samples of a kind as rows; no rows where the kind has no table.
fn rows_of(kind: Kind) -> RowSet {
    let mut rows = RowSet::default();
    for (message, event) in
        [samples::sample(kind), samples::sample_minimal(kind)].iter().enumerate()
    {
        rows.add(event, 7, message as u32).unwrap();
    }
    if kind == Kind::Block {
        for (message, marker) in markers().iter().enumerate() {
            rows.add_block(marker, 5_000_000, message == 0, message as u32).unwrap();
            rows.add_block_gas(marker, 7, message as u32).unwrap();
        }
    }
    rows
}

#[test]
fn rows_are_copied_byte_for_byte_as_before() {
    let mut text = String::new();
    for table in Table::ALL {
        writeln!(text, "{}", table.copy_sql()).unwrap();
        for &kind in Kind::ALL {
            let rows = rows_of(kind);
            for row in rows.table(table).rows() {
                let (body, _) = rows.table(table).copy_body(|one| one == row);
                let (bytes, hash) = (body.len(), keccak256(&body));
                writeln!(text, "    {kind} {}: {bytes} bytes, {hash}", row.message).unwrap();
            }
            let mut reduced = rows.clone();
            reduced.sort_and_reduce();
            if !reduced.table(table).is_empty() {
                let keys = reduced.table(table).len();
                writeln!(text, "    {kind}: {keys} of {} by key", rows.table(table).len()).unwrap();
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/copy.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "run the test with UPDATE_GOLDEN=1");
}
