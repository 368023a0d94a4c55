//! Everything against a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batch;
mod cluster;
mod cluster_files;
mod connecting;
mod dead_letters;
mod kv;
mod large;
mod leader;
mod leader_trouble;
mod lease;
mod messages;
mod once;
mod outside;
mod permissions;
mod ranges;
mod reader;
mod reader_faults;
mod replays;
mod slow_link;
mod snapshot;
mod topology;
mod work_queue;
