#![doc = include_str!("../README.md")]

pub mod chat;
pub mod evm;
mod explorer;
mod http;
mod link;
mod local_server;
mod nats_cluster;
mod nats_server;
pub mod node;
mod port;
mod postgres;
mod process;
pub mod provider;
mod small_disk;
pub mod tools;

pub use chat::{ChatLimits, ChatOptions, ChatServer};
pub use evm::{Anvil, AnvilOptions, Traffic, TrafficOptions};
pub use explorer::{ExplorerFault, ExplorerServer};
pub use http::RpcClient;
pub use link::Link;
pub use nats_cluster::NatsCluster;
pub use nats_server::{NatsOptions, NatsServer, nats_password};
pub use node::{Chain, NodeBlock, NodeOptions, ScriptedNode};
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions, TestDatabase, TestUser};
pub use provider::{ProviderOptions, ProviderServer};
pub use small_disk::SmallDisk;
