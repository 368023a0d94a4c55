//! Mail by SMTP. Each attempt is a connection of its own; only after the body has begun is its end unknown.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use alloy_primitives::{hex, keccak256};
use crypto_intel_schemas::Alert;
use crypto_intel_service::{Secret, error_chain};
use futures::future::{BoxFuture, FutureExt as _};
use lettre::{
    Message,
    message::{Attachment, Mailbox, MultiPart, SinglePart, header},
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Capabilities, Channel, Clients, HiddenName, MessageContent, Outcome, Place, Reply, Request,
    Settings, SharedService, Sharing,
};
use crate::{
    config::{Limit, Policy},
    render::{Voice, email as render},
};

/// Id of the picture within its mail.
const PICTURE: &str = "chart";
/// How long the farewell may take: the message is sent by then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Mail to one or more people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// Name of the SMTP server that takes the messages.
    pub server: String,
    /// Its port: 587 for `starttls`, 465 for `tls`, 25 for `none`, if none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is encrypted: `starttls`, `tls` or `none`.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Account at the server, if it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Sender, such as `Alerts <alerts@example.org>`.
    pub from: String,
    /// Who is written to.
    pub to: Vec<String>,
    /// Pacing, age and what to do in doubt.
    #[serde(default)]
    pub policy: Policy,
}

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// It begins plain and must then be encrypted.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

impl EmailConfig {
    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        })
    }

    fn sender(&self) -> Option<Mailbox> {
        self.from.parse().ok()
    }

    fn recipients(&self) -> Vec<Mailbox> {
        self.to.iter().filter_map(|to| to.parse().ok()).collect()
    }
}

impl Settings for EmailConfig {
    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn known_limits(&self) -> Vec<Limit> {
        vec![Limit::new(30, 60_000, 5)]
    }

    fn address(&self) -> String {
        let account = self.username.as_deref().unwrap_or_default();
        let password = self.password.as_ref().map_or("", Secret::expose);
        let to = self.to.join(" ");
        format!("{}:{} {account} {password} {} {to}", self.server, self.port(), self.from)
    }

    fn sharing(&self) -> Sharing {
        let account = self.username.as_deref().unwrap_or_default();
        let server = SharedService {
            key: HiddenName::new(format!("smtp {}:{} {account}", self.server, self.port())),
            limits: vec![Limit::new(2, 1_000, 0)],
            freezes_together: false,
        };
        Sharing { service: Some(server), ..Sharing::default() }
    }

    fn needs_tls(&self) -> bool {
        // Its own TLS reads the machine's certificates.
        false
    }

    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.server.trim().is_empty() || self.server.contains(['/', '@', ' ', ':']) {
            found.push(format!("server {:?} is no name of a mail server", self.server));
        }
        if self.sender().is_none() {
            found.push(format!("from {:?} is no mail address", self.from));
        }
        if self.to.is_empty() {
            found.push("to is empty: name at least one mail address".to_owned());
        }
        for to in self.to.iter().filter(|to| to.parse::<Mailbox>().is_err()) {
            found.push(format!("to {to:?} is no mail address"));
        }
        if self.username.is_some() != self.password.is_some() {
            found.push("set both username and password, or neither".to_owned());
        }
        if self.tls == SmtpTls::None && self.password.is_some() {
            found.push("a password is sent by an encrypted connection only: set tls".to_owned());
        }
        found
    }

    fn takes_pictures(&self) -> bool {
        true
    }

    fn open(&self, _clients: &Clients) -> Box<dyn Channel> {
        Box::new(Email { config: self.clone() })
    }
}

/// One list of people behind a mail server.
#[derive(Debug)]
struct Email {
    config: EmailConfig,
}

