//! The registry of roles. A new one is its crate, with what it needs in `ROLE` there, its section in `AppConfig`, and
//! its lines here; users, secrets, services, targets and tables are made of that by `make generate`.

use std::sync::Arc;

use clap::ValueEnum;
use crypto_intel_nats::{Nats, RoleSpec};
use crypto_intel_service::Context;
use crypto_intel_store::Store;

use crate::{AppConfig, commands::run};

macro_rules! roles {
    ($($(#[$about:meta])* $role:ident => $spec:path,)*) => {
        /// One part of the pipeline.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
        pub enum Role {
            $($(#[$about])* $role,)*
        }

        impl Role {
            /// Every role, in the order they are started.
            pub const ALL: [Self; [$(stringify!($role)),*].len()] = [$(Self::$role),*];

            /// What it needs.
            #[must_use]
            pub const fn spec(self) -> &'static RoleSpec {
                match self {
                    $(Self::$role => &$spec,)*
                }
            }
        }
    };
}

roles! {
    /// Events to tables.
    Persist => crypto_intel_persist::ROLE,
    /// Alerts to chats.
    Notify => crypto_intel_notify::ROLE,
    /// Events to alerts.
    Alerts => crypto_intel_alerts::ROLE,
    /// Polled APIs to events.
    Poll => crypto_intel_poll::ROLE,
    /// Chains to events.
    Evm => crypto_intel_evm::ROLE,
}

impl Role {
    /// The name on the command line, in logs and of its NATS user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Whether it has something to do under a configuration.
    pub(crate) fn is_enabled(self, config: &AppConfig) -> bool {
        match self {
            Self::Evm => !config.evm.chains.is_empty(),
            Self::Poll => config.poll.enabled,
            Self::Persist => !config.database.url.is_empty() && config.persist.is_enabled(),
            Self::Alerts => config.alerts.enabled && config.has_rules(),
            Self::Notify => config.notify.is_enabled(),
        }
    }

    /// Runs it to its end; a role with a user of the database connects itself where no `store` is given.
    pub(crate) async fn run(
        self,
        config: Arc<AppConfig>,
        nats: Nats,
        store: Option<Store>,
        context: Context,
    ) -> anyhow::Result<()> {
        match self {
            Self::Evm => crypto_intel_evm::run(config.evm.clone(), nats, context).await,
            Self::Poll => crypto_intel_poll::run(config.poll.clone(), nats, context).await,
            Self::Persist => {
                let store = match store {
                    Some(store) => store,
                    None => run::database(&config, &context).await?,
                };
                crypto_intel_persist::run(config.persist.clone(), nats, store, context).await
            }
            Self::Alerts => crypto_intel_alerts::run(config.alerts.clone(), nats, context).await,
            Self::Notify => crypto_intel_notify::run(config.notify.clone(), nats, context).await,
        }
    }
}
