use std::path::Path;
use std::time::Duration;

use crypto_intel_sandbox::{NatsOptions, NatsServer};
use crypto_intel_testkit::eventually;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Sends protocol lines and returns the first line of the answer that begins with `wanted`.
async fn talk(server: &NatsServer, user: Option<(&str, &str)>, text: &str, wanted: &str) -> String {
    let address = server.url().replace("nats://", "");
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let connect = match user {
        Some((user, password)) => {
            format!(
                "CONNECT {{\"verbose\":false,\"headers\":true,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\n"
            )
        }
        None => "CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_owned(),
    };
    stream.write_all(format!("{connect}{text}").as_bytes()).await.unwrap();
    let mut line = String::new();
    loop {
        line.clear();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_line(&mut line));
        assert!(read.await.expect("answer in time").unwrap() > 0, "closed before {wanted}");
        if line.starts_with(wanted) || line.starts_with('{') && wanted == "{" {
            return line;
        }
    }
}

async fn request(server: &NatsServer, subject: &str, body: &str) -> String {
    let text = format!("SUB inbox 1\r\nPUB {subject} inbox {}\r\n{body}\r\n", body.len());
    talk(server, None, &text, "{").await
}

#[tokio::test]
async fn keeps_streams_and_port_over_kill_and_stop() {
    let mut server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let url = server.url();
    let stream = r#"{"name":"S","subjects":["s.>"],"storage":"file","allow_atomic":true}"#;
    let created = request(&server, "$JS.API.STREAM.CREATE.S", stream).await;
    assert!(created.contains("\"created\""), "{created}");
    assert!(request(&server, "s.a", "one").await.contains("\"seq\":1"));
    server.kill().unwrap();
    server.start_again().await.unwrap();
    assert!(request(&server, "s.a", "two").await.contains("\"seq\":2"));
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    assert!(request(&server, "s.a", "three").await.contains("\"seq\":3"));
    assert_eq!(server.url(), url);
}

#[tokio::test]
async fn builds_on_a_given_configuration_with_secrets_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("server.conf");
    let text = "port: 4222\nhttp: 8222\njetstream { store_dir: /nonexistent }\nwebsocket { port: 9443 }\n\
                authorization { users: [ { user: role, password: $ROLE_PASSWORD } ] }\n";
    std::fs::write(&config, text).unwrap();
    let options = NatsOptions {
        config: Some(config),
        env: vec![("ROLE_PASSWORD".into(), "right".into())],
        ..NatsOptions::default()
    };
    let server = NatsServer::start(options).await.unwrap();
    let ping = "PING\r\n";
    assert!(talk(&server, Some(("role", "right")), ping, "PONG").await.starts_with("PONG"));
    let refused = talk(&server, Some(("role", "wrong")), ping, "-ERR").await;
    assert!(refused.contains("Authorization Violation"), "{refused}");
    let websocket = server.websocket_url().replace("ws://", "");
    TcpStream::connect(websocket).await.expect("websocket listener");
}

#[tokio::test]
async fn answers_nothing_while_paused() {
    let mut server = NatsServer::start(NatsOptions::default()).await.unwrap();
    server.pause().unwrap();
    let short = Duration::from_millis(200);
    let silent = tokio::time::timeout(short, talk(&server, None, "PING\r\n", "PONG")).await;
    assert!(silent.is_err());
    server.resume().unwrap();
    talk(&server, None, "PING\r\n", "PONG").await;
}

#[tokio::test]
async fn is_gone_with_its_folder_after_drop() {
    let server = NatsServer::start(NatsOptions::default()).await.unwrap();
    let (pid, folder) = (server.pid(), server.store_dir().to_path_buf());
    assert!(folder.exists());
    drop(server);
    let process = format!("/proc/{pid}");
    eventually(async || !Path::new(&process).exists()).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_refused_configuration_is_an_error_with_the_servers_message() {
    let options =
        NatsOptions { extra_conf: vec!["max_payload: [1".into()], ..NatsOptions::default() };
    let error = NatsServer::start(options).await.unwrap_err().to_string();
    assert!(error.contains("Parse error"), "{error}");
}
