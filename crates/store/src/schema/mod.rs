//! A second set of tables in a schema of its own: made beside the live ones, filled, exchanged with them.

mod name;
mod place;

pub use name::{InvalidSchemaName, SchemaName};
pub use place::{Home, SchemaState};
