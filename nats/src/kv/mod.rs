mod bucket;
mod key;
mod store;
mod watch;

pub use bucket::Bucket;
pub use key::{escape_key, unescape_key};
pub use store::{Entry, Kv};
pub use watch::{KvChange, KvWatch};
