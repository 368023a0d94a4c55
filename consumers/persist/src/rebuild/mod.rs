//! Rebuilds all tables in a schema beside the live ones, from every stream that persist stores.

mod copy_blocks;
pub(crate) mod new_tables;
pub(crate) mod stage;
pub(crate) mod swap;
