//! Which value of an index or metric is used: a pure function of what the bucket holds, what a source says now, and the
//! time.

use crypto_intel_schemas::{FactValue, HeldValue, SourceValue, SourceVerdict};

use super::choice::{Candidate, Held, Last, Rules, Said};

/// The bucket's next value of a fact after a source said something; `None` when nothing changes. `empty` is that of a fact
/// without a source.
pub(super) fn next(
    known: Option<&FactValue>,
    empty: &FactValue,
    mut offered: SourceValue,
    rules: &Rules<'_>,
) -> Option<FactValue> {
    let mut value = known.unwrap_or(empty).clone();
    let source = offered.source.clone();
    // A clock that is ahead would keep a value fresh.
    offered.at_us = offered.at_us.min(rules.now_us);
    match value.sources.iter_mut().find(|known| known.source == source) {
        Some(known) if offered.at_us > known.at_us => *known = offered,
        Some(_) => {}
        None => value.sources.push(offered),
    }
    rules.forget(&mut value.sources, &source);
    let has_value = choose(rules, &mut value, known.is_some());
    (has_value && known != Some(&value)).then_some(value)
}

impl Said for SourceValue {
    fn source(&self) -> &str {
        &self.source
    }

    fn at_us(&self) -> i64 {
        self.at_us
    }
}

/// Chooses, and writes into the value what became of each source; `false` when there is no value at all.
fn choose(rules: &Rules<'_>, value: &mut FactValue, has_last: bool) -> bool {
    for said in &mut value.sources {
        said.verdict = SourceVerdict::Stale;
    }
    let all = value.sources.iter().enumerate();
    let candidates: Vec<Candidate<'_>> = all
        .map(|(index, said)| Candidate {
            index,
            source: &said.source,
            value: said.value.to_f64(),
            at_us: said.at_us,
        })
        .collect();
    let last = Last { value: value.value.to_f64(), at_us: value.at_us };
    let held = value.held.clone().map(|held| Held {
        source: held.source,
        value: held.value,
        since_us: held.since_us,
    });
    let exact = |index: usize| value.sources[index].value.clone();
    let choice = rules.choose(&candidates, has_last.then_some(last), held, exact);
    value.held = choice.held.map(|held| HeldValue {
        source: held.source,
        value: held.value,
        since_us: held.since_us,
    });
    for (index, verdict) in choice.verdicts {
        value.sources[index].verdict = verdict;
    }
    value.how = Some(choice.how);
    let Some(picked) = choice.picked else { return has_last };
    let used = &value.sources[picked];
    value.value = used.value.clone();
    value.at_us = used.at_us;
    value.source.clone_from(&used.source);
    true
}

#[cfg(test)]
mod tests;
