//! A replica of a stream that lacks what was written a moment ago.

use crypto_intel_sandbox::nats_password;
use crypto_intel_testkit::Broker;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_util::task::AbortOnDropHandle;

/// What a server answers that does not have the message.
const NOT_FOUND: &str = "NATS/1.0 404 Message Not Found\r\n\r\n";

/// Answers every look-up in a stream in the place of its replicas: it has nothing. The leader still answers those who ask
/// it. Ends when dropped.
pub(crate) async fn empty_replica(broker: &Broker, stream: &str) -> AbortOnDropHandle<()> {
    let jetstream = broker.nats.jetstream();
    let mut config = jetstream.get_stream(stream).await.unwrap().cached_info().config.clone();
    config.allow_direct = false;
    jetstream.update_stream(config).await.unwrap();
    let connection = TcpStream::connect(("127.0.0.1", broker.server.port())).await.unwrap();
    let (read, mut write) = connection.into_split();
    let password = nats_password("admin");
    let hello = format!(
        "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true,\"user\":\"admin\",\"pass\":\"{password}\"}}\r\n\
         SUB $JS.API.DIRECT.GET.{stream} 1\r\nPING\r\n"
    );
    write.write_all(hello.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(read).lines();
    while lines.next_line().await.unwrap().unwrap() != "PONG" {}
    let answer = async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let text = if line == "PING" {
                "PONG\r\n".to_owned()
            } else if line.starts_with("MSG ") || line.starts_with("HMSG ") {
                let inbox = line.split(' ').nth(3).unwrap();
                let length = NOT_FOUND.len();
                format!("HPUB {inbox} {length} {length}\r\n{NOT_FOUND}\r\n")
            } else {
                continue;
            };
            write.write_all(text.as_bytes()).await.unwrap();
        }
    };
    AbortOnDropHandle::new(tokio::spawn(answer))
}
