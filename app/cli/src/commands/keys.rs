//! `crypto-intel keys add|list|login|revoke`

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use crypto_intel_api::{Keys, LoginCode, NewKey, login_code};
use crypto_intel_schemas::ApiKeyEntry;
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use super::{connect_nats, prepare};
use crate::{
    args::{Arguments, KeysAction},
    changes::Change,
    output::{Output, table},
    times::time_text,
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &KeysAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "keys").await?;
    let keys = Keys::open(&nats).await?;
    match action {
        KeysAction::Add { name, role, chains, expires } => {
            let chains = (!chains.is_empty()).then(|| chains.clone());
            let new = NewKey { name: name.clone(), role: *role, chains, lifetime: *expires };
            let (key, entry) = keys.add(new).await?;
            let mut value = describe(key.id(), &entry);
            let change = Change::new("key.add").of(key.id()).to(&value);
            value["secret"] = key.reveal().into();
            output.show(&value, |_| {
                format!(
                    "{}\nThis is the only time that it is shown. Send it as `Authorization: Bearer {}…`.",
                    key.reveal(),
                    &key.reveal()[..11]
                )
            })?;
            // After it is shown, which nothing repeats.
            change.tell(&nats).await?;
        }
        KeysAction::List => {
            let listed = keys.list().await?;
            let described: Vec<Value> =
                listed.iter().map(|(id, entry)| describe(id, entry)).collect();
            output.show(&described, |_| show_list(&listed))?;
        }
        KeysAction::Login { key, url } => {
            let LoginCode { code, key: id, entry } = login_code(&nats, key).await?;
            let place = url.clone().unwrap_or_else(|| address(config.api.listen));
            let link = format!("{}/#code={code}", place.trim_end_matches('/'));
            let value = json!({ "key": id, "name": entry.name, "role": entry.role, "link": link });
            output.show(&value, |_| {
                format!(
                    "{link}\nIt opens the dashboard as {} ({}), once and within five minutes.",
                    entry.name, entry.role
                )
            })?;
            Change::new("key.login").of(&id).tell(&nats).await?;
        }
        KeysAction::Revoke { id } => {
            let is_new = keys.revoke(id).await?;
            if is_new {
                Change::new("key.revoke").of(id).tell(&nats).await?;
            }
            output.show(&json!({ "key": id, "revoked": true, "new": is_new }), |_| {
                let when = if is_new { "is revoked" } else { "was revoked before" };
                format!("{id} {when}")
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the dashboard is called on this machine.
fn address(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

fn describe(id: &str, entry: &ApiKeyEntry) -> Value {
    json!({
        "key": id,
        "name": entry.name,
        "role": entry.role,
        "chains": entry.chains,
        "created_at_us": entry.created_at_us,
        "expires_at_us": entry.expires_at_us,
        "revoked_at_us": entry.revoked_at_us,
    })
}

fn show_list(keys: &[(String, ApiKeyEntry)]) -> String {
    if keys.is_empty() {
        return "there is no key; `crypto-intel keys add NAME --role viewer` makes one".to_owned();
    }
    let now = now_us();
    let rows = keys.iter().map(|(id, entry)| {
        let state = match (entry.revoked_at_us, entry.expires_at_us) {
            (Some(at_us), _) => format!("revoked {}", time_text(at_us)),
            (None, Some(at_us)) if at_us <= now => format!("expired {}", time_text(at_us)),
            (None, Some(at_us)) => format!("until {}", time_text(at_us)),
            (None, None) => "counts".to_owned(),
        };
        let chains = entry.chains.as_ref().map_or_else(|| "all".to_owned(), |all| all.join(", "));
        [id.clone(), entry.name.clone(), entry.role.to_string(), chains, state]
    });
    table(&["key", "name", "role", "chains", "state"], rows)
}
