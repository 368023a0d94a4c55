use std::collections::BTreeMap;

use crate::source::SourceInfo;

/// What is said of each file, by its name.
const SOURCES: &str = include_str!("../data/sources.toml");

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// The files, first in precedence first.
        const FILES: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("../data/", $name, ".tsv.zst")))),*];
    };
}
files!["ofac", "mixers", "exchanges", "explorers"];

/// Labels that come with the program.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// Whose they are.
    pub info: SourceInfo,
    /// The labels, as [`unpack`](crate::unpack) reads them.
    pub packed: &'static [u8],
}

/// All sources that come with the program, first in precedence first. An import under the name of one replaces it.
#[must_use]
pub fn shipped() -> Vec<Shipped> {
    let mut infos: BTreeMap<String, SourceInfo> = toml::from_str(SOURCES).unwrap_or_default();
    let shipped = |(name, packed): &(&str, &'static [u8])| {
        let info = infos.remove(*name)?;
        Some(Shipped { info: SourceInfo { name: (*name).to_owned(), ..info }, packed })
    };
    FILES.iter().filter_map(shipped).collect()
}
