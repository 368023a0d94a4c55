#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use crypto_intel_labels::{
    Label, clean_name,
    formats::{Common, Format, Read, read},
    pack, shipped, unpack,
};
use crypto_intel_testkit::recorded_data;

/// The file of each source, and which of its categories are shipped: all of those that a file of exchanges or mixers has.
const FILES: [(&str, &str, &[&str]); 4] = [
    ("ofac", "ofac.tsv", &["sanctioned"]),
    ("mixers", "mixers.tsv", &["mixer"]),
    ("exchanges", "exchanges.tsv", &["exchange"]),
    (
        "explorers",
        "explorer-labels.tsv.gz",
        &["exchange", "bridge", "router", "dex", "mixer", "mev", "miner", "burn", "blocked"],
    ),
];

fn recorded(folder: &Path, file: &str) -> Read {
    let bytes = std::fs::read(folder.join("labels").join(file)).unwrap();
    read(&bytes, Format::Auto, &Common::default()).unwrap()
}

/// The shipped labels of a recorded file: in its order, remarks left out where they only repeat the category.
fn chosen(read: Read, categories: &[&str]) -> Vec<Label> {
    let mut labels = read.labels;
    labels.retain(|label| categories.contains(&label.category.as_str()));
    labels
}

#[test]
fn what_is_shipped_is_what_was_recorded() {
    let Some(folder) = recorded_data() else { return };
    let update = std::env::var_os("UPDATE_LABELS").is_some();
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data");
    for (name, file, categories) in FILES {
        let expected = chosen(recorded(&folder, file), categories);
        if update {
            let text = zstd_text(&pack(&expected).unwrap());
            let packed = zstd::bulk::compress(&text, 19).unwrap();
            std::fs::write(data.join(format!("{name}.tsv.zst")), packed).unwrap();
            println!("{name}: {} labels", expected.len());
            continue;
        }
        let shipped = shipped();
        let source = shipped.iter().find(|source| source.info.name == name).unwrap();
        assert_eq!(unpack(source.packed).unwrap(), expected, "{name}");
    }
}

#[test]
fn every_recorded_file_of_labels_is_read() {
    let Some(folder) = recorded_data() else { return };
    // Lines, those that are no addresses of chains that are followed, and what is wrong with them.
    for (file, labels, wrong) in [
        ("ofac.tsv", 113, 863),
        ("ofac-2024-09.tsv", 156, 0),
        ("malicious.tsv.gz", 14_222, 0),
        ("scamsniffer.tsv.gz", 2_530, 0),
        ("explorer-labels.tsv.gz", 33_007, 0),
        ("exchanges-2020.tsv", 243, 0),
        ("graphsense-tags.tsv.gz", 3_809, 0),
    ] {
        let read = recorded(&folder, file);
        assert_eq!((read.labels.len(), read.wrong.len()), (labels, wrong), "{file}");
        assert!(read.labels.iter().all(|label| label.name == clean_name(&label.name)), "{file}");
    }
}

#[test]
fn a_withdrawn_sanction_is_no_longer_shipped() {
    let Some(folder) = recorded_data() else { return };
    let mixers = recorded(&folder, "mixers.tsv").labels;
    let listed = |labels: &[Label], address| labels.iter().any(|label| label.address == address);
    let before = recorded(&folder, "ofac-2024-09.tsv").labels;
    let now = recorded(&folder, "ofac.tsv").labels;
    let withdrawn = mixers.iter().map(|label| label.address);
    let withdrawn: Vec<_> = withdrawn.filter(|address| listed(&before, *address)).collect();
    assert!(withdrawn.len() >= 48, "{}", withdrawn.len());
    assert!(withdrawn.iter().all(|address| !listed(&now, *address)));
}

fn zstd_text(packed: &[u8]) -> Vec<u8> {
    zstd::bulk::decompress(packed, 64 << 20).unwrap()
}
