//! Recorded answers of explorers, read by us and by a program of its own, and merged page by page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, path::Path};

use crypto_intel_testkit::{python, recorded_data};
use serde_json::{Value, json};

use super::{
    answer::{self, Verdict},
    claim::Claimed,
    list::List,
    rows,
};

/// What an answer is, in the words of `tests/recorded_explorers.py`.
fn told(path: &Path, list: List) -> Value {
    let body = std::fs::read(path).unwrap();
    let name = path.to_string_lossy().into_owned();
    let claims = match answer::read(&body, 0) {
        Verdict::Rows(text) => {
            rows::read(list, text).unwrap_or_else(|error| panic!("{name}: {error}"))
        }
        Verdict::None => Vec::new(),
        Verdict::Wait(..) => return json!([name, "wait"]),
        Verdict::Refused(_) => return json!([name, "refused"]),
        other => panic!("{name}: {other:?}"),
    };
    let mut claims: Vec<Value> = claims
        .iter()
        .map(|claim| {
            let hash = claim.block_hash.map(|hash| format!("{hash:#x}"));
            let what = match &claim.what {
                Claimed::Transaction { hash } => json!(["transaction", format!("{hash:#x}")]),
                Claimed::Payment { from, to, value, .. } => {
                    json!(["payment", format!("{from:#x}"), format!("{to:#x}"), value.to_string()])
                }
                Claimed::Token { hash, contract } => {
                    json!(["token", format!("{hash:#x}"), format!("{contract:#x}")])
                }
                Claimed::Other => json!(["other"]),
            };
            json!([claim.number, hash, what])
        })
        .collect();
    claims.sort_by_key(ToString::to_string);
    json!([name, claims])
}

#[test]
fn recorded_answers_are_read_as_another_program_reads_them() {
    let (Some(data), Some(python)) = (recorded_data(), python(&[])) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded_explorers.py");
    let expected = python.run(&script, &[data.join("api")]).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
    let mut paths = BTreeSet::new();
    for explorer in ["etherscan", "blockscout", "routescan"] {
        for entry in std::fs::read_dir(data.join("api").join(explorer)).unwrap() {
            paths.insert(entry.unwrap().path());
        }
    }
    let lists = List::of(super::config::ExplorerKind::Etherscan);
    let list_of = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_of = |list: &&List| name.starts_with(&format!("account_{}.", list.action()));
        lists.iter().find(is_of).copied()
    };
    let read: Vec<Value> =
        paths.iter().filter_map(|path| Some(told(path, list_of(path)?))).collect();
    assert_eq!(read.len(), expected.len());
    for (ours, theirs) in read.iter().zip(&expected) {
        assert_eq!(ours, theirs);
    }
    let rows = read.iter().filter_map(|one| one[1].as_array()).map(Vec::len).sum::<usize>();
    assert!(rows > 250, "{rows}");
}
