//! Percentiles: exact while there are few values, within one percent beyond (a histogram with logarithmic steps).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values that are remembered one by one.
const MAX_EXACT: usize = 256;

/// Ratio of neighbouring steps: a value lies within one percent of its step's middle.
const STEP: f64 = 1.02;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Sample {
    /// Sorted.
    #[serde(rename = "e")]
    Exact(Vec<f64>),
    #[serde(rename = "h")]
    Histogram(Histogram),
}

/// Number of values by step: negative ones by the step of their size, zeros, positive ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    negative: BTreeMap<i32, u64>,
    zero: u64,
    positive: BTreeMap<i32, u64>,
}

impl Default for Sample {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Sample {
    pub(crate) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        match self {
            Self::Exact(values) => {
                let place = values.partition_point(|known| *known < value);
                values.insert(place, value);
                if values.len() > MAX_EXACT {
                    let mut histogram = Histogram::default();
                    values.iter().for_each(|value| histogram.add(*value));
                    *self = Self::Histogram(histogram);
                }
            }
            Self::Histogram(histogram) => histogram.add(value),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Exact(values)) => values.iter().for_each(|value| self.add(*value)),
            (Self::Histogram(own), Self::Histogram(histogram)) => own.merge(histogram),
            (Self::Exact(values), Self::Histogram(_)) => {
                let values = std::mem::take(values);
                *self = other.clone();
                values.into_iter().for_each(|value| self.add(value));
            }
        }
    }

    pub(crate) fn is_estimate(&self) -> bool {
        matches!(self, Self::Histogram(_))
    }

    /// The smallest value that at least so many percent of all do not exceed; `None` without values.
    pub(crate) fn percentile(&self, percent: u32) -> Option<f64> {
        let rank = |count: u64| (count * u64::from(percent)).div_ceil(100).max(1);
        match self {
            Self::Exact(values) => {
                let index = usize::try_from(rank(values.len() as u64)).ok()? - 1;
                values.get(index).copied()
            }
            Self::Histogram(histogram) => histogram.at(rank(histogram.count())),
        }
    }
}

impl Histogram {
    fn add(&mut self, value: f64) {
        let step = (value.abs().ln() / STEP.ln()).floor() as i32;
        match value {
            0.0 => self.zero += 1,
            _ if value < 0.0 => *self.negative.entry(step).or_default() += 1,
            _ => *self.positive.entry(step).or_default() += 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.zero += other.zero;
        for (step, count) in &other.negative {
            *self.negative.entry(*step).or_default() += count;
        }
        for (step, count) in &other.positive {
            *self.positive.entry(*step).or_default() += count;
        }
    }

    fn count(&self) -> u64 {
        self.zero + self.negative.values().sum::<u64>() + self.positive.values().sum::<u64>()
    }

    fn at(&self, rank: u64) -> Option<f64> {
        let middle = |step: i32| STEP.powi(step) * STEP.sqrt();
        let negative = self.negative.iter().rev().map(|(step, count)| (-middle(*step), *count));
        let positive = self.positive.iter().map(|(step, count)| (middle(*step), *count));
        let mut seen = 0;
        negative
            .chain([(0.0, self.zero)])
            .chain(positive)
            .find(|(_, count)| {
                seen += count;
                seen >= rank
            })
            .map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn few_values_are_exact_and_many_within_a_percent() {
        let of = |range: std::ops::Range<i32>| {
            let mut sample = Sample::default();
            range.for_each(|value| sample.add(f64::from(value)));
            sample
        };
        let few = of(1..101);
        assert_eq!((few.percentile(50), few.percentile(95)), (Some(50.0), Some(95.0)));
        assert_eq!(Sample::default().percentile(50), None);
        let mut many = of(-5_000..1);
        many.merge(&of(1..5_001));
        assert!(many.is_estimate());
        for (percent, expected) in [(10, -4_000.0), (75, 2_500.0), (95, 4_500.0)] {
            let found: f64 = many.percentile(percent).unwrap();
            assert!((found / expected - 1.0).abs() < 0.01, "{percent}: {found}");
        }
        let mut mixed = of(1..10);
        mixed.merge(&many);
        assert!(mixed.is_estimate());
    }
}
