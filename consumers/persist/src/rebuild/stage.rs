use crate::replay::progress::Progress;

/// What a rebuild is doing.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Reads a stream.
    Reading {
        /// The stream.
        stream: String,
        /// First sequence of this round.
        from: u64,
        /// Last sequence of this round.
        to: u64,
        /// How far it has come.
        progress: Progress,
    },
    /// Copies from the live tables what the streams no longer hold.
    Copying {
        /// What is being copied.
        what: String,
        /// Blocks so far.
        blocks: u64,
    },
    /// Waits until no other session holds the tables.
    Waiting {
        /// Sessions that hold them.
        holders: Vec<String>,
    },
}

/// Called at every change of stage.
pub type Watcher<'a> = &'a (dyn Fn(Stage) + Send + Sync);
