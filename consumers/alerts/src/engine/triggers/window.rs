//! Values over a window: buckets of time that can be merged, and what is computed of them.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{
    engine::triggers::{distinct::Distinct, exact::Exact, sample::Sample},
    rules::trigger::{Baseline, Measured, Window},
};

pub(crate) const HOUR_US: i64 = 3_600_000_000;

const DAY_HOURS: i64 = 24;

/// Days whose same hour is compared.
const DAYS: i64 = 7;

/// Hours that a baseline of a day must have been seen for.
const MIN_DAY_HOURS: i64 = 12;

/// Days that the same hour must have values of.
const MIN_DAYS: usize = 3;

/// One event's share in a window.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// Event time, microseconds.
    pub(super) at_us: i64,
    /// Number of its message: of two values at one time, the later counts as later.
    pub(super) sequence: u64,
    pub(super) value: Option<Exact>,
    pub(super) distinct: Option<String>,
}

/// What some events contribute: those of a block, or all that are final.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowPart {
    /// By number of the step.
    #[serde(rename = "b", default, skip_serializing_if = "BTreeMap::is_empty")]
    buckets: BTreeMap<i64, Bucket>,
    /// By number of the hour, for baselines.
    #[serde(rename = "h", default, skip_serializing_if = "BTreeMap::is_empty")]
    hours: BTreeMap<i64, Hour>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    #[serde(rename = "n")]
    count: u64,
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    /// Apart, since a map has room for more buckets than most groups have.
    values: Option<Box<Values>>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    distinct: Option<Box<Distinct>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    sample: Option<Box<Sample>>,
}

/// Sum and extremes. Of `first` and `last`: time, number of the message, value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredValues", into = "StoredValues")]
struct Values {
    count: u64,
    sum: Exact,
    min: Exact,
    max: Exact,
    first: Mark,
    last: Mark,
}

type Mark = (i64, u64, Exact);

/// Most steps of most groups have one event: it is stored once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant)] // it lives only while values are written or read
enum StoredValues {
    #[serde(rename = "o")]
    One(Mark),
    /// Count, sum, least, greatest, first, last.
    #[serde(rename = "m")]
    Many(u64, Exact, Exact, Exact, Mark, Mark),
}

impl From<StoredValues> for Values {
    fn from(stored: StoredValues) -> Self {
        match stored {
            StoredValues::One(mark) => Self::of(mark),
            StoredValues::Many(count, sum, min, max, first, last) => {
                Self { count, sum, min, max, first, last }
            }
        }
    }
}

impl From<Values> for StoredValues {
    fn from(values: Values) -> Self {
        let Values { count, sum, min, max, first, last } = values;
        if count == 1 { Self::One(first) } else { Self::Many(count, sum, min, max, first, last) }
    }
}

