//! The whole pipeline, as people run it: the real binary against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod anvil;
mod backup;
mod bad_input;
mod dashboards;
mod demo;
mod deploy;
mod deployment;
mod facts;
mod history;
mod kill;
mod labels;
mod layout;
mod least_privilege;
mod newcomer;
mod outside_team;
mod past;
mod providers;
mod recorded;
mod reference;
mod replay;
mod scope;
mod servers;
mod shipped_rules;
mod swap;
mod told;
mod wallets;
mod watch;
mod watch_tables;
