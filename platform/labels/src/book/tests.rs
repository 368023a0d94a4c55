#![allow(clippy::unwrap_used)]

use super::*;
use crate::unpack;

fn info(name: &str, confidence: u8) -> SourceInfo {
    SourceInfo { name: name.into(), licence: "MIT".into(), confidence, ..SourceInfo::default() }
}

fn label(number: u8, chain: &str, category: &str, name: &str) -> Label {
    Label {
        chain: crate::parse_chain(chain).unwrap(),
        address: AccountAddress::from_slice(&[number; 20]).unwrap(),
        category: category.to_owned(),
        name: name.to_owned(),
        detail: String::new(),
        confidence: None,
    }
}

fn book(labels: &[(SourceInfo, Label)]) -> LabelBook {
    let mut builder = BookBuilder::default();
    for (info, label) in labels {
        builder.add(info, label);
    }
    builder.finish()
}

fn found(book: &LabelBook, chain: &str, number: u8) -> Option<(String, Vec<String>)> {
    let address = AccountAddress::from_slice(&[number; 20]).unwrap();
    let known = book.find(book.scope_of(chain), &address)?;
    Some((known.name.to_owned(), known.tags.to_vec()))
}

fn known(name: &str, tags: &[&str]) -> Option<(String, Vec<String>)> {
    Some((name.to_owned(), tags.iter().map(|tag| (*tag).to_owned()).collect()))
}

#[test]
fn own_imports_name_an_address_and_sanctions_stay_visible() {
    let labels = [
        (info("explorers", 60), label(1, "all", "exchange", "Exchange 14")),
        (info("ofac", 100), label(1, "all", "sanctioned", "SOMEBODY")),
        (info("desk", 50), label(1, "all", "customer", "our customer")),
        (info("ofac", 100), label(2, "all", "sanctioned", "SOMEBODY ELSE")),
        (info("explorers", 60), label(2, "all", "exchange", "Exchange 15")),
    ];
    let tags = &["sanctioned", "customer", "exchange"];
    let mut reversed = labels.clone();
    reversed.reverse();
    for book in [book(&labels), book(&reversed)] {
        assert_eq!(found(&book, "base", 1), known("our customer", tags));
        assert_eq!(found(&book, "base", 2), known("SOMEBODY ELSE", &["sanctioned", "exchange"]));
        assert_eq!(found(&book, "base", 3), None);
        assert_eq!(book.len(), 2);
    }
}

#[test]
fn the_surer_of_two_imports_names_it_and_a_source_without_a_name_only_tags() {
    let book = book(&[
        (info("guess", 20), label(1, "all", "exchange", "perhaps")),
        (info("sure", 90), label(1, "all", "bridge", "certainly")),
        (info("zealous", 100), label(1, "all", "phishing", "")),
    ]);
    assert_eq!(found(&book, "x", 1), known("certainly", &["phishing", "bridge", "exchange"]));
}

#[test]
fn a_label_of_one_chain_does_not_hold_on_another_and_those_of_every_chain_hold_beside_it() {
    let book = book(&[
        (info("desk", 90), label(1, "base", "bridge", "bridge on Base")),
        (info("desk", 80), label(1, "all", "deployer", "deployer")),
        (info("desk", 90), label(2, "base", "router", "")),
        (info("desk", 90), label(1, "bsc", "pool", "pool on BSC")),
    ]);
    assert_eq!(found(&book, "base", 1), known("bridge on Base", &["bridge", "deployer"]));
    assert_eq!(found(&book, "bsc", 1), known("pool on BSC", &["pool", "deployer"]));
    assert_eq!(found(&book, "ethereum", 1), known("deployer", &["deployer"]));
    assert_eq!(found(&book, "base", 2), known("", &["router"]));
    assert_eq!(found(&book, "ethereum", 2), None);
}

#[test]
fn what_is_shipped_knows_a_sanctioned_address_an_exchange_and_a_mixer() {
    let mut builder = BookBuilder::default();
    for source in shipped() {
        source.info.validate().unwrap();
        let labels = unpack(source.packed).unwrap();
        assert_eq!(labels.len() as u64, source.info.labels, "{}", source.info.name);
        labels.iter().for_each(|label| builder.add(&source.info, label));
    }
    let book = builder.finish();
    let of = |address: &str| {
        let known = book.find(book.scope_of("ethereum"), &address.parse().unwrap()).unwrap();
        (known.name.to_owned(), known.tags.to_vec())
    };
    let (name, tags) = of("0xd90e2f925da726b50c4ed8d0fb90ad053324f31b");
    // Two sources know it: the list of mixers, and block explorers.
    assert!(name.starts_with("Tornado Cash") && tags == ["mixer", "router"], "{name} {tags:?}");
    assert!(of("0x28c6c06298d514db089934071355e5743bf21d60").1.contains(&"exchange".to_owned()));
    let (name, tags) = of("0x098b716b8aaf21512996dc57eb0615e2383e2f96");
    assert!(tags.contains(&SANCTIONED.to_owned()) && !name.is_empty(), "{name} {tags:?}");
}
