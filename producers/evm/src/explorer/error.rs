use std::time::Duration;

/// What an explorer was asked for and did not give. No text holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExplorerError {
    /// Too many requests, or a quota is used up.
    #[error("{explorer} wants us to wait {} s: {reason}", wait.as_secs())]
    Limited { explorer: String, reason: String, wait: Duration },
    /// It cannot be reached, fails, or answers nonsense.
    #[error("{explorer} gives no answer: {reason}")]
    Unavailable { explorer: String, reason: String },
    /// It will not answer this: key, plan or chain.
    #[error(
        "{explorer} refuses: {reason}: correct key, url or plan, or take it out of `explorers`"
    )]
    Refused { explorer: String, reason: String },
    /// It does not offer this list.
    #[error("{explorer} does not offer this list: {reason}")]
    NotOffered { explorer: String, reason: String },
    /// It has not come so far.
    #[error("{explorer} is at block {head} only")]
    Behind { explorer: String, head: u64 },
}

impl ExplorerError {
    /// Label of metrics.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Limited { .. } => "limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::NotOffered { .. } => "not_offered",
            Self::Behind { .. } => "behind",
        }
    }

    /// Whether it may be otherwise in a while.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable { .. } | Self::Behind { .. })
    }
}
