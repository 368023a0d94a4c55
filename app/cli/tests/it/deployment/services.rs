//! Secrets, services and targets.

use std::fmt::Write as _;

use crypto_intel_nats::{PortSpec, RoleSpec};

use super::{roles, users};

/// Every secret of the roles, without the passwords of NATS.
fn role_secrets() -> Vec<&'static str> {
    roles().iter().flat_map(|role| role.secrets).map(|secret| secret.file).collect()
}

fn database_users() -> Vec<&'static str> {
    roles().iter().filter_map(|role| role.database_user).collect()
}

pub(super) fn secret_users() -> String {
    format!(
        "NATS_USERS=\"{}\"\nDATABASE_USERS=\"{}\"\n",
        users().join(" "),
        database_users().join(" ")
    )
}

pub(super) fn nats_passwords() -> String {
    users()
        .iter()
        .fold(String::new(), |text, user| text + &format!("      - nats_{user}_password\n"))
}

pub(super) fn compose_roles() -> String {
    let services: Vec<String> = roles().iter().map(|role| service(role)).collect();
    services.join("\n")
}

fn service(role: &RoleSpec) -> String {
    let name = role.name;
    let mut text = format!("  # {name}: {}.\n  {name}:\n    <<: *role\n", role.summary);
    if let Some(profile) = role.profile {
        let _ = writeln!(text, "    profiles: [{profile}]");
    }
    let _ = write!(
        text,
        "    command: [\"run\", \"{name}\"]\n    environment:\n      <<: *environment\n      \
         CRYPTO_INTEL__NATS__USER: {name}\n      \
         CRYPTO_INTEL__NATS__PASSWORD_FILE: /run/secrets/{}\n",
        role.nats_password()
    );
    for secret in role.secrets {
        let variable = secret.key.to_uppercase().replace('.', "__");
        let _ = writeln!(text, "      CRYPTO_INTEL__{variable}_FILE: /run/secrets/{}", secret.file);
    }
    if let Some(PortSpec { key, port }) = role.port {
        let variable = key.to_uppercase().replace('.', "__");
        let _ = writeln!(text, "      CRYPTO_INTEL__{variable}: 0.0.0.0:{port}");
    }
    let files: Vec<String> = [role.nats_password()]
        .into_iter()
        .chain(role.secrets.iter().map(|secret| secret.file.to_owned()))
        .collect();
    let _ = writeln!(text, "    secrets: [{}]", files.join(", "));
    if let Some(PortSpec { port, .. }) = role.port {
        let _ = writeln!(text, "    ports:\n      - \"127.0.0.1:{port}:{port}\"");
    }
    text
}

pub(super) fn compose_secrets() -> String {
    let passwords = users().into_iter().map(|user| format!("nats_{user}_password"));
    let databases = database_users().into_iter().map(|user| format!("{user}_database_password"));
    let others = role_secrets().into_iter().map(ToOwned::to_owned);
    passwords.chain(databases).chain(others).fold(String::new(), |text, file| {
        text + &format!("  {file}:\n    file: ./deploy/secrets/{file}\n")
    })
}

/// The role is a label, because the host name in the address is the same for all roles of one machine.
fn targets(indent: &str, address: impl Fn(usize, &str) -> String) -> String {
    roles().iter().enumerate().fold(String::new(), |text, (index, role)| {
        let address = address(index, role.name);
        text + &format!(
            "{indent}- targets: [\"{address}\"]\n{indent}  labels: {{ role: {} }}\n",
            role.name
        )
    })
}

pub(super) fn compose_targets() -> String {
    targets("      ", |_, role| format!("{role}:9464"))
}

pub(super) fn systemd_targets() -> String {
    targets("", |index, _| format!("127.0.0.1:{}", 9464 + index))
}
