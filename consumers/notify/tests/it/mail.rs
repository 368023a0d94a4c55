//! A small SMTP server that keeps what it was sent, and refuses or cuts as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

#[derive(Debug, Default)]
struct State {
    mails: Vec<String>,
    recipients: Vec<String>,
    to_mail: VecDeque<String>,
    to_recipient: VecDeque<String>,
    cuts: usize,
}

/// Listens on 127.0.0.1.
pub(crate) struct MailServer {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _ = converse(stream, &state).await;
                });
            }
        });
        Self { port, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Everything that arrived whole, in order.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.state.lock().unwrap().mails.clone()
    }

    pub(crate) fn recipients(&self) -> Vec<String> {
        self.state.lock().unwrap().recipients.clone()
    }

    /// The next `MAIL FROM` is answered so.
    pub(crate) fn answer_to_mail(&self, answer: &str) {
        self.state.lock().unwrap().to_mail.push_back(answer.to_owned());
    }

    /// The next `RCPT TO` is answered so.
    pub(crate) fn answer_to_recipient(&self, answer: &str) {
        self.state.lock().unwrap().to_recipient.push_back(answer.to_owned());
    }

    /// The next mail is taken, and its connection cut before the answer.
    pub(crate) fn cut_after_data(&self) {
        self.state.lock().unwrap().cuts += 1;
    }
}

async fn converse(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 stand-in ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim().to_ascii_uppercase();
        let answer = if command.starts_with("EHLO") || command.starts_with("HELO") {
            "250 stand-in".to_owned()
        } else if command.starts_with("MAIL FROM:") {
            state.lock().unwrap().to_mail.pop_front().unwrap_or_else(|| "250 ok".to_owned())
        } else if command.starts_with("RCPT TO:") {
            let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            let mut state = state.lock().unwrap();
            state.recipients.push(address);
            state.to_recipient.pop_front().unwrap_or_else(|| "250 ok".to_owned())
        } else if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let mail = read_mail(&mut stream).await?;
            let mut state = state.lock().unwrap();
            state.mails.push(mail);
            if state.cuts > 0 {
                state.cuts -= 1;
                return Ok(());
            }
            "250 taken".to_owned()
        } else if command == "QUIT" {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "500 unknown command".to_owned()
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn read_mail(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut mail = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(mail);
        }
        assert!(line.len() <= 1_000, "a line of {} bytes", line.len());
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
