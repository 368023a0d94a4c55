//! Checks provider files as the program does at its start, and shows what their examples give.
//!
//! `check_provider FILE_OR_FOLDER...` prints the events of each example, or what is wrong.
//!
//! `check_provider --answer ANSWER PROVIDER.toml ENDPOINT [--parameters JSON]` reads a recorded answer as if the endpoint
//! had given it, and prints one JSON object a line: `{"event": …}`, `{"problem": …}`, `{"missing": …}` or `{"error": …}`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use crypto_intel_poll::{Trial, try_examples};
use serde_json::json;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("--answer") => read_answer(&arguments[1..]),
        Some(_) => check_files(&arguments),
        None => Err(anyhow::anyhow!(
            "give files or folders, or --answer ANSWER PROVIDER.toml ENDPOINT [--parameters JSON]"
        )),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(64)
        }
    }
}

/// Whether all files are right.
fn check_files(arguments: &[String]) -> anyhow::Result<bool> {
    let mut wrong = 0;
    let paths = files(arguments)?;
    for path in &paths {
        let origin = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("read {origin}"))?;
        match try_examples(&origin, &text) {
            Ok(examples) => {
                for (endpoint, events) in examples {
                    println!("{origin}: {endpoint}: {} events", events.len());
                    for event in events {
                        println!("  {}", event.to_json());
                    }
                }
            }
            Err(error) => {
                wrong += 1;
                println!("WRONG {error}");
            }
        }
    }
    println!("{} files, {wrong} wrong", paths.len());
    Ok(wrong == 0)
}

fn files(arguments: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if !path.is_dir() {
            paths.push(path.to_owned());
            continue;
        }
        for entry in fs::read_dir(path).with_context(|| format!("read {argument}"))? {
            let inner = entry?.path();
            if inner.extension().is_some_and(|extension| extension == "toml") {
                paths.push(inner);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether the answer gives events.
fn read_answer(arguments: &[String]) -> anyhow::Result<bool> {
    let (answer, provider, endpoint, parameters) = match arguments {
        [answer, provider, endpoint] => (answer, provider, endpoint, "{}"),
        [answer, provider, endpoint, flag, parameters] if flag == "--parameters" => {
            (answer, provider, endpoint, parameters.as_str())
        }
        _ => bail!("--answer ANSWER PROVIDER.toml ENDPOINT [--parameters JSON]"),
    };
    let parameters = serde_json::from_str(parameters).context("read --parameters")?;
    let body = fs::read(answer).with_context(|| format!("read {answer}"))?;
    let text = fs::read_to_string(provider).with_context(|| format!("read {provider}"))?;
    match Trial::new(provider, &text, parameters)?.read(endpoint, body)? {
        Ok(read) => {
            for event in read.events {
                println!("{}", json!({ "event": event.to_json() }));
            }
            for problem in read.problems {
                println!("{}", json!({ "problem": problem }));
            }
            for missing in read.missing {
                println!("{}", json!({ "missing": missing }));
            }
            Ok(true)
        }
        Err(error) => {
            println!("{}", json!({ "error": error.to_string(), "outcome": error.outcome() }));
            Ok(false)
        }
    }
}
