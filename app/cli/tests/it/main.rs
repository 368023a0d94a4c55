//! The whole pipeline, as people run it: the real binary against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod alerts;
mod anvil;
mod backup;
mod bad_input;
mod bus;
mod changes;
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
mod recorded_hour;
mod reference;
mod replay;
mod rules;
mod rules_tables;
mod scope;
mod servers;
mod shipped_rules;
mod swap;
mod told;
mod wallets;
mod watch;
mod watch_tables;
mod web_dashboard;
