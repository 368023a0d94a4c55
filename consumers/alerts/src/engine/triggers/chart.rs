//! The picture of a window: what its steps had.

use crypto_intel_schemas::{Chart, ChartPoint, ChartShape, Decimal};

use super::{
    exact::Exact,
    window::{StepValues, WindowPart, steps_of},
};
use crate::rules::trigger::Window;

/// So many points are enough for a small picture, and keep an alert small.
const MAX_POINTS: usize = 60;
/// Fewer are no picture.
const MIN_POINTS: usize = 2;
/// Values of a window that tell how what is measured moved.
const OF_MOVES: [&str; 7] = ["change", "change_percent", "first", "last", "mean", "min", "max"];

/// The picture of a window as it is now; `None` where there is too little to see.
pub(super) fn chart_of<'p>(
    window: &Window,
    parts: impl Iterator<Item = &'p WindowPart>,
    now_us: i64,
) -> Option<Chart> {
    let steps: Vec<(i64, StepValues)> = steps_of(window, parts, now_us).into_iter().collect();
    let names = window.having.names();
    let names_any = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
    let has_values = window.of.is_some();
    let (shape, points) = if has_values && names_any(&OF_MOVES) && !names_any(&["sum"]) {
        (ChartShape::Line, lasts(&steps))
    } else {
        let counts = names_any(&["count", "distinct"]) && !names_any(&["sum"]);
        let sums = has_values && !counts;
        (ChartShape::Bars, totals(&steps, sums))
    };
    (points.len() >= MIN_POINTS).then_some(Chart { shape, points })
}

/// The last value of each step, of neighbouring ones where there are many.
fn lasts(steps: &[(i64, StepValues)]) -> Vec<ChartPoint> {
    let known = steps.iter().filter_map(|(at_us, step)| Some((*at_us, step.last.as_ref()?)));
    let known: Vec<(i64, &Exact)> = known.collect();
    let together = known.len().div_ceil(MAX_POINTS).max(1);
    let of_many = known.chunks(together).filter_map(|many| many.last());
    of_many.filter_map(|(at_us, last)| point(*at_us, last)).collect()
}

/// The sum of each step, or its count.
fn totals(steps: &[(i64, StepValues)], sums: bool) -> Vec<ChartPoint> {
    let together = steps.len().div_ceil(MAX_POINTS).max(1);
    let total = |many: &[(i64, StepValues)]| {
        let (at_us, _) = many.first()?;
        if !sums {
            let count: u64 = many.iter().map(|(_, step)| step.count).sum();
            let value = Decimal::parse(&count.to_string()).ok()?;
            return Some(ChartPoint { at_us: *at_us, value });
        }
        let zero = Exact::default();
        let known = many.iter().filter_map(|(_, step)| step.sum.as_ref());
        point(*at_us, &known.fold(zero, |sum, one| sum.plus(one)))
    };
    steps.chunks(together).filter_map(total).collect()
}

fn point(at_us: i64, value: &Exact) -> Option<ChartPoint> {
    Some(ChartPoint { at_us, value: Decimal::parse(&value.to_string()).ok()? })
}
