//! A second set of tables in a schema of its own: made beside the live ones, filled, exchanged with them.

mod carry;
mod columns;
mod exchange;
mod grants;
mod inventory;
mod name;
mod place;
mod rest;
mod settle;
mod strays;

pub use carry::{BlockCursor, Carried, Carrier, Span};
pub use exchange::{Exchange, Waits};
pub use name::{InvalidSchemaName, SchemaName};
pub use place::{Home, SchemaState};
