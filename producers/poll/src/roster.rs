//! Which providers are polled: those of the catalogue, taken again whenever a file in its folder changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crypto_intel_service::{Context, Probe, Restart, Supervisor, error_chain};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    catalogue::{Catalogue, CatalogueError, Loaded, Provider, Which, Wrong, own_files},
    config::Config,
    run::{Shared, run_provider},
};

/// How long providers may take to stop; they only cancel their requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the folder is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// The providers that are polled now.
pub(crate) struct Roster {
    config: Config,
    shared: Arc<Shared>,
    context: Context,
    probe: Probe,
    polled: BTreeMap<String, Polled>,
    /// What was said to be wrong, so that it is said once.
    reported: BTreeSet<String>,
    seen: Stamps,
}

/// A provider that is polled, and the file that it is polled by.
struct Polled {
    provider: Arc<Provider>,
    text: String,
    stop: CancellationToken,
    task: AbortOnDropHandle<anyhow::Result<()>>,
}

/// Size and time of change of the files in the folder.
type Stamps = HashMap<PathBuf, (u64, Option<SystemTime>)>;

impl Roster {
    pub(crate) fn new(config: Config, shared: Arc<Shared>, context: Context) -> Self {
        let probe = context.health.advisory_probe("poll.catalogue", None);
        Self {
            config,
            shared,
            context,
            probe,
            polled: BTreeMap::new(),
            reported: BTreeSet::new(),
            seen: Stamps::new(),
        }
    }

    /// Polls what the catalogue holds, and whatever it holds later, until shutdown.
    ///
    /// # Errors
    /// When a provider does not stop in time.
    pub(crate) async fn run(mut self, catalogue: Catalogue) -> anyhow::Result<()> {
        if catalogue.good.is_empty() {
            tracing::warn!("no provider is enabled, nothing is polled");
        }
        self.take(catalogue).await;
        let shutdown = self.context.shutdown.clone();
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = look.tick() => self.look().await,
            }
        }
        let mut outcome = Ok(());
        for polled in std::mem::take(&mut self.polled).into_values() {
            outcome = outcome.and(polled.stop().await);
        }
        outcome
    }

    /// Takes the folder's files if one has changed.
    async fn look(&mut self) {
        let stamps = self.stamps().await;
        if stamps == self.seen {
            return;
        }
        self.seen = stamps;
        match self.load().await {
            Ok(catalogue) => self.take(catalogue).await,
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "cannot read the files of providers again, polling goes on by the last ones")
            }
        }
    }

    /// Compiling many filters would block the runtime.
    async fn load(&self) -> anyhow::Result<Catalogue> {
        let config = self.config.clone();
        let load = move || Catalogue::load(&config, Which::Enabled);
        Ok(tokio::task::spawn_blocking(load).await??)
    }

    async fn stamps(&self) -> Stamps {
        let Some(folder) = self.config.catalogue.clone() else { return Stamps::new() };
        let read = move || {
            let stamp = |path: PathBuf| {
                let about = std::fs::metadata(&path).ok()?;
                Some((path, (about.len(), about.modified().ok())))
            };
            // An unreadable folder is reported when it is loaded.
            own_files(&folder).unwrap_or_default().into_iter().filter_map(stamp).collect()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// Starts what is new, stops what is gone, and restarts what has changed. What is wrong leaves its last good
    /// version in force.
    async fn take(&mut self, catalogue: Catalogue) {
        let kept: BTreeSet<String> =
            catalogue.wrong.iter().filter_map(|wrong| wrong.name.clone()).collect();
        // Then it is not known what is gone.
        let unreadable = catalogue.wrong.iter().any(|wrong| {
            wrong.name.is_none() && !matches!(wrong.error, CatalogueError::Unknown { .. })
        });
        let good: BTreeSet<&str> =
            catalogue.good.iter().map(|loaded| loaded.source.file.name.as_str()).collect();
        let gone: Vec<String> = self
            .polled
            .keys()
            .filter(|name| !good.contains(name.as_str()) && !kept.contains(*name) && !unreadable)
            .cloned()
            .collect();
        for name in gone {
            tracing::info!(provider = name, "provider file is gone, it is not polled any more");
            self.stop(&name).await;
        }
        for loaded in catalogue.good.into_iter().filter(|loaded| loaded.enabled) {
            self.start(loaded).await;
        }
        self.report(&catalogue.wrong);
    }

    async fn start(&mut self, loaded: Loaded) {
        let (name, text) = (loaded.source.file.name.clone(), loaded.source.text);
        if let Some(polled) = self.polled.get(&name) {
            // Its quota may be that of another file.
            if polled.text == text && polled.provider.limits == loaded.provider.limits {
                return;
            }
            tracing::info!(provider = name, "provider file has changed, polling by it from now on");
            self.stop(&name).await;
        }
        self.shared.freshness.expect(&loaded.provider);
        let context = self.context.child();
        let stop = context.shutdown.clone();
        let (provider, shared) = (Arc::clone(&loaded.provider), Arc::clone(&self.shared));
        let mut supervisor = Supervisor::new(context);
        supervisor.spawn(format!("poll.{name}"), Restart::WithBackoff, move |context| {
            run_provider(Arc::clone(&provider), Arc::clone(&shared), context)
        });
        let task = AbortOnDropHandle::new(tokio::spawn(supervisor.wait(STOP_TIMEOUT)));
        self.polled.insert(name, Polled { provider: loaded.provider, text, stop, task });
    }

    async fn stop(&mut self, name: &str) {
        let Some(polled) = self.polled.remove(name) else { return };
        let provider = Arc::clone(&polled.provider);
        if let Err(error) = polled.stop().await {
            tracing::warn!(provider = name, error = %format!("{error:#}"), "provider did not stop in time and was ended");
        }
        self.shared.freshness.forget(&provider);
    }

    /// Says each mistake once, for as long as it stays the same.
    fn report(&mut self, wrong: &[Wrong]) {
        let mut reported = BTreeSet::new();
        for Wrong { name, error } in wrong {
            let text = error_chain(error);
            if !self.reported.contains(&text) {
                let last_good = name.as_ref().is_some_and(|name| self.polled.contains_key(name));
                tracing::error!(
                    provider = name,
                    error = text,
                    last_good_in_force = last_good,
                    "a provider's file or setting is wrong and is not used"
                );
            }
            reported.insert(text);
        }
        if reported.is_empty() {
            self.probe.healthy(format!("{} providers", self.polled.len()));
        } else {
            self.probe.unhealthy(reported.iter().cloned().collect::<Vec<_>>().join("; "));
        }
        self.reported = reported;
    }
}

impl Polled {
    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}
