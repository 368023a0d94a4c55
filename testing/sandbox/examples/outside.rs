//! The services outside a deployment, as processes that the compose test starts beside compose.yaml.
//!
//! `outside services` answers as chat services (port 8081) and as polled providers (port 8082), and prints each message
//! that a chat accepted, and each rule that a client broke, as a line of JSON.
//! `outside traffic RPC_URL PER_SECOND` sends transfers to an EVM node, until it is stopped.

use std::{error::Error, net::Ipv4Addr, time::Duration};

use crypto_intel_sandbox::{
    ChatLimits, ChatOptions, ChatServer, ProviderOptions, ProviderServer, Traffic, TrafficOptions,
};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

const CHAT_PORT: u16 = 8081;
const PROVIDER_PORT: u16 = 8082;
/// How often new messages are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// One transfer in so many is large enough for a message: about as many as a chat takes.
const WHALE_INTERVAL: u64 = 97;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["services"] => services().await,
        ["traffic", url, per_second] => traffic(url, per_second.parse()?).await,
        _ => Err("usage: outside services | outside traffic RPC_URL PER_SECOND".into()),
    }
}

async fn services() -> Result<(), Box<dyn Error>> {
    let chat =
        ChatServer::start(ChatOptions { limits: ChatLimits::Strict, ..Default::default() }).await?;
    let provider = ProviderServer::start(ProviderOptions { generate: true }).await?;
    forward(CHAT_PORT, &chat.url()).await?;
    forward(PROVIDER_PORT, &provider.url()).await?;
    let (mut messages, mut violations) = (0, 0);
    let mut ticks = tokio::time::interval(POLL_INTERVAL);
    loop {
        ticks.tick().await;
        for message in chat.messages().iter().skip(messages) {
            messages += 1;
            let service = format!("{:?}", message.service);
            println!(
                "{}",
                json!({"service": service, "to": message.destination, "text": message.text})
            );
        }
        for violation in chat.violations().iter().skip(violations) {
            violations += 1;
            println!("{}", json!({"violation": violation.rule, "detail": violation.detail}));
        }
    }
}

/// The stand-ins listen on loopback; other containers reach them through this port.
async fn forward(port: u16, url: &str) -> Result<(), Box<dyn Error>> {
    let target = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                if let Ok(mut to) = TcpStream::connect(target).await {
                    // When one connection is cut, both end.
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                }
            });
        }
    });
    Ok(())
}

async fn traffic(url: &str, per_second: f64) -> Result<(), Box<dyn Error>> {
    let options = TrafficOptions { per_second, whale_every: WHALE_INTERVAL, ..Default::default() };
    let traffic = Traffic::start(url, options).await?;
    let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    stop.recv().await;
    println!("{:?}", traffic.stop().await?);
    Ok(())
}
