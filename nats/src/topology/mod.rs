mod apply;
mod config;
mod copies;
mod definition;
mod diff;

pub use apply::{Change, StreamStatus};
pub use config::{StreamOverride, TopologyConfig};
pub use definition::{Topology, TopologyError};
pub use diff::{Difference, ObjectKind};
