use std::path::{Path, PathBuf};

use alloy_primitives::{Keccak256, hex};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::rules::{self, RuleProblem, RuleSet};

/// The texts of rule files, as they were read together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RuleTexts {
    /// Path and text of each, in the order of the configuration.
    files: Vec<(PathBuf, String)>,
    /// Paths with `*` that name no file.
    #[serde(default)]
    unmatched: Vec<PathBuf>,
}

impl RuleTexts {
    /// Path and text of each file, in the order of the configuration.
    pub(super) fn files(&self) -> &[(PathBuf, String)] {
        &self.files
    }

    /// Reads the files that paths name; what cannot be read is a problem of the set.
    pub(crate) fn read(paths: &[PathBuf]) -> (Self, Vec<RuleProblem>) {
        let mut texts = Self::default();
        let mut problems = Vec::new();
        for path in paths {
            let files = rules::files_of(path).unwrap_or_else(|error| {
                problems.push(rules::unreadable(path, &error));
                Vec::new()
            });
            if files.is_empty() {
                texts.unmatched.push(path.clone());
            }
            for file in files {
                match std::fs::read_to_string(&file) {
                    Ok(text) => texts.files.push((file, text)),
                    Err(error) => problems.push(rules::unreadable(&file, &error)),
                }
            }
        }
        (texts, problems)
    }

    /// The same beside everything else: a disk or a network may take its time.
    pub(crate) async fn read_aside(paths: &[PathBuf]) -> anyhow::Result<(Self, Vec<RuleProblem>)> {
        let paths = paths.to_vec();
        let read = tokio::task::spawn_blocking(move || Self::read(&paths));
        read.await.context("read the rule files")
    }

    /// Names this very set: the same texts under the same names.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Keccak256::new();
        for (path, text) in &self.files {
            for part in [path.to_string_lossy().as_ref(), text] {
                hasher.update((part.len() as u64).to_be_bytes());
                hasher.update(part);
            }
        }
        hex::encode(&hasher.finalize()[..8])
    }

    /// The rules of these texts, if nothing is wrong with them.
    pub(crate) fn compile(
        &self,
        known_destinations: Option<&[String]>,
    ) -> Result<RuleSet, Vec<RuleProblem>> {
        let files = self.files.iter().map(|(path, text)| (path.as_path(), text.as_str()));
        let files: Vec<(&Path, &str)> = files.collect();
        let rules = RuleSet::of_files(&files, self.unmatched.clone(), known_destinations)?;
        Ok(rules.with_digest(self.digest()))
    }
}

/// Reads and checks rule files. A path may be a file, or have `*` in its last part. Routes are not checked where the
/// destinations are not known.
///
/// # Errors
/// Everything that is wrong with them, in the order of files and lines.
pub fn load_rules(
    paths: &[PathBuf],
    known_destinations: Option<&[String]>,
) -> Result<RuleSet, Vec<RuleProblem>> {
    let (texts, mut problems) = RuleTexts::read(paths);
    match texts.compile(known_destinations) {
        Ok(rules) if problems.is_empty() => Ok(rules),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}
