#![doc = include_str!("../README.md")]

mod nats_server;
mod port;
mod postgres;
mod process;
pub mod tools;

pub use nats_server::{NatsOptions, NatsServer};
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions, TestDatabase};
