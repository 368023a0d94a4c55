use serde::{Deserialize, Serialize};

use super::limits::Window;

/// What is used of a window that slides, as units by slice of time. A unit counts until the window after the end of its
/// slice, so that any window, wherever it begins, holds at most the limit, and the slices are few however many
/// requests there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sliding {
    /// Beginning in microseconds and units, oldest first.
    slices: Vec<(i64, u64)>,
    /// What the provider counted beyond these.
    beyond: Option<Beyond>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Beyond {
    units: u64,
    until_us: i64,
}

/// Length of a slice.
const fn slice_us(window: Window) -> i64 {
    match window {
        Window::Second => 50_000,
        _ => 1_000_000,
    }
}

fn length_us(window: Window) -> i64 {
    i64::try_from(window.length().as_micros()).unwrap_or(i64::MAX)
}

/// When a slice no longer counts.
fn gone_us(window: Window, begin_us: i64) -> i64 {
    begin_us.saturating_add(slice_us(window)).saturating_add(length_us(window))
}

impl Sliding {
    /// When there is room for this weight; not after `now_us`: now.
    pub(super) fn room_at(&self, window: Window, limit: u32, weight: u32, now_us: i64) -> i64 {
        let has_room =
            |at_us| self.used(window, at_us).saturating_add(weight.into()) <= limit.into();
        let slices = self.slices.iter().map(|(begin_us, _)| gone_us(window, *begin_us));
        let beyond = self.beyond.map(|beyond| beyond.until_us);
        let mut times: Vec<i64> = slices.chain(beyond).filter(|at| *at > now_us).collect();
        times.push(now_us);
        times.sort_unstable();
        // A weight above the limit never has room: load refuses it, and what is left waits.
        times.into_iter().find(|at| has_room(*at)).unwrap_or(i64::MAX)
    }

    pub(super) fn used(&self, window: Window, at_us: i64) -> u64 {
        let counts = |begin_us: i64| gone_us(window, begin_us) > at_us;
        let slices = self.slices.iter().filter(|(begin_us, _)| counts(*begin_us));
        let beyond = self.beyond.filter(|beyond| beyond.until_us > at_us);
        slices.map(|(_, units)| units).sum::<u64>() + beyond.map_or(0, |beyond| beyond.units)
    }

    pub(super) fn add(&mut self, window: Window, units: u32, now_us: i64) {
        let begin_us = now_us.div_euclid(slice_us(window)) * slice_us(window);
        match self.slices.last_mut() {
            Some((last_us, used)) if *last_us == begin_us => *used += u64::from(units),
            _ => self.slices.push((begin_us, units.into())),
        }
    }

    pub(super) fn state(&mut self, window: Window, used: u64, ends_us: Option<i64>, now_us: i64) {
        self.beyond = None;
        let units = used.saturating_sub(self.used(window, now_us));
        let whole_us = now_us.saturating_add(length_us(window));
        if units > 0 {
            let until_us = ends_us.unwrap_or(whole_us).min(whole_us);
            self.beyond = Some(Beyond { units, until_us });
        }
    }

    pub(super) fn roll(&mut self, window: Window, now_us: i64) {
        self.slices.retain(|(begin_us, _)| gone_us(window, *begin_us) > now_us);
        self.beyond = self.beyond.filter(|beyond| beyond.until_us > now_us);
        // From a clock that was ahead: it counts as of now, neither less nor longer than a window.
        let newest_us = now_us.div_euclid(slice_us(window)) * slice_us(window);
        let later: u64 = self.slices.iter().filter(|(at, _)| *at > newest_us).map(|(_, n)| n).sum();
        if later > 0 {
            self.slices.retain(|(begin_us, _)| *begin_us <= newest_us);
            match self.slices.last_mut() {
                Some((last_us, used)) if *last_us == newest_us => *used += later,
                _ => self.slices.push((newest_us, later)),
            }
        }
        if let Some(beyond) = &mut self.beyond {
            beyond.until_us = beyond.until_us.min(now_us.saturating_add(length_us(window)));
        }
    }
}
