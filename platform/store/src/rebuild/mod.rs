//! A second set of tables in a schema of its own: created beside the live ones, filled, and swapped with them.

mod columns;
mod copy_blocks;
mod copy_tables;
mod dependents;
mod grants;
mod inventory;
mod live_copy;
mod location;
mod post_load;
mod retired;
mod swap;
mod swap_statements;

pub use copy_blocks::BlockCursor;
pub use dependents::swap_obstacles;
pub use live_copy::{CopyCounts, LiveCopy, Span};
pub use location::{LiveSchema, SchemaState, create_schema, drop_empty_schema, schema_bytes};
pub use post_load::{analyze, refresh_aggregates};
pub use swap::{Swap, cancel_jobs};
pub use swap_statements::Waits;
