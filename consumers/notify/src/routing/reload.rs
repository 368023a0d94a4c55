//! The file of routes, read again when it changes. A wrong one leaves the last good tree in force.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use crypto_intel_service::Probe;
use serde::{Deserialize, Serialize};

use super::{
    file::{RouteProblem, parse, read},
    open::RoutingStore,
    tree::Tree,
};
use crate::config::Config;

/// Where the last good text is kept in the bucket `routing`.
const KEY: &str = "tree";

#[derive(Debug, Serialize, Deserialize)]
struct GoodText {
    text: String,
}

/// The file of routes, as it was last seen.
#[derive(Debug)]
pub(crate) struct RouteFile {
    path: Option<PathBuf>,
    known: BTreeSet<String>,
    probe: Arc<Probe>,
    /// What was read last, good or not.
    seen: Option<String>,
}

impl RouteFile {
    pub(crate) fn new(path: Option<PathBuf>, known: &BTreeSet<String>, probe: Arc<Probe>) -> Self {
        Self { path, known: known.clone(), probe, seen: None }
    }

    /// The tree to begin with: that of the file, else of the last good one, else none.
    pub(crate) async fn first(&mut self, store: &RoutingStore) -> anyhow::Result<Arc<Tree>> {
        let Some(path) = self.path.clone() else {
            self.probe.healthy("no file of routes");
            return Ok(Arc::default());
        };
        if let Some(tree) = self.look(store).await? {
            return Ok(tree);
        }
        let kept = store.get::<GoodText>(KEY).await?;
        let kept = kept.and_then(|good| parse(&path, &good.text, &self.known).ok());
        if kept.is_none() {
            tracing::error!(file = %path.display(), "there is no good file of routes to fall back to: alerts go where their rules say, else to notify.unrouted");
        }
        Ok(Arc::new(kept.unwrap_or_default()))
    }

    /// The new tree, if the file has changed and is good.
    pub(crate) async fn look(&mut self, store: &RoutingStore) -> anyhow::Result<Option<Arc<Tree>>> {
        let Some(path) = &self.path else { return Ok(None) };
        let text = match tokio::fs::read_to_string(path).await {
            Ok(text) => text,
            Err(error) => {
                let what = error.to_string();
                let unread = Some(format!("\0{what}"));
                if self.seen != unread {
                    self.seen = unread;
                    self.complain(&[RouteProblem { file: path.clone(), line: 0, what }]);
                }
                return Ok(None);
            }
        };
        if self.seen.as_ref() == Some(&text) {
            return Ok(None);
        }
        let parsed = parse(path, &text, &self.known);
        let is_first = self.seen.is_none();
        self.seen = Some(text.clone());
        match parsed {
            Ok(tree) => {
                store.put(KEY, &GoodText { text }).await?;
                if !is_first {
                    tracing::info!(file = %path.display(), "the file of routes has changed and is in force");
                }
                self.probe.healthy("the file of routes is in force");
                Ok(Some(Arc::new(tree)))
            }
            Err(problems) => {
                self.complain(&problems);
                Ok(None)
            }
        }
    }

    fn complain(&self, problems: &[RouteProblem]) {
        for problem in problems {
            tracing::error!(problem = %problem, "the file of routes is wrong, the last good one stays in force");
        }
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        self.probe.unhealthy(format!("the last good routes are in force: {first}"));
    }
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
