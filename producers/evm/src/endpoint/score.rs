use std::time::Duration;

use tokio::time::Instant;

/// After this long an error counts half.
const HALF_LIFE: Duration = Duration::from_secs(30);
/// Fewer recent requests than this say nothing about the rate of errors.
const ENOUGH: f64 = 3.0;
/// Others are asked first for this long after a failure.
const JUST_NOW: Duration = Duration::from_secs(2);
/// Age at which a latency is dropped, so that the endpoint is tried again.
const LATENCY_AGE: Duration = Duration::from_secs(60);
/// Share of the newest latency in the mean.
const NEWEST: f64 = 0.2;

/// How well an endpoint answered recently.
#[derive(Debug, Default)]
pub(super) struct Score {
    errors: f64,
    total: f64,
    updated: Option<Instant>,
    failed: Option<Instant>,
    latency_ms: Option<(f64, Instant)>,
}

impl Score {
    pub(super) fn success(&mut self, now: Instant, latency: Duration) {
        self.fade(now);
        self.total += 1.0;
        let newest = latency.as_secs_f64() * 1_000.0;
        let mean = self.latency_ms(now).map_or(newest, |known| known + NEWEST * (newest - known));
        self.latency_ms = Some((mean, now));
    }

    pub(super) fn failure(&mut self, now: Instant) {
        self.fade(now);
        self.total += 1.0;
        self.errors += 1.0;
        self.failed = Some(now);
    }

    pub(super) fn failed_just_now(&self, now: Instant) -> bool {
        self.failed.is_some_and(|failed| now.saturating_duration_since(failed) < JUST_NOW)
    }

    /// Share of recent requests that failed, 0 to 1; 0 where there were too few.
    pub(super) fn error_rate(&self, now: Instant) -> f64 {
        let recent = self.total * self.fading(now);
        if recent < ENOUGH { 0.0 } else { self.errors / self.total }
    }

    /// Mean time to an answer, milliseconds; `None` without a recent one.
    pub(super) fn latency_ms(&self, now: Instant) -> Option<f64> {
        self.latency_ms
            .filter(|(_, at)| now.saturating_duration_since(*at) < LATENCY_AGE)
            .map(|(mean, _)| mean)
    }

    fn fade(&mut self, now: Instant) {
        let fading = self.fading(now);
        self.errors *= fading;
        self.total *= fading;
        self.updated = Some(now);
    }

    fn fading(&self, now: Instant) -> f64 {
        let age = self.updated.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        0.5_f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn errors_count_while_they_are_recent() {
        let mut score = Score::default();
        score.failure(Instant::now());
        assert!(score.error_rate(Instant::now()) < 0.01, "one failure says nothing");
        for _ in 0..5 {
            score.failure(Instant::now());
        }
        for _ in 0..2 {
            score.success(Instant::now(), Duration::from_millis(10));
        }
        assert!(score.error_rate(Instant::now()) > 0.7);
        tokio::time::advance(HALF_LIFE * 3).await;
        assert!(score.error_rate(Instant::now()) < 0.01, "an idle endpoint is tried again");
    }

    #[tokio::test(start_paused = true)]
    async fn latencies_are_means_of_recent_answers() {
        let mut score = Score::default();
        assert!(score.latency_ms(Instant::now()).is_none());
        score.success(Instant::now(), Duration::from_millis(100));
        score.success(Instant::now(), Duration::from_millis(200));
        let mean = score.latency_ms(Instant::now()).unwrap_or_default();
        assert!((119.0..121.0).contains(&mean), "{mean}");
        tokio::time::advance(LATENCY_AGE).await;
        assert!(score.latency_ms(Instant::now()).is_none());
    }
}
