//! `crypto-intel providers history NAME[/ENDPOINT] --from T --to T`: has the poller fetch a range of the past.

use std::process::ExitCode;

use crypto_intel_poll::{Span, queue_history};
use crypto_intel_service::{ConfigError, now_us};
use serde::Serialize;

use super::super::connect_nats;
use crate::{
    config::AppConfig,
    output::Output,
    times::{parse_moment, time_text},
};

/// What was queued.
#[derive(Debug, Serialize)]
struct Queued {
    provider: String,
    endpoints: Vec<String>,
    from: String,
    to: String,
}

pub(super) async fn run(
    config: &AppConfig,
    name: &str,
    span: Span,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (provider, endpoint) = super::parts_of(name);
    let nats = connect_nats(config, "providers").await?;
    let endpoints = queue_history(&config.poll, &nats, provider, endpoint, span).await?;
    let text = |time_s: i64| time_text(time_s.saturating_mul(1_000_000));
    let queued = Queued {
        provider: provider.to_owned(),
        endpoints,
        from: text(span.from_s),
        to: text(span.to_s),
    };
    output.show(&queued, |queued| {
        format!(
            "queued {} to {} of {}/{}; `crypto-intel providers list` shows how far it is",
            queued.from,
            queued.to,
            queued.provider,
            queued.endpoints.join(", ")
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The range of two times, of which the second is now where it is absent.
pub(super) fn span(from: &str, to: Option<&str>) -> anyhow::Result<Span> {
    let now_us = now_us();
    let from_us = parse_moment("--from", from, now_us)?;
    let to_us = to.map(|to| parse_moment("--to", to, now_us)).transpose()?.unwrap_or(now_us);
    if from_us >= to_us {
        let problem = format!("--from {from} is not before --to {}", to.unwrap_or("now"));
        return Err(ConfigError { problems: vec![problem] }.into());
    }
    let seconds = |time_us: i64| time_us.div_euclid(1_000_000);
    Ok(Span { from_s: seconds(from_us), to_s: seconds(to_us) })
}
