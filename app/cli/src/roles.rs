//! The registry of roles. A new role is a crate with its needs in `ROLE`, its section and a line in `AppConfig`, and a line
//! here and in `commands/run.rs`; `make generate` derives users, secrets, services, targets and tables from that.

use clap::ValueEnum;
use crypto_intel_nats::RoleSpec;

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
    /// What is stored and what happens, over HTTP.
    Api => crypto_intel_api::ROLE,
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
}
