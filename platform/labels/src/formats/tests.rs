#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;

const ONE: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
const TWO: &str = "0x00000000219ab540356cbb839cbe05303d7705fa";

fn told(read: &Read) -> Vec<(String, String, String, String)> {
    let one = |label: &Label| {
        let chain = label.chain.name().to_owned();
        (chain, label.address.to_string(), label.category.clone(), label.name.clone())
    };
    read.labels.iter().map(one).collect()
}

fn label(
    chain: &str,
    address: &str,
    category: &str,
    name: &str,
) -> (String, String, String, String) {
    (chain.into(), address.into(), category.into(), name.into())
}

#[test]
fn a_table_is_read_by_the_names_of_its_columns_in_any_order() {
    let text = format!(
        "\u{feff}Network,Label,Address,Tags,Confidence\r\nbep20,\"Desk, \"\"one\"\"\",{ONE},Exchange|hot wallet,80\r\n\r\n,,{TWO},bridge,\r\n"
    );
    let read = read(text.as_bytes(), Format::Auto, &Common::default()).unwrap();
    assert_eq!(read.wrong, []);
    let name = "Desk, \"one\"";
    let expected = [
        label("bsc", ONE, "exchange", name),
        label("bsc", ONE, "hot_wallet", name),
        label("all", TWO, "bridge", ""),
    ];
    assert_eq!(told(&read), expected);
    assert_eq!(read.labels[0].confidence, Some(80));
}

#[test]
fn every_line_that_is_none_is_named_and_the_others_are_read() {
    let text = format!("{ONE},desk,exchange\nhello,x,exchange\n{TWO}\n{TWO},x,no/category\n");
    let found = read(text.as_bytes(), Format::Auto, &Common::default()).unwrap();
    assert_eq!(told(&found), [label("all", ONE, "exchange", "desk")]);
    let wrong: Vec<(u64, &str)> =
        found.wrong.iter().map(|wrong| (wrong.line, wrong.problem.as_str())).collect();
    assert!(
        matches!(
            wrong.as_slice(),
            [(2, not_an_address), (3, no_category), (4, bad_category)]
                if not_an_address.contains("is no address")
                    && no_category.contains("--category")
                    && bad_category.contains("no/category")
        ),
        "{wrong:?}"
    );
    let common = Common { category: Some("scam".into()), chain: Some("base".into()) };
    let found = read(text.as_bytes(), Format::Auto, &common).unwrap();
    assert_eq!(told(&found)[1], label("base", TWO, "scam", ""));
}

#[test]
fn json_of_public_lists_is_read() {
    let common = Common { category: Some("phishing".into()), chain: None };
    let list = format!(
        "[\"{ONE}\", {{\"address\": \"{TWO}\", \"label\": \"b\", \"category\": \"scam\"}}, 5]"
    );
    let found = read(list.as_bytes(), Format::Auto, &common).unwrap();
    assert_eq!(told(&found), [label("all", ONE, "phishing", ""), label("all", TWO, "scam", "b")]);
    assert_eq!(found.wrong.len(), 1);
    let map = format!(
        "{{\"{ONE}\": {{\"name\": \"Router\", \"labels\": [\"dex\", \"uniswap\"]}}, \"{TWO}\": \"Mine\"}}"
    );
    let found = read(map.as_bytes(), Format::Json, &common).unwrap();
    let expected = [
        label("all", ONE, "dex", "Router"),
        label("all", ONE, "uniswap", "Router"),
        label("all", TWO, "phishing", "Mine"),
    ];
    assert_eq!(told(&found), expected);
    assert!(matches!(read(b"{", Format::Auto, &common), Err(FileError::Json(_))));
    assert!(matches!(read(b"5", Format::Json, &common), Err(FileError::Form(_))));
}

#[test]
fn a_list_of_sanctions_says_its_day_and_leaves_other_families_out() {
    let text = format!(
        r#"{{"metadata": {{"sdnListDate": "8/20/2026"}}, "addresses": {{
            "tniq9axbp9ejuqhdhrwrfvaa8u3guqzh81": {{"entries": []}},
            "{ONE}": {{"entries": [{{"entity": "SOMEBODY", "program": "CYBER2", "type": "Digital Currency Address - ETH", "uid": "7"}}]}}}}}}"#
    );
    let found = read(text.as_bytes(), Format::Auto, &Common::default()).unwrap();
    assert_eq!(told(&found), [label("all", ONE, "sanctioned", "SOMEBODY")]);
    assert_eq!(found.labels[0].detail, "OFAC SDN; program CYBER2; asset ETH; uid 7");
    assert_eq!((found.foreign, found.date.as_deref()), (1, Some("2026-08-20")));
}

#[test]
fn gzipped_files_are_read_and_damaged_ones_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write!(gzip, "chain\taddress\tcategory\tlabel\tdetail\nevm\t{ONE}\tscam\t5\" pipe\tx\n")
        .unwrap();
    let packed = gzip.finish().unwrap();
    let found = read(&packed, Format::Auto, &Common::default()).unwrap();
    assert_eq!(told(&found), [label("all", ONE, "scam", "5\" pipe")]);
    let half = &packed[..packed.len() / 2];
    assert!(matches!(read(half, Format::Auto, &Common::default()), Err(FileError::Gzip(_))));
    assert!(matches!(read(&[0xff], Format::Auto, &Common::default()), Err(FileError::Text(_))));
}