impl Values {
    fn of(mark: Mark) -> Self {
        let value = || mark.2.clone();
        Self { count: 1, sum: value(), min: value(), max: value(), first: mark.clone(), last: mark }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Hour {
    #[serde(rename = "n")]
    count: u64,
    /// Events with a value, and their sum.
    #[serde(rename = "m")]
    valued: u64,
    #[serde(rename = "s")]
    sum: Exact,
}

/// What conditions and templates see of a window. Absent values are not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WindowValues {
    pub(crate) count: u64,
    pub(crate) sum: Option<Exact>,
    pub(crate) min: Option<Exact>,
    pub(crate) max: Option<Exact>,
    pub(crate) mean: Option<Exact>,
    pub(crate) first: Option<Exact>,
    pub(crate) last: Option<Exact>,
    pub(crate) change: Option<Exact>,
    pub(crate) change_percent: Option<f64>,
    pub(crate) distinct: Option<u64>,
    /// By percent.
    pub(crate) percentiles: Vec<(u32, Option<f64>)>,
    pub(crate) baseline: Option<f64>,
    pub(crate) ratio: Option<f64>,
    /// Whether distinct values or percentiles are estimates.
    pub(crate) is_about: bool,
}

impl WindowPart {
    pub(super) fn add(&mut self, window: &Window, share: Share) {
        let bucket = self.buckets.entry(share.at_us.div_euclid(window.step_us)).or_default();
        bucket.count += 1;
        if let Some(value) = &share.value {
            bucket.merge_values(&Values::of((share.at_us, share.sequence, value.clone())));
            if !window.percentiles.is_empty() {
                bucket.sample.get_or_insert_default().add(value.to_f64());
            }
        }
        if let Some(distinct) = &share.distinct {
            bucket.distinct.get_or_insert_default().add(distinct);
        }
        if window.baseline.is_some() {
            let hour = self.hours.entry(share.at_us.div_euclid(HOUR_US)).or_default();
            let valued = u64::from(share.value.is_some());
            hour.add(&Hour { count: 1, valued, sum: share.value.unwrap_or_default() });
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (number, bucket) in other.buckets {
            match self.buckets.entry(number) {
                Entry::Vacant(place) => drop(place.insert(bucket)),
                Entry::Occupied(mut own) => own.get_mut().merge(&bucket),
            }
        }
        for (number, hour) in other.hours {
            self.hours.entry(number).or_default().add(&hour);
        }
    }

    /// Forgets what no window can contain any more, and no baseline.
    pub(super) fn forget(&mut self, window: &Window, now_us: i64) {
        forget_before(&mut self.buckets, window.first_step(now_us));
        if let Some(baseline) = window.baseline {
            forget_before(&mut self.hours, baseline.first_hour(window, now_us));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.hours.is_empty()
    }

    /// Whether some bucket is in the window now.
    pub(super) fn is_in(&self, window: &Window, now_us: i64) -> bool {
        self.buckets.range(window.first_step(now_us)..).next().is_some()
    }
}

/// A few of many go at a time: the others stay where they are.
fn forget_before<T>(by_number: &mut BTreeMap<i64, T>, first: i64) {
    while by_number.first_key_value().is_some_and(|(number, _)| *number < first) {
        by_number.pop_first();
    }
}

impl Baseline {
    /// Number of the first hour that it is made of.
    fn first_hour(self, window: &Window, now_us: i64) -> i64 {
        match self {
            Self::DayMean => end_of_day(window, now_us) - DAY_HOURS,
            Self::SameHour => now_us.div_euclid(HOUR_US) - DAYS * DAY_HOURS,
        }
    }
}

/// Number of the hour that the day before the window ends with: in it the window begins, so it is not over.
fn end_of_day(window: &Window, now_us: i64) -> i64 {
    (window.first_step(now_us) * window.step_us).div_euclid(HOUR_US)
}

impl Bucket {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        if let Some(values) = &other.values {
            self.merge_values(values);
        }
        if let Some(distinct) = &other.distinct {
            self.distinct.get_or_insert_default().merge(distinct);
        }
        if let Some(sample) = &other.sample {
            self.sample.get_or_insert_default().merge(sample);
        }
    }

    fn merge_values(&mut self, other: &Values) {
        let Some(own) = &mut self.values else {
            self.values = Some(Box::new(other.clone()));
            return;
        };
        own.count += other.count;
        own.sum = own.sum.plus(&other.sum);
        if other.min < own.min {
            own.min.clone_from(&other.min);
        }
        if other.max > own.max {
            own.max.clone_from(&other.max);
        }
        if other.first < own.first {
            own.first.clone_from(&other.first);
        }
        if other.last > own.last {
            own.last.clone_from(&other.last);
        }
    }
}

impl Hour {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.valued += other.valued;
        self.sum = self.sum.plus(&other.sum);
    }
}

/// What one step of a window has.
#[derive(Debug, Clone)]
pub(super) struct StepValues {
    pub(super) count: u64,
    pub(super) sum: Option<Exact>,
    pub(super) last: Option<Exact>,
}

/// The steps of a window over all parts of a group, by the time at which they begin.
pub(super) fn steps_of<'p>(
    window: &Window,
    parts: impl Iterator<Item = &'p WindowPart>,
    now_us: i64,
) -> BTreeMap<i64, StepValues> {
    let (first, last) = (window.first_step(now_us), now_us.div_euclid(window.step_us));
    let mut steps: BTreeMap<i64, Bucket> = BTreeMap::new();
    for part in parts {
        for (number, bucket) in part.buckets.range(first..=last) {
            steps.entry(*number).or_default().merge(bucket);
        }
    }
    let values = |(number, bucket): (i64, Bucket)| {
        let values = bucket.values.as_deref();
        let step = StepValues {
            count: bucket.count,
            sum: values.map(|values| values.sum.clone()),
            last: values.map(|values| values.last.2.clone()),
        };
        (number * window.step_us, step)
    };
    steps.into_iter().map(values).collect()
}

