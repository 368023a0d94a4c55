//! A process that is suspended in the middle of a transaction, or whose machine hangs, keeps its locks: the server waits
//! for it, and neither statement timeouts nor keepalives end that. Every writer that needs those locks waits, too.

use std::{future::Future, time::Duration};

use crate::{error::StoreError, pool::store::Store};

/// How long a statement waits for locks before their holders are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Terminates sessions of this program and user that block other sessions of it, while their own server process has only
/// waited for its client, and for longer than sending any batch takes.
const TERMINATE_IDLE_BLOCKERS: &str = "SELECT count(pg_terminate_backend(blocker.pid)) \
    FROM pg_stat_activity waiter \
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) AS blocking (pid) \
    JOIN pg_stat_activity blocker ON blocker.pid = blocking.pid \
    WHERE waiter.wait_event_type = 'Lock' AND blocker.wait_event = 'ClientRead' \
    AND blocker.state_change < clock_timestamp() - interval '10 seconds' \
    AND waiter.application_name = current_setting('application_name') \
    AND (blocker.application_name, blocker.usename, blocker.datname) \
      = (waiter.application_name, current_user, current_database())";

/// Runs statements that may wait for locks, and terminates idle sessions that hold these; their transactions roll back.
pub(super) async fn with_idle_blockers_terminated<T>(
    store: &Store,
    statements: impl Future<Output = T>,
) -> T {
    let mut statements = std::pin::pin!(statements);
    loop {
        tokio::select! {
            biased;
            done = &mut statements => return done,
            () = tokio::time::sleep(CHECK_INTERVAL) => {}
        }
        tokio::select! {
            biased;
            done = &mut statements => return done,
            terminated = terminate_idle_blockers(store) => match terminated {
                Ok(0) => {}
                Ok(sessions) => tracing::warn!(sessions, "terminated sessions that sat idle in a transaction and held our locks"),
                Err(error) => tracing::debug!(%error, "cannot check for sessions that hold our locks"),
            }
        }
    }
}

async fn terminate_idle_blockers(store: &Store) -> Result<i64, StoreError> {
    let row = store.client().await?.query_one(TERMINATE_IDLE_BLOCKERS, &[]).await;
    Ok(row.map_err(StoreError::sql("terminate idle sessions"))?.get(0))
}
