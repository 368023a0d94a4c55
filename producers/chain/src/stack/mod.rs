//! What of a chain is in the stream, and what is to be done next: pure but for the cursor.

pub(crate) mod cursor;
pub(crate) mod finality;
pub mod limits;
pub(crate) mod marker_stack;
pub(crate) mod position;
pub(crate) mod step;