/// The values of a window over all parts of a group.
pub(super) fn values_of<'p>(
    window: &Window,
    parts: impl Iterator<Item = &'p WindowPart> + Clone,
    now_us: i64,
) -> WindowValues {
    let (first, last) = (window.first_step(now_us), now_us.div_euclid(window.step_us));
    let mut whole = Bucket::default();
    for part in parts.clone() {
        part.buckets.range(first..=last).for_each(|(_, bucket)| whole.merge(bucket));
    }
    let values = whole.values.as_deref();
    let changed = values.filter(|values| values.count > 1);
    let change = changed.map(|values| values.last.2.minus(&values.first.2));
    let percent = |values: &Values| {
        let (old, new) = (values.first.2.to_f64(), values.last.2.to_f64());
        (old != 0.0).then(|| (new - old) / old.abs() * 100.0)
    };
    let sample = whole.sample.unwrap_or_default();
    let distinct = whole.distinct.as_ref();
    let mut found = WindowValues {
        count: whole.count,
        sum: values.map(|values| values.sum.clone()),
        min: values.map(|values| values.min.clone()),
        max: values.map(|values| values.max.clone()),
        mean: values.and_then(|values| values.sum.divided_by(values.count)),
        first: values.map(|values| values.first.2.clone()),
        last: values.map(|values| values.last.2.clone()),
        change,
        change_percent: changed.and_then(percent),
        distinct: window.distinct.as_ref().map(|_| distinct.map_or(0, |set| set.count())),
        percentiles: window.percentiles.iter().map(|it| (*it, sample.percentile(*it))).collect(),
        baseline: None,
        ratio: None,
        is_about: sample.is_estimate() || distinct.is_some_and(|set| set.is_estimate()),
    };
    if let Some(baseline) = window.baseline {
        found.baseline = baseline_of(window, baseline, parts, now_us);
        let now = match window.measured {
            Measured::Count => Some(whole.count as f64),
            Measured::Sum => Some(found.sum.as_ref().map_or(0.0, Exact::to_f64)),
            Measured::Mean => found.mean.as_ref().map(Exact::to_f64),
        };
        let known = now.zip(found.baseline).filter(|(_, baseline)| *baseline != 0.0);
        found.ratio = known.map(|(now, baseline)| now / baseline);
    }
    found
}

/// What the window usually has; `None` while too little is known.
fn baseline_of<'p>(
    window: &Window,
    baseline: Baseline,
    parts: impl Iterator<Item = &'p WindowPart> + Clone,
    now_us: i64,
) -> Option<f64> {
    let hour = |number: i64| {
        let mut whole: Option<Hour> = None;
        for found in parts.clone().filter_map(|part| part.hours.get(&number)) {
            whole.get_or_insert_default().add(found);
        }
        whole
    };
    // An hour's total, as much as a window has of it.
    let share = window.over_us as f64 / HOUR_US as f64;
    let measure = |whole: &Hour, hours: f64| match window.measured {
        Measured::Count => Some(whole.count as f64 / hours * share),
        Measured::Sum => Some(whole.sum.to_f64() / hours * share),
        Measured::Mean => whole.sum.divided_by(whole.valued).map(|mean| mean.to_f64()),
    };
    match baseline {
        Baseline::DayMean => {
            let end = end_of_day(window, now_us);
            let first = baseline.first_hour(window, now_us);
            let oldest = (first..end).find(|number| hour(*number).is_some())?;
            let hours = end - oldest;
            if hours < MIN_DAY_HOURS {
                return None;
            }
            let mut whole = Hour::default();
            (oldest..end).filter_map(hour).for_each(|hour| whole.add(&hour));
            measure(&whole, hours as f64)
        }
        Baseline::SameHour => {
            let now = now_us.div_euclid(HOUR_US);
            let days = (1..=DAYS).filter_map(|day| hour(now - DAY_HOURS * day));
            let mut days: Vec<f64> = days.filter_map(|hour| measure(&hour, 1.0)).collect();
            days.sort_by(f64::total_cmp);
            let middle = days.len() / 2;
            match days.len() {
                few if few < MIN_DAYS => None,
                odd if odd % 2 == 1 => Some(days[middle]),
                _ => Some(f64::midpoint(days[middle - 1], days[middle])),
            }
        }
    }
}
