//! A process that stands still in the middle of a transaction, stopped or on a machine that hangs, keeps its locks: the
//! server waits for it, and neither timeouts of statements nor keepalives end that. Whoever waits for its locks does.

use std::{future::Future, time::Duration};

use crate::{Store, StoreError};

/// How long locks are waited for before it is looked who has them.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Ends sessions of this program and user that block others of it while their server process has waited for them, and
/// for nothing else, for longer than any batch takes to be sent.
const END_STALLED: &str = "SELECT count(pg_terminate_backend(blocker.pid)) \
    FROM pg_stat_activity waiter \
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) AS blocking (pid) \
    JOIN pg_stat_activity blocker ON blocker.pid = blocking.pid \
    WHERE waiter.wait_event_type = 'Lock' AND blocker.wait_event = 'ClientRead' \
    AND blocker.state_change < clock_timestamp() - interval '10 seconds' \
    AND waiter.application_name = current_setting('application_name') \
    AND (blocker.application_name, blocker.usename, blocker.datname) \
      = (waiter.application_name, current_user, current_database())";

impl Store {
    /// Waits for statements that may wait for locks, and ends who holds these without doing anything. It finds its
    /// transaction undone when it wakes.
    pub(crate) async fn past_stalled<T>(&self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            tokio::select! {
                biased;
                done = &mut waiting => return done,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            tokio::select! {
                biased;
                done = &mut waiting => return done,
                ended = self.end_stalled() => match ended {
                    Ok(0) => {}
                    Ok(sessions) => tracing::warn!(sessions, "a session stood still in a transaction and held its locks: ended"),
                    Err(error) => tracing::debug!(%error, "cannot look who holds the locks"),
                }
            }
        }
    }

    async fn end_stalled(&self) -> Result<i64, StoreError> {
        let row = self.client().await?.query_one(END_STALLED, &[]).await;
        Ok(row.map_err(StoreError::sql("end sessions that stand still"))?.get(0))
    }
}
