//! Runs the examples inside rules: each through a fresh engine, on a chain of its own and by a clock of its own.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{
    Alert, AlertState, B256, Block, Event, Kind, Tick, chain_event_id, subjects,
};
use prometheus::Registry;

use crate::{
    engine::Engine,
    metrics::Metrics,
    rules::{
        Rule, RuleProblem, RuleSet,
        example::{Example, START_US},
        trigger::Trigger,
    },
    streams::RuleStream,
};

const SECOND_US: i64 = 1_000_000;
/// A chain of an example has a block so often while only time passes.
const BLOCK_US: i64 = 12 * SECOND_US;
/// Blocks below the head that are not final.
const FINALITY: u64 = 64;
/// Operators that announce every block.
const OPERATORS: usize = 16;
/// Height of the first block.
const FIRST_BLOCK: u64 = 21_000_000;
/// Time that passes after the last event.
const TAIL_US: i64 = 3 * SECOND_US;

/// Runs every example of every enabled rule.
#[must_use]
pub fn run_examples(rules: &Arc<RuleSet>) -> Vec<RuleProblem> {
    run_until(rules, None)
}

/// The same of texts by others: no example begins after this time, and the first that did not run is a problem.
#[must_use]
pub fn run_examples_within(rules: &Arc<RuleSet>, time: Duration) -> Vec<RuleProblem> {
    run_until(rules, Instant::now().checked_add(time))
}

fn run_until(rules: &Arc<RuleSet>, until: Option<Instant>) -> Vec<RuleProblem> {
    let Ok(metrics) = Metrics::new(&Registry::new()) else { return Vec::new() };
    let examples =
        rules.rules.iter().flat_map(|rule| rule.examples.iter().map(move |it| (rule, it)));
    let mut problems = Vec::new();
    for (rule, example) in examples {
        if until.is_some_and(|until| Instant::now() >= until) {
            let message =
                "this and further examples did not run: they take too long together".to_owned();
            problems.push(RuleProblem { message, hint: None, ..example.place.clone() });
            break;
        }
        problems.extend(run(rules, rule, example, &metrics));
    }
    problems
}

fn run(
    rules: &Arc<RuleSet>,
    rule: &Rule,
    example: &Example,
    metrics: &Metrics,
) -> Option<RuleProblem> {
    let counters = metrics.rule(&rule.id);
    let before = (counters.matched.get(), counters.absent.get(), counters.unpriced.get());
    let mut world = World::new(rules, rule, metrics);
    for event in &example.events {
        world.pass_until(event.at_us);
        world.happen(event.event.as_ref());
    }
    world.close_blocks();
    world.pass_until(world.now_us + TAIL_US);
    let said: Vec<&Alert> = world.alerts.iter().filter(|alert| alert.rule == rule.id).collect();
    let in_state = |state| said.iter().copied().find(move |alert| alert.state == state);
    let fired = in_state(AlertState::Fired);
    let name = example.name.as_deref().unwrap_or("without a name");
    let counts = || {
        format!(
            "matched {} of {} events; {} lacked a field, {} a price",
            counters.matched.get() - before.0,
            example.events.iter().filter(|event| event.event.is_some()).count(),
            counters.absent.get() - before.1,
            counters.unpriced.get() - before.2,
        )
    };
    let resolved = in_state(AlertState::Resolved).is_some();
    let (message, hint) = match (example.fires, fired) {
        (true, None) => (format!("example {name}: it must fire, and does not"), counts()),
        (false, Some(alert)) => (
            format!("example {name}: it must not fire, and does"),
            format!("it says: {}", alert.title),
        ),
        (true, Some(alert)) if !says(example, &said) => (
            format!(
                "example {name}: no alert says {:?}",
                example.says.as_deref().unwrap_or_default()
            ),
            format!(
                "it says: {}",
                [std::slice::from_ref(&alert.title), alert.lines.as_slice()].concat().join(" / ")
            ),
        ),
        _ if example.resolves.is_some_and(|must| must != resolved) => {
            let what = if resolved {
                "must stay open, and is resolved"
            } else {
                "must be resolved, and is not"
            };
            (format!("example {name}: its alert {what}"), counts())
        }
        _ => return None,
    };
    let hint = Some(hint);
    Some(RuleProblem { message, hint, ..example.place.clone() })
}

fn says(example: &Example, said: &[&Alert]) -> bool {
    let Some(text) = &example.says else { return true };
    let texts = |alert: &&Alert| {
        alert.title.contains(text) || alert.lines.iter().any(|line| line.contains(text))
    };
    said.iter().any(texts)
}

