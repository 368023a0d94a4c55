#![doc = include_str!("../README.md")]
// As in tests, a failure here ends the test.
#![allow(clippy::expect_used)]

mod broker;
mod database;
mod deadline;
mod needs;
mod process;
mod python;
mod random;
mod role;
mod sets;

pub use broker::{Broker, connect_as, connect_to, messages, nats_config, small_topology};
pub use database::{sql_client, try_sql_client};
pub use deadline::{Settled, TEST_TIMEOUT, eventually, within};
pub use needs::{
    Need, anvil, available, community_or_end, recorded_data, timescale, timescale_or_end,
};
pub use process::{TestProcess, end_with_parent};
pub use python::{Python, python};
pub use random::SeededRandom;
pub use role::RunningRole;
pub use sets::assert_same_set;
