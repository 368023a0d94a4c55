mod key;
mod large;
mod store;
mod watch;

pub use crypto_intel_schemas::{Bucket, escape_key, unescape_key};
pub use large::LargeHead;
pub use store::{Entry, Kv};
pub use watch::{KvChange, KvWatch};
