//! The files of a deployment match the specifications of the roles: users, secrets, services, targets, tables.

mod nats;
mod services;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crypto_intel_cli::Role;
use crypto_intel_nats::{RoleSpec, Topology};

/// Users of NATS besides those of the roles.
const ADMIN: &str = "admin";
const READER: &str = "reader";

/// In the order of their work: producers first.
fn roles() -> Vec<&'static RoleSpec> {
    Role::ALL.into_iter().rev().map(Role::spec).collect()
}

/// Every user of NATS.
fn users() -> Vec<&'static str> {
    [ADMIN].into_iter().chain(roles().iter().map(|role| role.name)).chain([READER]).collect()
}

/// Every file with parts that are generated from the specifications, and these parts by name.
fn files() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let topology = Topology::embedded().unwrap();
    vec![
        ("nats/server.conf", vec![("accounts", nats::accounts(&roles(), &topology))]),
        ("docs/operations.md", vec![("permissions", nats::table(&roles(), &topology))]),
        ("deploy/secrets.sh", vec![("users", services::secret_users())]),
        (
            "compose.yaml",
            vec![
                ("nats passwords", services::nats_passwords()),
                ("roles", services::compose_roles()),
                ("secrets", services::compose_secrets()),
            ],
        ),
        ("deploy/prometheus/prometheus.yml", vec![("targets", services::compose_targets())]),
        ("deploy/prometheus/systemd-targets.yml", vec![("targets", services::systemd_targets())]),
    ]
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text with another body between the lines that mark the part `name`.
fn with_part(text: &str, name: &str, body: &str) -> Option<String> {
    let begin = format!(">>> made of the roles: {name}");
    let end = format!("<<< made of the roles: {name}");
    let lines: Vec<&str> = text.lines().collect();
    let line_with = |mark: &str| lines.iter().position(|line| line.contains(mark));
    let (begin, end) = (line_with(&begin)?, line_with(&end)?);
    let before = lines.get(..=begin)?.iter().copied();
    let after = lines.get(end..)?.iter().copied();
    let all: Vec<&str> = before.chain(body.trim_end().lines()).chain(after).collect();
    Some(all.join("\n") + "\n")
}

#[test]
fn every_part_generated_from_the_roles_is_current() {
    let mut stale = Vec::new();
    for (path, parts) in files() {
        let file = repository().join(path);
        let found = std::fs::read_to_string(&file).unwrap();
        let mut wanted = found.clone();
        for (name, body) in parts {
            wanted = with_part(&wanted, name, &body)
                .unwrap_or_else(|| panic!("{path} has no lines that mark the part {name}"));
        }
        if wanted != found {
            stale.push(path);
        }
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&file, wanted).unwrap();
        }
    }
    let is_update = std::env::var_os("UPDATE_REFERENCE").is_some();
    assert!(is_update || stale.is_empty(), "out of date: {stale:?}: run `make generate`");
}

/// What compose starts with is what `init` writes.
#[test]
fn the_rules_of_the_deployment_are_those_that_come_with_the_program() {
    let folder = repository().join("deploy/config/rules");
    let shipped: BTreeMap<String, String> = crypto_intel_alerts::rules_without_routes()
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        for (name, text) in &shipped {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let deployed: BTreeMap<String, String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert_eq!(deployed, shipped, "out of date: run `make generate`");
}

#[test]
fn the_ports_of_units_are_those_of_the_targets() {
    let text = std::fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let names: Vec<&str> = roles().iter().map(|role| role.name).collect();
    let line = format!("for role in {}; do", names.join(" "));
    assert!(text.contains(&line), "docs/operations.md gives ports in another order than {line:?}");
}

/// Each unit gets the secrets of its role and no other.
#[test]
fn systemd_hands_each_role_its_own_secrets() {
    let folder = repository().join("deploy/systemd");
    let unit = std::fs::read_to_string(folder.join("crypto-intel@.service")).unwrap();
    assert!(unit.contains("secrets/nats_%i_password"));
    for role in roles() {
        let drop_ins = folder.join(format!("crypto-intel@{}.service.d", role.name));
        let texts: Vec<String> = drop_ins
            .read_dir()
            .into_iter()
            .flatten()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        let text = texts.concat();
        for secret in role.secrets {
            let variable = secret.key.to_uppercase().replace('.', "__");
            assert!(text.contains(&format!("CRYPTO_INTEL__{variable}_FILE=")), "{}", role.name);
        }
        assert_eq!(text.contains("DATABASE"), role.database_user.is_some(), "{}", role.name);
    }
}
