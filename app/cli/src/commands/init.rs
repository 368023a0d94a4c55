//! `crypto-intel init`: a commented configuration to start from.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::{args::InitArguments, config::DEFAULT_FILE, output::line};

const CONFIGURATION: &str = include_str!("../../assets/crypto-intel.toml");

/// What a new user does next, in an order in which every step succeeds.
const NEXT: &str = "next:
  1. edit it: NATS, chains, destinations, and a database if rows are wanted
  2. crypto-intel streams apply    makes the streams on the NATS server
  3. crypto-intel migrate          makes the tables; only with a database
  4. crypto-intel check            tries every server, provider, endpoint and chat
  5. crypto-intel run              all roles that are configured; `crypto-intel status` shows them";

pub(crate) fn run(options: &InitArguments) -> anyhow::Result<ExitCode> {
    let mut files = vec![(options.folder.join(DEFAULT_FILE), CONFIGURATION.to_owned())];
    let rules = crypto_intel_alerts::rules_without_routes().into_iter();
    files.extend(rules.map(|(name, text)| (options.folder.join("rules").join(name), text)));
    if !options.force
        && let Some((path, _)) = files.iter().find(|(path, _)| path.exists())
    {
        bail!("{} is there already; --force overwrites it", path.display());
    }
    for (path, text) in &files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        line(&format!("wrote {}", path.display()))?;
    }
    line(NEXT)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AppConfig;

    fn load(text: &str) -> Result<AppConfig, crate::ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_FILE);
        fs::write(&path, text).unwrap();
        AppConfig::load_from(Some(&path), [], &serde_json::json!({}))
    }

    #[test]
    fn the_written_configuration_is_valid_and_shows_defaults() {
        let written = load(CONFIGURATION).unwrap();
        assert!(written.evm.chains.contains_key("ethereum"));
        let defaults = AppConfig::default();
        let mut shown = 0;
        for commented in CONFIGURATION.lines().filter_map(|line| line.strip_prefix("# ")) {
            shown +=
                usize::from(commented.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')));
        }
        assert!(shown > 5, "the template shows options");
        assert_eq!(written.telemetry, defaults.telemetry);
    }

    #[test]
    fn every_commented_option_exists() {
        let mut text = String::new();
        for line in CONFIGURATION.lines() {
            let uncommented = line.strip_prefix("# ").unwrap_or(line);
            let is_option = uncommented.starts_with('[')
                || uncommented.split_once(" = ").is_some_and(|(key, _)| {
                    key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
                });
            // Secrets and addresses of the examples do not exist on this machine.
            let is_example = uncommented.contains("_file = ") || uncommented.contains('…');
            if (line == uncommented || is_option) && !is_example {
                text.push_str(uncommented);
            }
            text.push('\n');
        }
        let error = load(&text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!error.contains("unknown key"), "{error}\n{text}");
    }
}