impl Channel for Email {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            digest_alerts: render::MAX_DIGEST_ALERTS,
            replies: true,
            ..Capabilities::default()
        }
    }

    fn request(&self, content: &MessageContent<'_>) -> Request {
        // An address that is none has been refused with the configuration.
        let body = self.mail(content).map(|mail| mail.formatted()).unwrap_or_default();
        Request::new(content, body)
    }

    fn send(&self, request: Request) -> BoxFuture<'_, Reply> {
        async move {
            let is_under_way = AtomicBool::new(false);
            let sending = self.deliver(&request, &is_under_way);
            let result = tokio::time::timeout(self.config.policy.timeout(), sending).await;
            match result {
                Ok(Ok(())) => Outcome::Sent { message_id: self.message_id(&request.delivery) },
                Ok(Err(error)) => outcome(&error, is_under_way.load(Ordering::Relaxed)),
                Err(_) => {
                    let why = format!("{}: no answer in time", self.config.server);
                    if is_under_way.load(Ordering::Relaxed) {
                        Outcome::Uncertain { why }
                    } else {
                        Outcome::NotSent { why }
                    }
                }
            }
            .into()
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<String, String>> {
        async move {
            let greeted = tokio::time::timeout(self.config.policy.timeout(), self.connect()).await;
            let EmailConfig { server, to, .. } = &self.config;
            match greeted {
                Ok(Ok(mut connection)) => {
                    connection.abort().await;
                    Ok(format!("{server} takes mail for {}", to.join(", ")))
                }
                Ok(Err(error)) => Err(format!("{server}: {}", error_chain(&error))),
                Err(_) => Err(format!("{server} does not answer")),
            }
        }
        .boxed()
    }

    fn takes_digest(&self, alerts: &[Alert], voice: &Voice) -> bool {
        render::takes_digest(alerts, voice)
    }
}

impl Email {
    fn mail(&self, content: &MessageContent<'_>) -> Option<Message> {
        let layout = render::layout(content);
        let mut builder = Message::builder()
            .from(self.config.sender()?)
            .subject(render::subject(&layout))
            .message_id(Some(self.message_id(&content.own.id)))
            .header(header::MIME_VERSION_1_0);
        for to in self.config.recipients() {
            builder = builder.to(to);
        }
        if let Place::Reply { to, .. } = content.place {
            builder = builder.in_reply_to(to.to_owned()).references(to.to_owned());
        }
        let text = render::text(&layout);
        let Some(picture) = content.picture else {
            let html = render::html(&layout, None);
            return builder.multipart(MultiPart::alternative_plain_html(text, html)).ok();
        };
        let image = Attachment::new_inline(PICTURE.to_owned())
            .body(picture.to_vec(), "image/png".parse().ok()?);
        let html = SinglePart::html(render::html(&layout, Some(PICTURE)));
        let shown = MultiPart::related().singlepart(html).singlepart(image);
        let parts = MultiPart::alternative().singlepart(SinglePart::plain(text)).multipart(shown);
        builder.multipart(parts).ok()
    }

    /// The same in every attempt, so that a mailbox can recognise a repetition.
    fn message_id(&self, delivery: &str) -> String {
        let hash = hex::encode(&keccak256(delivery)[..16]);
        let sender = self.config.sender();
        let domain = sender.as_ref().map_or("crypto-intel", |sender| sender.email.domain());
        format!("<{hash}@{domain}>")
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let EmailConfig { server, tls, username, password, policy, .. } = &self.config;
        let own_name = ClientId::default();
        let encryption = match tls {
            SmtpTls::None => None,
            SmtpTls::Starttls | SmtpTls::Tls => Some(TlsParameters::new(server.clone())?),
        };
        let first = encryption.clone().filter(|_| *tls == SmtpTls::Tls);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (server.as_str(), self.config.port()),
            Some(policy.timeout()),
            &own_name,
            first,
            None,
        )
        .await?;
        if let (SmtpTls::Starttls, Some(encryption)) = (tls, encryption) {
            connection.starttls(encryption, &own_name).await?;
        }
        if let (Some(username), Some(password)) = (username, password) {
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    async fn deliver(&self, request: &Request, is_under_way: &AtomicBool) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        let sender = self.config.sender().map(|sender| sender.email);
        connection.command(Mail::new(sender, Vec::new())).await?;
        for to in self.config.recipients() {
            connection.command(Rcpt::new(to.email, Vec::new())).await?;
        }
        connection.command(Data).await?;
        is_under_way.store(true, Ordering::Relaxed);
        connection.message(&request.body).await?;
        // It is sent, whatever becomes of the connection.
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(())
    }
}

