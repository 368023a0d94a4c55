//! The file of routes, read again when it changes. A wrong one leaves the last good tree in force.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crypto_intel_service::{Probe, now_us};
use serde::{Deserialize, Serialize};

use super::{
    file::{RouteProblem, parse, read},
    open::RoutingStore,
    tree::Tree,
};
use crate::config::Config;

/// Where the last good text is kept in the bucket `routing`.
const KEY: &str = "tree";
/// That bucket forgets what was not written for a month.
const KEEP_INTERVAL_US: i64 = 86_400_000_000;
/// A file that is being written looks different after this time.
const WRITING_TIME: Duration = Duration::from_millis(250);

#[derive(Debug, Serialize, Deserialize)]
struct GoodText {
    text: String,
}

/// What was found at the path: the text, or why there is none.
type Found = Result<String, String>;

/// Tells a changed file from one that is being written: it has to look the same twice.
#[derive(Debug, Default)]
struct Looks {
    /// What was taken last, good or not.
    taken: Option<Found>,
    /// What was found last.
    found: Option<Found>,
}

impl Looks {
    /// What is to be taken now, if anything.
    fn take(&mut self, found: Found) -> Option<&Found> {
        let is_same = self.found.as_ref() == Some(&found);
        if self.taken.as_ref() == Some(&found) || !is_same {
            self.found = Some(found);
            return None;
        }
        Some(self.taken.insert(found))
    }
}

/// The text in force, as it is kept for a restart with a wrong file.
#[derive(Debug, Default)]
struct Kept {
    text: Option<String>,
    written_us: i64,
}

impl Kept {
    /// What has to be written again, so that it is not forgotten.
    fn due(&self, now: i64) -> Option<&String> {
        self.text.as_ref().filter(|_| now - self.written_us >= KEEP_INTERVAL_US)
    }
}

/// The file of routes, as it was last seen.
#[derive(Debug)]
pub(crate) struct RouteFile {
    path: Option<PathBuf>,
    known: BTreeSet<String>,
    probe: Arc<Probe>,
    looks: Looks,
    kept: Kept,
}

impl RouteFile {
    pub(crate) fn new(path: Option<PathBuf>, known: &BTreeSet<String>, probe: Arc<Probe>) -> Self {
        let (looks, kept) = (Looks::default(), Kept::default());
        Self { path, known: known.clone(), probe, looks, kept }
    }

    /// The tree to begin with: that of the file, else of the last good one. Where there is neither, alerts wait in their stream until
    /// the file is good: sent without its routes, they would go to others, or to no one.
    pub(crate) async fn first(&mut self, store: &RoutingStore) -> anyhow::Result<Arc<Tree>> {
        let Some(path) = self.path.clone() else {
            self.probe.healthy("no file of routes");
            return Ok(Arc::default());
        };
        self.kept.text = store.get::<GoodText>(KEY).await?.map(|good| good.text);
        let kept = self.kept.text.as_ref().and_then(|text| parse(&path, text, &self.known).ok());
        if kept.is_none() {
            self.kept.text = None;
        }
        let found = text_of(&path).await;
        if found.as_ref().ok() != self.kept.text.as_ref() {
            tokio::time::sleep(WRITING_TIME).await;
        }
        self.looks.found = Some(found);
        loop {
            if let Some(tree) = self.look(store).await? {
                return Ok(tree);
            }
            if let Some(kept) = kept {
                return Ok(Arc::new(kept));
            }
            tokio::time::sleep(WRITING_TIME).await;
        }
    }

    /// The new tree, if the file has changed and is good.
    pub(crate) async fn look(&mut self, store: &RoutingStore) -> anyhow::Result<Option<Arc<Tree>>> {
        let Some(path) = self.path.clone() else { return Ok(None) };
        if let Some(text) = self.kept.due(now_us()).cloned() {
            self.keep(store, text).await?;
        }
        let is_first = self.looks.taken.is_none();
        let Some(taken) = self.looks.take(text_of(&path).await) else { return Ok(None) };
        let tree = match taken {
            Ok(text) => parse(&path, text, &self.known).map(|tree| (tree, text.clone())),
            Err(what) => {
                Err(vec![RouteProblem { file: path.clone(), line: 0, what: what.clone() }])
            }
        };
        let (tree, text) = match tree {
            Ok(good) => good,
            Err(problems) => {
                self.complain(&problems);
                return Ok(None);
            }
        };
        self.keep(store, text).await?;
        if !is_first {
            tracing::info!(file = %path.display(), "the file of routes has changed and is in force");
        }
        self.probe.healthy("the file of routes is in force");
        Ok(Some(Arc::new(tree)))
    }

    async fn keep(&mut self, store: &RoutingStore, text: String) -> anyhow::Result<()> {
        let good = GoodText { text };
        store.put(KEY, &good).await?;
        self.kept = Kept { text: Some(good.text), written_us: now_us() };
        Ok(())
    }

    fn complain(&self, problems: &[RouteProblem]) {
        let instead = match self.kept.text {
            Some(_) => "the last good routes are in force",
            None => "alerts wait until the file of routes is good",
        };
        for problem in problems {
            tracing::error!(problem = %problem, instead, "the file of routes is wrong");
        }
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        self.probe.unhealthy(format!("{instead}: {first}"));
    }
}

async fn text_of(path: &Path) -> Found {
    tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())
}

/// Reads and checks the file of routes, if there is one.
///
/// # Errors
/// Every problem in it, with its line.
pub fn check_routes(config: &Config) -> Result<(), Vec<RouteProblem>> {
    tree_of(config).map(drop)
}

pub(crate) fn tree_of(config: &Config) -> Result<Tree, Vec<RouteProblem>> {
    let known = config.destinations.keys().cloned().collect();
    config.routes.as_ref().map_or_else(|| Ok(Tree::default()), |path| read(path, &known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_not_taken() {
        let mut looks = Looks::default();
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(looks.take(text("[root]")), None);
        assert_eq!(looks.take(text("[root]")), Some(&text("[root]")));
        assert_eq!(looks.take(text("[root]")), None, "it is in force");
        assert_eq!(looks.take(text("")), None, "cut to nothing");
        assert_eq!(looks.take(text("[root]\ndest")), None);
        let whole = text("[root]\ndestinations = []");
        assert_eq!(looks.take(whole.clone()), None);
        assert_eq!(looks.take(whole.clone()), Some(&whole));
        let gone = Err("No such file".to_owned());
        assert_eq!(looks.take(gone.clone()), None, "perhaps it is being replaced");
        assert_eq!(looks.take(whole), None);
        assert_eq!(looks.take(gone.clone()), None);
        assert_eq!(looks.take(gone.clone()), Some(&gone));
    }

    #[test]
    fn what_is_in_force_is_written_again_every_day() {
        let kept = Kept { text: Some("[root]".to_owned()), written_us: 5 };
        assert_eq!(kept.due(KEEP_INTERVAL_US), None);
        assert_eq!(kept.due(5 + KEEP_INTERVAL_US), kept.text.as_ref());
        assert_eq!(Kept::default().due(i64::MAX), None);
    }
}
