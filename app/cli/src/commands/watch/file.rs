//! Many addresses in a file.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use crypto_intel_schemas::{Address, WatchChain, WatchEntry, Watched};

/// Problems that are shown at once.
const SHOWN: usize = 10;

/// Reads a file, or standard input for `-`. Each address is watched on `chain`, as what `common` says, with its tags beside
/// the line's own.
///
/// # Errors
/// When it cannot be read, has no address, or has lines that are none: these are named.
pub(super) fn read(
    path: &Path,
    chain: &WatchChain,
    common: &WatchEntry,
) -> anyhow::Result<Vec<Watched>> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("read standard input")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    }
    parse(&text, chain, common).with_context(|| format!("{}: nothing is changed", path.display()))
}

fn parse(text: &str, chain: &WatchChain, common: &WatchEntry) -> anyhow::Result<Vec<Watched>> {
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line, chain, common) {
            Ok(watched) => entries.push(watched),
            Err(problem) => problems.push(format!("line {}: {problem}", index + 1)),
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
    if entries.is_empty() {
        bail!("there is no address: write a line each, ADDRESS,LABEL,TAG");
    }
    Ok(entries)
}

fn parse_line(line: &str, chain: &WatchChain, common: &WatchEntry) -> Result<Watched, String> {
    let mut fields = line.split(',').map(str::trim);
    let address = fields.next().unwrap_or_default();
    let is_address = address.len() == 42 && address.starts_with("0x");
    let address = address
        .parse::<Address>()
        .ok()
        .filter(|_| is_address)
        .ok_or_else(|| format!("{address:?} is no address: write 0x and 40 hex digits"))?;
    let mut entry = common.clone();
    if let Some(label) = fields.next().filter(|label| !label.is_empty()) {
        entry.label = Some(label.to_owned());
    }
    for tag in fields.filter(|tag| !tag.is_empty()) {
        if !entry.tags.iter().any(|known| known == tag) {
            entry.tags.push(tag.to_owned());
        }
    }
    entry.validate()?;
    Ok(Watched { chain: chain.clone(), address: address.into(), entry })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ONE: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

    #[test]
    fn a_line_is_an_address_its_label_and_its_tags() {
        let common = WatchEntry { tags: vec!["all".into()], ..WatchEntry::default() };
        let text = format!("\u{feff}# wallets\r\n\r\n{ONE}\r\n {ONE} , our desk ,hot, all,\n");
        let entries = parse(&text, &WatchChain::All, &common).unwrap();
        let told: Vec<_> = entries.iter().map(|one| (&one.entry.label, &one.entry.tags)).collect();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], (&None, &vec!["all".to_owned()]));
        assert_eq!(told[1], (&Some("our desk".into()), &vec!["all".into(), "hot".into()]));
    }

    #[test]
    fn every_line_that_is_none_is_named() {
        let long = "x".repeat(65);
        let text = format!("{ONE}\nhello\n5fbdb2315678afecb367f032d93f642f64180aa3\n{ONE},{long}");
        let error = parse(&text, &WatchChain::All, &WatchEntry::default()).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].starts_with("line 2: \"hello\" is no address"), "{error}");
        assert!(lines[1].starts_with("line 3:") && lines[2].starts_with("line 4:"), "{error}");
        assert!(parse("# none\n", &WatchChain::All, &WatchEntry::default()).is_err());
    }
}
