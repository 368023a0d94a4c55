//! Made-up histories with reorgs: restarts change nothing.

use std::sync::Arc;

use crypto_intel_schemas::Alert;
use proptest::prelude::*;

use super::{Moved, Play, RULE, SECOND};
use crate::{engine::Engine, snapshot::in_memory::Memory, streams::RuleStream};

/// One step of a made-up history: mine a block, drop some, or let time pass.
#[derive(Debug, Clone)]
enum Step {
    Mine(Vec<Moved>),
    Drop(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let moved = (0_u8..6, 0_u8..3, 90_u64..110);
    prop_oneof![
        4 => prop::collection::vec(moved, 0..4).prop_map(Step::Mine),
        1 => (1_usize..4).prop_map(Step::Drop),
        1 => (0_i64..200).prop_map(Step::Wait),
    ]
}

/// Plays a history, in which a transaction is in one canonical block at a time; `restart` says
/// after which messages the engine goes through its snapshot.
fn play_history(steps: &[Step], restart: impl Fn(u64) -> bool) -> Vec<Alert> {
    let rules = RULE.to_owned() + "cooldown = '30s'\ngroup_by = ['from']\n";
    let mut play = Play::new(&rules);
    let mut stack: Vec<(u64, u8, Vec<Moved>)> = Vec::new();
    let mut next_hash = 1_u8;
    let mut restarted_at = 0;
    let mut memory = Memory::new();
    let mut go_through_snapshot = |play: &mut Play| {
        if play.sequence != restarted_at && restart(play.sequence) {
            restarted_at = play.sequence;
            let (state, _) = memory.restart(play.engine.state_mut());
            let rules = Arc::clone(&play.engine.rules);
            play.engine = Engine::with_state(rules, RuleStream::Evm, &play.metrics, state);
        }
    };
    for step in steps {
        match step {
            Step::Mine(moved) => {
                let number = stack.last().map_or(1, |(number, ..)| number + 1);
                let mut fresh: Vec<Moved> = Vec::new();
                for transfer in moved {
                    let known = stack.iter().flat_map(|(_, _, moved)| moved).chain(&fresh);
                    if known.clone().all(|known| known.0 != transfer.0) {
                        fresh.push(*transfer);
                    }
                }
                play.events(number, next_hash, 1, &fresh);
                go_through_snapshot(&mut play);
                play.marker(number, next_hash, 1);
                stack.push((number, next_hash, fresh));
                next_hash = next_hash.wrapping_add(1);
            }
            Step::Drop(depth) => {
                for _ in 0..*depth {
                    let Some((number, hash, moved)) = stack.pop() else { break };
                    play.block(number, hash, 2, &moved);
                }
            }
            Step::Wait(seconds) => {
                play.now_us += seconds * SECOND;
                play.tick();
            }
        }
        play.now_us += SECOND;
        go_through_snapshot(&mut play);
    }
    play.take()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn restarts_from_snapshots_change_nothing(
        steps in prop::collection::vec(step(), 1..40),
        stride in 1_u64..7,
    ) {
        let whole = play_history(&steps, |_| false);
        let restarted = play_history(&steps, |sequence| sequence % stride == 0);
        prop_assert_eq!(whole, restarted);
    }
}
