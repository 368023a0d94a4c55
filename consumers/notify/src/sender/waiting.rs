//! While a destination takes nothing: its fallback is told of what waits, and somebody may say that
//! it is mended.

use std::time::Duration;

use crypto_intel_schemas::subjects;

use super::courier::{Courier, Parcel, decode, us_until};
use crate::closed::Closed;

/// How often it is looked what came meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How long the time of the next try may be wrong by a clock that was set.
const MAX_LOOKS: usize = 2 * 3_600 * 24;

impl Courier<'_> {
    /// Until the next try, or until the destination is open again.
    pub(super) async fn while_closed(
        &mut self,
        parcel: &Parcel<'_>,
        until_us: i64,
    ) -> anyhow::Result<()> {
        for _ in 0..MAX_LOOKS {
            self.tell_fallback(parcel).await?;
            let left = us_until(until_us);
            if left.is_zero() || self.setup.gate.closed().is_none() {
                return Ok(());
            }
            if self.closed_before && self.records.closed(&self.setup.name).await?.is_none() {
                self.reopen("somebody sent a test message");
                self.keep().await?;
                return Ok(());
            }
            self.until_over(tokio::time::sleep(left.min(LOOK_INTERVAL))).await?;
        }
        Ok(())
    }

    /// Hands over what waits and was not handed over yet.
    async fn tell_fallback(&mut self, parcel: &Parcel<'_>) -> anyhow::Result<()> {
        let setup = self.setup;
        if setup.destination.policy().fallback.is_none() {
            return Ok(());
        }
        let Some(closed) = setup.gate.closed() else { return Ok(()) };
        let filter = subjects::notify_out(&setup.name);
        let why = format!("takes nothing now, and is told later: {}", closed.why);
        let first = parcel.work.message.sequence;
        let before = self.copied;
        while let Some(message) = self.next_message(first.max(self.copied + 1), &filter).await? {
            self.copied = message.sequence;
            // What is none of ours is dealt with when its turn comes, and what has ended is told.
            if let Ok(notification) = decode(&message)
                && self.is_waiting(&notification.id).await?
            {
                self.hand_over(&message, &notification, &why).await?;
            }
            self.until_over(std::future::ready(())).await?;
        }
        if self.copied != before && self.closed_before {
            let closed = Closed { copied: self.copied, ..closed };
            self.records.set_closed(&setup.name, &closed).await?;
        }
        Ok(())
    }

    async fn is_waiting(&self, delivery: &str) -> anyhow::Result<bool> {
        let record = self.records.load(&self.setup.name, delivery).await?;
        Ok(record.is_none_or(|stored| stored.record.ending().is_none()))
    }
}
