//! Recorded blocks, untouched.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::read::GzDecoder;

use crate::node::block::NodeBlock;

const BLOCK_SUFFIX: &str = ".block.json";
const RECEIPTS_SUFFIX: &str = ".receipts.json";

/// The numbers of a chain's recorded blocks that have all their receipts, ascending. `data_dir` holds
/// `evm/<chain>/<number>.block.json[.gz]` and `….receipts.json[.gz]`.
///
/// # Errors
/// Fails when there is no folder for the chain.
pub fn recorded_numbers(data_dir: &Path, chain: &str) -> anyhow::Result<Vec<u64>> {
    let folder = folder(data_dir, chain);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.context("read folder of recorded blocks")?.file_name();
        let Some((number, rest)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let is_block = rest.strip_suffix(".gz").unwrap_or(rest) == &BLOCK_SUFFIX[1..];
        if let Ok(number) = number.parse()
            && is_block
            && existing(&folder, number, RECEIPTS_SUFFIX).is_some()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads recorded blocks, in the order of `numbers`.
///
/// # Errors
/// Fails when a file is missing or is no block.
pub fn load_recorded(
    data_dir: &Path,
    chain: &str,
    numbers: &[u64],
) -> anyhow::Result<Vec<NodeBlock>> {
    let folder = folder(data_dir, chain);
    let mut blocks = Vec::with_capacity(numbers.len());
    for number in numbers {
        let block = read(&folder, *number, BLOCK_SUFFIX)?;
        let receipts = read(&folder, *number, RECEIPTS_SUFFIX)?;
        let block = NodeBlock::from_json(block.trim(), receipts.trim())
            .with_context(|| format!("read {chain} block {number}"))?;
        blocks.push(block);
    }
    Ok(blocks)
}

fn folder(data_dir: &Path, chain: &str) -> PathBuf {
    data_dir.join("evm").join(chain)
}

fn existing(folder: &Path, number: u64, suffix: &str) -> Option<PathBuf> {
    ["", ".gz"]
        .iter()
        .map(|packed| folder.join(format!("{number}{suffix}{packed}")))
        .find(|path| path.is_file())
}

fn read(folder: &Path, number: u64, suffix: &str) -> anyhow::Result<String> {
    let path = existing(folder, number, suffix).with_context(|| {
        format!("no {number}{suffix} or {number}{suffix}.gz in {}", folder.display())
    })?;
    let mut file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_string(&mut text)
    } else {
        file.read_to_string(&mut text)
    }
    .with_context(|| format!("read {}", path.display()))?;
    Ok(text)
}
