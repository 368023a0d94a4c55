use alloy::transports::Authorization;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::http::Uri;

use crate::endpoint::config::host_of;

/// Maximum size of an answer to `CONNECT`.
const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// Why a proxy cannot be used; never with its password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("proxy cannot be reached")]
    Io(#[from] std::io::Error),
    #[error("the URL has no host to reach through the proxy")]
    NoHost,
    #[error("proxy refuses: {0}")]
    Refused(String),
}

/// A connection through an HTTP proxy to the host of `target`.
pub(crate) async fn connect(proxy: &str, target: &Uri) -> Result<TcpStream, ProxyError> {
    let host = target.host().ok_or(ProxyError::NoHost)?;
    let usual_port = if target.scheme_str() == Some("wss") { 443 } else { 80 };
    let authority = format!("{host}:{}", target.port_u16().unwrap_or(usual_port));
    let address = host_of(proxy).ok_or(ProxyError::NoHost)?;
    let mut stream = match address.rsplit_once(':') {
        Some(_) => TcpStream::connect(address).await?,
        None => TcpStream::connect((address, 80)).await?,
    };
    let authorization = basic_authorization(proxy)
        .map(|value| format!("Proxy-Authorization: {value}\r\n"))
        .unwrap_or_default();
    let request =
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the answer belongs to the websocket.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER_BYTES {
            return Err(ProxyError::Refused("its answer does not end".to_owned()));
        }
        answer.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    if line.split_whitespace().nth(1) == Some("200") {
        Ok(stream)
    } else {
        Err(ProxyError::Refused(line.chars().take(100).collect()))
    }
}

/// `Basic …` from the user and password of a URL, where it has them.
pub(crate) fn basic_authorization(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    Some(Authorization::basic(user, password).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::net::TcpListener;

    use super::*;

    async fn asked(answer: &'static str) -> (Result<TcpStream, ProxyError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://me:hush@{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4_096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let connected = connect(&proxy, &"wss://node.example/key".parse().unwrap()).await;
        (connected, served.await.unwrap())
    }

    #[tokio::test]
    async fn asks_for_host_and_port_and_leaves_the_rest_unread() {
        let (connected, asked) = asked("HTTP/1.1 200 OK\r\n\r\nhello").await;
        assert!(asked.starts_with("CONNECT node.example:443 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Proxy-Authorization: Basic bWU6aHVzaA==\r\n"), "{asked}");
        assert!(!asked.contains("/key"), "{asked}");
        let mut rest = String::new();
        connected.unwrap().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "hello");
    }

    #[tokio::test]
    async fn a_refusal_is_reported_without_the_password() {
        let (refused, _) = asked("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("407") && !text.contains("hush"), "{text}");
    }
}
