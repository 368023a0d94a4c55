use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::observe::health::Health;

/// What a process provides to each of its roles.
#[derive(Debug, Clone)]
pub struct Context {
    /// Fires once, when the process must stop: finish work under way and return `Ok` or [`Stopped`](crate::Stopped).
    pub shutdown: CancellationToken,
    /// Where every role registers its metrics (`crypto_intel_<component>_<name>_<unit>`).
    pub registry: Registry,
    /// Where every role reports its progress; `/ready` reads it.
    pub health: Health,
    /// Name of this process, unique among instances: lease owner, consumer names.
    pub instance: String,
}

impl Context {
    /// A context with an empty registry and no probes.
    #[must_use]
    pub fn new(instance: impl Into<String>) -> Self {
        Self {
            shutdown: CancellationToken::new(),
            registry: Registry::new(),
            health: Health::default(),
            instance: instance.into(),
        }
    }

    /// The same process, with a shutdown token below the process's own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { shutdown: self.shutdown.child_token(), ..self.clone() }
    }
}
