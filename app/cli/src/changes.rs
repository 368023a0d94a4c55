//! What commands change is told as changes through the API are: in the stream AUDIT.

use anyhow::Context as _;
use crypto_intel_nats::{Nats, write_audit};
use crypto_intel_schemas::Audit;
use crypto_intel_service::now_us;
use serde::Serialize;

/// Who acts where no name is known.
pub(crate) const ANONYMOUS: &str = "command line";
/// Where Linux says what the machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Something that a command changed.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    audit: Audit,
}

impl Change {
    /// Of a sort, such as `silence.add`.
    pub(crate) fn new(action: &str) -> Self {
        let now = now_us();
        let audit = Audit {
            id: format!("audit:{:032x}", rand::random::<u128>()),
            actor: user(),
            action: action.to_owned(),
            via: "command".to_owned(),
            origin: machine(),
            ..Audit::at("command", now, now)
        };
        Self { audit }
    }

    /// What it was done to.
    pub(crate) fn of(mut self, target: impl Into<String>) -> Self {
        self.audit.target = Some(target.into());
        self
    }

    /// By another name than that of the user.
    pub(crate) fn by(mut self, actor: &str) -> Self {
        actor.clone_into(&mut self.audit.actor);
        self
    }

    /// What there was before, if anything.
    pub(crate) fn from(mut self, before: Option<&impl Serialize>) -> Self {
        self.audit.before = before.and_then(|before| serde_json::to_string(before).ok());
        self
    }

    /// What there is now; never a secret.
    pub(crate) fn to(mut self, after: &impl Serialize) -> Self {
        self.audit.after = serde_json::to_string(after).ok();
        self
    }

    /// Tells it.
    ///
    /// # Errors
    /// When it cannot be written: the change was made all the same.
    pub(crate) async fn tell(self, nats: &Nats) -> anyhow::Result<()> {
        write_audit(nats, &self.audit).await.with_context(|| {
            format!(
                "{} was done, and is not in the audit (`crypto-intel streams apply` makes the stream AUDIT)",
                self.audit.action
            )
        })
    }
}

fn user() -> String {
    let named = std::env::var("USER").ok().filter(|name| !name.is_empty());
    named.unwrap_or_else(|| ANONYMOUS.to_owned())
}

fn machine() -> String {
    let name = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}
