//! `deploy/cluster` gives a working cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use crypto_intel_nats::{NatsConfig, TopologyConfig, connect};
use crypto_intel_sandbox::{NatsOptions, NatsServer, free_port, tools};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{eventually, small_topology};
use tokio_util::sync::CancellationToken;

use crate::messages::block;

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A server's folder as on its machine, except for the paths of its certificates.
fn install(folder: &Path, tls: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(shipped("nats/server.conf"), folder.join("server.conf")).unwrap();
    let mut text = std::fs::read_to_string(shipped("deploy/cluster/nats.conf")).unwrap();
    for file in ["server.pem", "server-key.pem", "ca.pem"] {
        assert!(text.contains(&format!("\"{file}\"")), "{file} is configured");
        let path = tls.join(file).display().to_string();
        text = text.replace(&format!("\"{file}\""), &format!("\"{path}\""));
    }
    let config = folder.join("nats.conf");
    std::fs::write(&config, text).unwrap();
    config
}

fn environment(index: usize, ports: &[u16]) -> Vec<(String, String)> {
    let others = ports.iter().enumerate().filter(|(other, _)| *other != index);
    let routes: Vec<String> =
        others.map(|(_, port)| format!("\"tls://127.0.0.1:{port}\"")).collect();
    let mut environment = NatsOptions::with_users_of(shipped("nats/server.conf")).unwrap().env;
    environment.push(("NATS_NAME".to_owned(), format!("nats-{}", index + 1)));
    let listen = format!("\"127.0.0.1:{}\"", ports[index]);
    environment.push(("NATS_CLUSTER_LISTEN".to_owned(), listen));
    environment.push(("NATS_ROUTES".to_owned(), format!("[{}]", routes.join(", "))));
    environment
}

fn certificates(folder: &Path) -> PathBuf {
    let tls = folder.join("tls");
    let made = Command::new(shipped("deploy/cluster/certificates.sh"))
        .arg(&tls)
        .arg("127.0.0.1")
        .status()
        .expect("run certificates.sh");
    assert!(made.success());
    tls
}

/// The script with which compose.yaml starts a server, with paths in `folder`; it only checks the configuration.
fn entrypoint(folder: &Path) -> String {
    let compose = std::fs::read_to_string(shipped("compose.yaml")).unwrap();
    let (_, rest) = compose.split_once("        umask 077\n").expect("the script of nats");
    let (script, _) = rest.split_once("    tmpfs:").unwrap();
    let place = |path: &str| folder.join(path).display().to_string();
    let check = format!("exec {} -t --config", tools::nats_server().unwrap().display());
    script
        .replace("$$", "$")
        .replace("/run/", &place("run/"))
        .replace("/etc/nats/", &place("etc/nats/"))
        .replace("exec nats-server --config", &check)
}

#[test]
fn compose_starts_a_server_of_the_cluster_in_the_folder_of_its_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path());
    for part in ["run/nats", "run/secrets", "etc/nats"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    let etc = folder.path().join("etc/nats");
    std::fs::copy(shipped("nats/server.conf"), etc.join("server.conf")).unwrap();
    std::fs::copy(shipped("deploy/cluster/nats.conf"), etc.join("nats.conf")).unwrap();
    let (secrets, own): (Vec<_>, Vec<_>) =
        environment(0, &[1, 2, 3]).into_iter().partition(|(name, _)| name.ends_with("_PASSWORD"));
    assert!(secrets.len() > 5, "{secrets:?}");
    for (name, value) in secrets {
        std::fs::write(folder.path().join("run/secrets").join(name.to_lowercase()), value).unwrap();
    }
    let output = Command::new("sh")
        .args(["-c", &entrypoint(folder.path())])
        .current_dir(tls.join("127.0.0.1"))
        .envs(own)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

#[tokio::test]
async fn the_shipped_cluster_starts_and_holds_streams_together() {
    let folder = tempfile::tempdir().unwrap();
    let tls = certificates(folder.path());
    let ports: Vec<u16> = (0..3).map(|_| free_port().unwrap()).collect();
    let mut starting = Vec::new();
    for index in 0..3 {
        let config = install(&folder.path().join(index.to_string()), &tls.join("127.0.0.1"));
        let env = environment(index, &ports);
        let mut check = Command::new(tools::nats_server().unwrap());
        check.arg("-t").arg("-c").arg(&config).envs(env.iter().map(|(key, value)| (key, value)));
        let output = check.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let options = NatsOptions { config: Some(config), env, ..NatsOptions::default() };
        starting.push(NatsServer::start(options));
    }
    let servers = futures::future::try_join_all(starting).await.unwrap();
    let urls: Vec<String> =
        servers.iter().map(|server| server.url().replace("nats://", "tls://")).collect();
    let config = NatsConfig {
        url: urls.join(",").into(),
        user: "admin".to_owned(),
        password: Secret::new("of-admin".to_owned()),
        tls_ca_file: Some(tls.join("ca.pem")),
        ..NatsConfig::default()
    };
    let nats = connect(&config, "test", &CancellationToken::new()).await.unwrap();
    let replicas = TopologyConfig { replicas: Some(3), ..TopologyConfig::default() };
    let topology = small_topology().with_config(&replicas).unwrap();
    // Nothing can be created until a leader is elected.
    eventually(async || topology.apply(&nats, false).await.is_ok()).await;
    let ack = nats.publish_batch(block("evm.anvil.log", 20, Some(0))).await.unwrap();
    assert_eq!(ack.last_sequence, 20);
    // Without the CA there is no connection.
    let without_ca = NatsConfig { tls_ca_file: None, start_timeout_seconds: 0, ..config };
    assert!(connect(&without_ca, "test", &CancellationToken::new()).await.is_err());
}
