//! From the stream to messages and events, beside a loop of the bare client.

use crate::{
    child::Child,
    fixtures::Source,
    options::Options,
    report::{Line, Report},
    stats::median,
    worker::{ReadHow, ReadOutcome, ReadTask, Task},
};

const SIDES: [(ReadHow, &str, &str); 3] = [
    (ReadHow::Reader, "consume", "our reader"),
    (ReadHow::Decoded, "consume_decoded", "our reader, events decoded"),
    (ReadHow::Bare, "consume_raw", "bare loop: the client's pull consumer, no acks"),
];

/// Reads the filled stream by each side in turns.
pub(crate) async fn measure(
    options: &Options,
    source: &Source,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut rounds: [Vec<ReadOutcome>; SIDES.len()] = Default::default();
    for _ in 0..options.repeat {
        for (outcomes, (how, _, _)) in rounds.iter_mut().zip(SIDES) {
            let nats_url = source.broker.server.url();
            let task = ReadTask { nats_url, messages: source.messages, how };
            outcomes.push(Child::run(&Task::Read(task)).await?);
        }
    }
    let messages = source.messages as f64;
    let rate = |outcomes: &[ReadOutcome]| {
        messages / median(outcomes.iter().map(|outcome| outcome.seconds)).max(1e-9)
    };
    let bare = rate(&rounds[2]);
    let mut lines = Vec::new();
    for (outcomes, (how, key, what)) in rounds.iter().zip(SIDES) {
        let cpu = median(outcomes.iter().map(|outcome| outcome.usage.cpu_seconds));
        let peak = median(outcomes.iter().map(|outcome| outcome.usage.peak_memory_bytes as f64));
        let share = rate(outcomes) / bare;
        report.put(format!("{key}_events_per_second"), rate(outcomes));
        report.put(format!("{key}_cpu_us_per_event"), cpu * 1e6 / messages);
        if how != ReadHow::Bare {
            report.put(format!("{key}_ratio"), share);
        }
        let line = Line::new(what).number(rate(outcomes)).number(cpu * 1e6 / messages);
        lines.push(line.number(peak / 1e6).number(share));
    }
    report.table(&["consume", "events/s", "CPU µs per event", "peak MB", "of bare"], &lines);
    Ok(())
}