/// A stream that is made up as it is read.
struct World {
    engine: Engine,
    stream: RuleStream,
    alerts: Vec<Alert>,
    sequence: u64,
    now_us: i64,
    chains: BTreeMap<String, Chain>,
    /// Whether blocks come by themselves: not where their absence is what the rule is about.
    mines: bool,
}

/// A chain of an example.
struct Chain {
    id: u64,
    height: u64,
    block_at_us: i64,
    /// Whether events of the next block are there.
    is_open: bool,
}

impl World {
    fn new(rules: &Arc<RuleSet>, rule: &Rule, metrics: &Metrics) -> Self {
        Self {
            engine: Engine::new(Arc::clone(rules), rule.stream, metrics),
            stream: rule.stream,
            alerts: Vec::new(),
            sequence: 0,
            now_us: START_US,
            chains: BTreeMap::new(),
            mines: !matches!(rule.trigger, Trigger::Absence(_)),
        }
    }

    /// Lets time pass: ticks, and blocks of the chains that there are.
    fn pass_until(&mut self, until_us: i64) {
        if until_us > self.now_us {
            self.close_blocks();
        }
        let step_us = match until_us - self.now_us {
            gap if gap <= 600 * SECOND_US => SECOND_US,
            gap if gap <= 86_400 * SECOND_US => 10 * SECOND_US,
            _ => 60 * SECOND_US,
        };
        while self.now_us < until_us {
            self.now_us = (self.now_us + step_us).min(until_us);
            let now_us = self.now_us;
            let tick = Tick {
                id: format!("example:tick:{now_us}"),
                stream: self.stream.slug().to_owned(),
                ..Tick::at("alerts", now_us, now_us)
            };
            self.feed(&Event::from(tick));
            let mines = self.mines;
            let is_due = |chain: &Chain| mines && now_us - chain.block_at_us >= BLOCK_US;
            let due = self.chains.iter_mut().filter(|(_, chain)| is_due(chain));
            due.for_each(|(_, chain)| chain.is_open = true);
            self.close_blocks();
        }
    }

    fn happen(&mut self, event: Option<&Event>) {
        let Some(event) = event else { return };
        let mut event = event.clone();
        if let Some(block) = event.block_fields().filter(|_| !event.kind().is_lasting()) {
            let chain = self.chains.entry(block.chain.to_owned()).or_insert_with(|| Chain {
                id: block.chain_id,
                height: FIRST_BLOCK,
                block_at_us: 0,
                is_open: false,
            });
            chain.is_open = true;
            event = in_block(&event, chain.height + 1);
        }
        self.feed(&event);
    }

    /// The markers of the blocks of which there are events.
    fn close_blocks(&mut self) {
        let mut markers = Vec::new();
        for (name, chain) in self.chains.iter_mut().filter(|(_, chain)| chain.is_open) {
            chain.is_open = false;
            chain.height += 1;
            chain.block_at_us = self.now_us;
            let hash = hash_of(chain.height);
            markers.push(Block {
                id: chain_event_id(name, &hash, Kind::Block),
                chain: name.clone(),
                chain_id: chain.id,
                event_at_us: self.now_us,
                observed_at_us: self.now_us,
                block_time_us: self.now_us,
                block_number: chain.height,
                block_hash: hash,
                parent_hash: hash_of(chain.height - 1),
                incarnation: 1,
                finalized_number: chain.height.saturating_sub(FINALITY),
                announced: vec![chain.height; OPERATORS],
                ..Block::empty()
            });
        }
        for marker in markers {
            self.feed(&Event::from(marker));
        }
    }

    fn feed(&mut self, event: &Event) {
        self.sequence += 1;
        let message = StreamMessage {
            subject: subjects::of(event),
            schema: None,
            headers: None,
            payload: Bytes::from(event.encode()),
            sequence: self.sequence,
            stored_at_us: self.now_us,
            remaining: 0,
        };
        let applied = self.engine.apply(&message, &mut self.alerts);
        debug_assert!(applied.is_ok(), "our own events can be read");
    }
}

fn hash_of(height: u64) -> B256 {
    let mut hash = B256::repeat_byte(0xb1);
    hash.0[24..].copy_from_slice(&height.to_be_bytes());
    hash
}