const ACCOUNT: &str = "correct username and password";
const RECIPIENT: &str = "correct to, or let the server take mail for it";

fn outcome(error: &Error, is_under_way: bool) -> Outcome {
    let why = error_chain(error);
    if let Some(code) = error.status() {
        let code = u16::from(code);
        return match code {
            530 | 534 | 535 | 538 => Outcome::closed(why, ACCOUNT),
            550 | 551 | 553 | 556 if !is_under_way => Outcome::closed(why, RECIPIENT),
            500.. => Outcome::Refused { why },
            _ => Outcome::NotSent { why },
        };
    }
    // Without an answer to the body, or with one that is none.
    if is_under_way { Outcome::Uncertain { why } } else { Outcome::NotSent { why } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{records::delivery::notification, render::Voice};

    fn config(more: &str) -> EmailConfig {
        let text = format!(
            "server = \"mail.example.org\"\nfrom = \"Alerts <alerts@example.org>\"\nto = [\"ops@example.org\"]\n{more}"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn a_password_is_never_sent_in_the_clear() {
        assert!(config("").problems().is_empty());
        let account = "username = \"a\"\npassword = \"hidden-word\"";
        assert!(config(account).problems().is_empty());
        let problems = config(&format!("{account}\ntls = \"none\"")).problems();
        assert!(problems[0].contains("set tls") && !problems[0].contains("hidden-word"));
        assert!(config("username = \"a\"").problems()[0].contains("both"));
    }

    #[test]
    fn a_picture_is_inside_the_mail_and_shown_by_it() {
        let email = Email { config: config("") };
        let alert = Alert { alert: "k".into(), title: "moved".into(), ..Alert::empty() };
        let own = notification(&alert, "ops");
        let (alerts, voice) = ([alert], Voice::default());
        let picture = b"\x89PNG and more";
        let content =
            MessageContent { picture: Some(picture), ..MessageContent::new(&own, &alerts, &voice) };
        let mail = String::from_utf8(email.request(&content).body).unwrap();
        for part in
            ["multipart/alternative", "multipart/related", "image/png", "Content-ID: <chart>"]
        {
            assert!(mail.contains(part), "{part} is missing in:\n{mail}");
        }
        assert!(
            mail.contains("cid:chart") && mail.contains("Content-Disposition: inline"),
            "{mail}"
        );
        assert!(mail.contains("iVBORyBhbmQgbW9yZQ=="), "the picture, base64: {mail}");
    }

    #[test]
    fn a_follow_up_names_the_mail_that_it_follows() {
        let email = Email { config: config("") };
        let alert = Alert { alert: "k".into(), title: "Größe <x>".into(), ..Alert::empty() };
        let own = notification(&alert, "ops");
        let (alerts, voice) = ([alert], Voice::default());
        let mut content = MessageContent::new(&own, &alerts, &voice);
        let first = String::from_utf8(email.request(&content).body).unwrap();
        let id = email.message_id("k:fired:1:ops");
        assert!(first.contains(&format!("Message-ID: {id}")), "{first}");
        assert!(first.is_ascii() && first.contains("text/plain") && first.contains("text/html"));
        content.place = Place::Reply { to: &id, is_edited: false };
        let second = String::from_utf8(email.request(&content).body).unwrap();
        assert!(second.contains(&format!("References: {id}")), "{second}");
        assert!(second.contains(&format!("In-Reply-To: {id}")), "{second}");
    }
}
