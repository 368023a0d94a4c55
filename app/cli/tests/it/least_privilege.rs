//! Each role as a deployment runs it: its own user, its own secrets, the shared configuration.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use crypto_intel_cli::Role;
use crypto_intel_nats::RoleSpec;
use crypto_intel_sandbox::{
    ChatLimits, ChatOptions, ChatServer, NatsOptions, NatsServer, NodeOptions, Postgres,
    PostgresOptions, ProviderOptions, ProviderServer, ScriptedNode, nats_password,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{TestProcess, eventually};

use crate::servers::{binary, small_streams};

const RULE: &str = r#"
[[rule]]
id = "any-transfer"
on = "evm.*.transfer.erc20"
when = 'value >= u256("0")'
severity = "critical"
title = "{{ value }} units moved"
routes = ["ops"]
"#;

/// Servers, and the configuration that all roles share.
struct Deployment {
    nats: NatsServer,
    database_url: String,
    _postgres: Postgres,
    node: ScriptedNode,
    blocks: Mutex<Synthetic>,
    _provider: ProviderServer,
    chat: ChatServer,
    config: String,
    folder: tempfile::TempDir,
}

impl Deployment {
    async fn start() -> Self {
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats/server.conf");
        let nats = NatsServer::start(NatsOptions::with_users_of(conf).unwrap()).await.unwrap();
        let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
        let database_url = postgres.create_database("pipeline").await.unwrap();
        let options = ChatOptions { limits: ChatLimits::Relaxed, ..ChatOptions::default() };
        let chat = ChatServer::start(options).await.unwrap();
        let provider = ProviderServer::start(ProviderOptions { generate: true }).await.unwrap();
        let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
        // Rules ignore old events.
        let now_seconds = u64::try_from(crypto_intel_service::now_us() / 1_000_000).unwrap();
        let options = SyntheticOptions {
            transfers_per_block: 2,
            first_timestamp: now_seconds,
            ..SyntheticOptions::default()
        };
        let mut blocks = Synthetic::new(options);
        for _ in 0..5 {
            node.push_block(blocks.next_block()).unwrap();
        }
        let config = format!(
            "[nats]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:0\"\n[streams.streams]\n{}\n\
             [evm.chains.local]\nchain_id = 1\nstart = 1\nstale_seconds = 3600\nendpoints = [{{ url = \"{}\", key_file = \"secrets/node_key\" }}]\n\
             [poll]\nonly = [\"coingecko\"]\n[poll.providers.coingecko]\nbase_url = \"{}/coingecko\"\nkey_file = \"secrets/coingecko_key\"\nparameters = {{ assets = [\"bitcoin\"] }}\n\
             [alerts]\nrules = [\"rules.toml\"]\n\
             [notify.destinations.ops]\nchannel = \"telegram\"\napi_url = \"{}\"\ntoken_file = \"secrets/telegram_token\"\nchat_id = 42\n\
             policy = {{ limits = [{{ messages = 100, per_ms = 1000 }}], digest_above = 0 }}\n\
             [notify.destinations.desk]\nchannel = \"discord\"\nwebhook_url_file = \"secrets/discord_webhook\"\n",
            nats.url(),
            small_streams(),
            node.ws_url(),
            provider.url(),
            chat.url(),
        );
        let folder = tempfile::tempdir().unwrap();
        Self {
            nats,
            database_url,
            _postgres: postgres,
            node,
            blocks: Mutex::new(blocks),
            _provider: provider,
            chat,
            config,
            folder,
        }
    }

    /// Secrets that the role's section of the configuration names, besides those that the deployment creates.
    fn own_secrets(&self, role: &str) -> Vec<(&'static str, String)> {
        match role {
            "evm" => vec![("node_key", "key".to_owned())],
            "poll" => vec![("coingecko_key", "key".to_owned())],
            "notify" => vec![
                ("telegram_token", "100:test".to_owned()),
                ("discord_webhook", self.chat.discord_webhook_url("7", "secret")),
            ],
            _ => Vec::new(),
        }
    }

    /// The machine of one user: the shared configuration, and only the secrets of this user.
    fn machine(&self, user: &str, secrets: &[(&str, String)]) -> PathBuf {
        let folder = self.folder.path().join(user);
        std::fs::create_dir_all(folder.join("secrets")).unwrap();
        std::fs::write(folder.join("rules.toml"), RULE).unwrap();
        for (name, value) in secrets {
            std::fs::write(folder.join("secrets").join(name), format!("{value}\n")).unwrap();
        }
        let path = folder.join("crypto-intel.toml");
        std::fs::write(&path, &self.config).unwrap();
        path
    }

    fn command(&self, user: &str, config: &Path, files: &[(&str, &str)]) -> std::process::Command {
        let mut command = binary(config);
        let secrets = config.with_file_name("secrets");
        command.env("CRYPTO_INTEL__NATS__USER", user);
        for (key, file) in files {
            let variable = key.to_uppercase().replace('.', "__");
            command.env(format!("CRYPTO_INTEL__{variable}_FILE"), secrets.join(file));
        }
        command
    }

    /// Runs a command as `setup` and operators do.
    fn as_admin(&self, arguments: &[&str]) -> Output {
        let secrets =
            [("nats_password", nats_password("admin")), ("url", self.database_url.clone())];
        let config = self.machine("admin", &secrets);
        let files = [("nats.password", "nats_password"), ("database.url", "url")];
        self.command("admin", &config, &files).args(arguments).output().unwrap()
    }

    /// Starts a role as compose.yaml does.
    fn run(&self, role: &RoleSpec) -> Running {
        let password = role.nats_password();
        let mut secrets = self.own_secrets(role.name);
        let mut files = vec![("nats.password", password.as_str())];
        let password_value = nats_password(role.name);
        let config = {
            let mut all = vec![(password.as_str(), password_value)];
            for secret in role.secrets {
                files.push((secret.key, secret.file));
                all.push((secret.file, self.database_url.clone()));
            }
            all.append(&mut secrets);
            self.machine(role.name, &all)
        };
        let log = config.with_file_name("log");
        let started = Instant::now();
        let child = self
            .command(role.name, &config, &files)
            .args(["run", role.name])
            .env("CRYPTO_INTEL__TELEMETRY__FORMAT", "text")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Running { role: role.name, _process: TestProcess::of(child), log, started }
    }
}

struct Running {
    role: &'static str,
    _process: TestProcess,
    log: PathBuf,
    started: Instant,
}

impl Running {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether `/ready` answers 200, once the port is known.
    fn ready(&self) -> Option<bool> {
        let log = self.log();
        let address: std::net::SocketAddr = log
            .split_whitespace()
            .find_map(|word| strip_colours(word).strip_prefix("address=").map(ToOwned::to_owned))?
            .parse()
            .ok()?;
        let mut socket = TcpStream::connect(address).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.write_all(b"GET /ready HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer.lines().next()?.contains(" 200 "))
    }
}

/// Text without escape sequences of a terminal.
fn strip_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_works_as_its_own_user_and_is_refused_nothing() {
    let deployment = Deployment::start().await;
    for arguments in [&["streams", "apply"][..], &["migrate"]] {
        let output = deployment.as_admin(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let running: Vec<Running> =
        Role::ALL.into_iter().map(|role| deployment.run(role.spec())).collect();
    for role in &running {
        eventually(async || role.ready().filter(|ready| *ready)).await;
        println!("{} is ready after {:?}", role.role, role.started.elapsed());
    }
    eventually(async || {
        let block = deployment.blocks.lock().unwrap().next_block();
        deployment.node.push_block(block).unwrap();
        (deployment.chat.message_count() > 0).then_some(())
    })
    .await;
    let log = deployment.nats.log();
    assert!(!log.contains("Violation"), "{log}");
    for role in &running {
        let log = role.log();
        assert!(!log.contains("ERROR"), "{}: {log}", role.role);
        assert!(!log.contains("no answer from nats"), "{}: {log}", role.role);
    }
}

/// Secrets of other roles may be unreadable. A role whose own secret is unreadable ends with an error that names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_read_stops_its_role_and_no_other() {
    let deployment = Deployment::start().await;
    let config = deployment.machine("admin", &[("nats_password", nats_password("admin"))]);
    let run = |arguments: &[&str]| {
        let files = [("nats.password", "nats_password")];
        let output = deployment.command("admin", &config, &files).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = run(&["rules", "check"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run(&["streams", "apply"]);
    assert_eq!(code, Some(0), "{text}");
    for (role, key) in [
        ("evm", "evm.chains.local.endpoints.0.key"),
        ("poll", "poll.providers.coingecko.key"),
        ("notify", "notify.destinations.ops.token"),
    ] {
        let (code, text) = run(&["run", role]);
        assert_eq!(code, Some(64), "{role}: {text}");
        assert!(text.contains(key) && text.contains("cannot read"), "{role}: {text}");
    }
    let (code, text) = run(&["check"]);
    assert_eq!(code, Some(1), "{text}");
    for name in ["node_key", "coingecko_key", "telegram_token", "discord_webhook"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let (code, text) = run(&["check", "--print"]);
    assert_eq!(code, Some(0), "{text}");
}

/// Commands without the permission fail at once, with an error that names the user and what to do.
#[tokio::test(flavor = "multi_thread")]
async fn commands_as_a_role_s_user_fail_at_once_for_lack_of_permission() {
    let deployment = Deployment::start().await;
    let output = deployment.as_admin(&["streams", "apply"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = deployment.machine("notify", &[("nats_password", nats_password("notify"))]);
    let commands: [&[&str]; 4] =
        [&["status"], &["streams", "diff"], &["dlq", "list"], &["watch", "list"]];
    for arguments in commands {
        let started = Instant::now();
        let files = [("nats.password", "nats_password")];
        let mut command = deployment.command("notify", &config, &files);
        let output = command.args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let says = text.contains("nats user \"notify\" may not") && text.contains("admin");
        assert!(says, "{arguments:?}: {text}");
        assert!(!text.contains("cannot apply"), "{arguments:?}: {text}");
        assert!(started.elapsed() < Duration::from_secs(9), "{arguments:?}: {text}");
    }
}
