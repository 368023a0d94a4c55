//! `crypto-intel route test`

use std::process::ExitCode;

use crypto_intel_notify::{Explanation, alert_of, check_routes, explain};
use crypto_intel_service::ConfigError;

use super::{connect_nats, exit_code, prepare};
use crate::{
    args::{Arguments, RouteAction},
    output::{Output, table},
};

pub(crate) async fn run(
    arguments: &Arguments,
    action: &RouteAction,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let RouteAction::Test { values, offline } = action;
    let alert = alert_of(values)?;
    if let Err(problems) = check_routes(&config.notify) {
        let problems = problems.iter().map(ToString::to_string).collect();
        return Err(ConfigError { problems }.into());
    }
    let nats = match offline {
        true => None,
        false => Some(connect_nats(&config, "route-test").await?),
    };
    let explanation = explain(nats.as_ref(), &config.notify, &alert).await?;
    output.show(&explanation, show)?;
    // For scripts: whether anyone would be told, now or later.
    let is_told = |verdict: &str| matches!(verdict, "sent" | "waits" | "collected");
    Ok(exit_code(explanation.destinations.iter().any(|target| is_told(target.verdict))))
}

fn show(explanation: &Explanation) -> String {
    let mut lines = Vec::new();
    if explanation.destinations.is_empty() {
        lines.push(match explanation.dropped {
            true => "no one, on purpose: the route has no destinations".to_owned(),
            false => "no one: no route matches and notify.unrouted is not set".to_owned(),
        });
    } else {
        let rows = explanation.destinations.iter().map(|target| {
            let place = match target.line {
                0 => target.by.clone(),
                line => format!("{} (line {line})", target.by),
            };
            let then = [
                target.escalation.as_ref().map(|to| format!("escalated to {to}")),
                target.remind.as_ref().map(|every| format!("repeated every {every}")),
            ];
            let then: Vec<String> = then.into_iter().flatten().collect();
            let now = match target.detail.as_str() {
                "" => target.verdict.to_owned(),
                detail => format!("{}: {detail}", target.verdict),
            };
            [target.destination.clone(), place, now, then.join(", ")]
        });
        lines.push(table(&["destination", "by", "now", "until acknowledged"], rows));
    }
    if !explanation.complete {
        lines.push("silences and lasting alerts were not looked at (--offline)".to_owned());
    }
    lines.join("\n")
}