/// The event in the block of this height, unless the example says which it is in.
fn in_block(event: &Event, height: u64) -> Event {
    let mut json = event.to_json();
    if let Some(body) = json.as_object_mut() {
        body.insert("block_number".to_owned(), height.into());
        body.insert("block_hash".to_owned(), format!("{:#x}", hash_of(height)).into());
    }
    // Only values of the same form were exchanged.
    Event::from_json(&json).unwrap_or_else(|_| event.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::rules::DEFAULT_RULES;

    fn parse(texts: &[(&str, &str)]) -> Arc<RuleSet> {
        let rules = RuleSet::parse(texts, None);
        Arc::new(rules.unwrap_or_else(|problems| {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }))
    }

    fn failures(examples: &str) -> Vec<String> {
        let rule = "[[rule]]\nid = 'r'\non = ['evm.*.transfer.erc20', 'evm.*.transfer.native']\nwhen = 'amount > 5.0'\ntitle = '{{ amount }} {{ symbol }}'\n";
        let rules = parse(&[("r.toml", &(rule.to_owned() + examples))]);
        run_examples(&rules).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_shipped_rule_has_examples_of_both_sorts_that_pass() {
        let enabled: Vec<(&str, String)> = DEFAULT_RULES
            .iter()
            .map(|(name, text)| (*name, text.replace("enabled = false", "enabled = true")))
            .collect();
        let texts: Vec<(&str, &str)> =
            enabled.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let rules = parse(&texts);
        for rule in &rules.rules {
            for fires in [true, false] {
                let has = rule.examples.iter().any(|example| example.fires == fires);
                assert!(
                    has || rule.id == "not-evaluated",
                    "{}: no example with fires = {fires}",
                    rule.id
                );
            }
        }
        let failed: Vec<String> = run_examples(&rules).iter().map(ToString::to_string).collect();
        assert!(failed.is_empty(), "{}", failed.join("\n\n"));
        assert_eq!(rules.warnings(), &[], "shipped rules say what they mean");
    }

    #[test]
    fn an_example_that_is_not_as_it_says_is_refused_with_its_place() {
        let event = "events = [{ kind = 'transfer.erc20', amount = 7, symbol = 'X' }]\n";
        let example =
            |lines: &str| failures(&format!("[[rule.example]]\nname = 'seven'\n{lines}{event}"));
        assert_eq!(example("fires = true\n"), Vec::<String>::new());
        assert_eq!(example("fires = true\nsays = '7 X'\n"), Vec::<String>::new());
        let found = example("fires = false\n");
        assert!(
            found[0].starts_with("r.toml:6:1: rule r: example seven: it must not fire, and does"),
            "{}",
            found[0]
        );
        assert!(found[0].contains("it says: 7 X"), "{}", found[0]);
        let found = example("fires = true\nsays = '8 X'\n");
        assert!(found[0].contains("no alert says \"8 X\""), "{}", found[0]);
        let found =
            failures("[[rule.example]]\nfires = true\nevents = [{ kind = 'transfer.native' }]\n");
        assert!(found[0].contains("matched 0 of 1 events; 1 lacked a field"), "{}", found[0]);
    }

    #[test]
    fn mistakes_in_an_example_are_told_like_those_in_a_rule() {
        let problem = |event: &str| {
            let text = format!(
                "[[rule]]\nid = 'r'\non = 'evm.*.transfer.erc20'\ntitle = 'x'\n[[rule.example]]\nfires = true\nevents = [{event}]\n"
            );
            let problems = RuleSet::parse(&[("r.toml", &text)], None).expect_err(event);
            problems[0].to_string()
        };
        for (event, expected) in [
            ("{ amont = 5 }", "no field `amont`"),
            ("{ amont = 5 }", "did you mean `amount`?"),
            ("{ from = '0xzz' }", "`from` is 0x and at most 40 hex digits"),
            ("{ kind = 'swap' }", "reads no such `kind`"),
            ("{ token_verified = 'yes' }", "`token_verified` is true or false"),
            ("{ at = 'noon' }", "`at` is no duration"),
            ("{ amount = 1, at = '5m' }, { amount = 1, at = '1m' }", "lies before"),
        ] {
            let found = problem(event);
            assert!(found.contains(expected) && found.contains("r.toml:7:"), "{event}: {found}");
        }
    }

    #[test]
    fn examples_with_times_have_a_clock_and_blocks() {
        let rule = "[[rule]]\nid = 'r'\non = 'evm.*.transfer.erc20'\ncooldown = '1m'\ntitle = '{{ amount }}'\n";
        let example = "[[rule.example]]\nfires = true\nsays = '2 more'\nevents = [{ amount = 1 }, { amount = 2, at = '10s' }, { amount = 3, at = '20s' }, { at = '2m' }]\n";
        let rules = parse(&[("r.toml", &(rule.to_owned() + example))]);
        assert_eq!(run_examples(&rules), Vec::new());
    }
}
