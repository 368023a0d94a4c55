//! Maps that know which of their values changed since the last snapshot, so that only these are written.

use std::collections::{BTreeMap, BTreeSet};

/// Values by two names (rule and group), each change noted.
#[derive(Debug, Clone)]
pub(crate) struct Tracked<T> {
    values: BTreeMap<String, BTreeMap<String, Entry<T>>>,
    /// Names of what changed; once more where a value was removed and made again.
    changed: Vec<(String, String)>,
}

/// A value, and whether its names are in the list of changes: they are written down once, however often it changes.
#[derive(Debug, Clone)]
struct Entry<T> {
    value: T,
    is_noted: bool,
}

impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), changed: Vec::new() }
    }
}

impl<T: PartialEq> PartialEq for Tracked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T> Tracked<T> {
    pub(crate) fn get(&self, first: &str, second: &str) -> Option<&T> {
        Some(&self.values.get(first)?.get(second)?.value)
    }

    /// The value, to be changed.
    pub(crate) fn get_mut(&mut self, first: &str, second: &str) -> Option<&mut T> {
        let entry = self.values.get_mut(first)?.get_mut(second)?;
        if !std::mem::replace(&mut entry.is_noted, true) {
            self.changed.push((first.to_owned(), second.to_owned()));
        }
        Some(&mut entry.value)
    }

    /// The value, to be changed; made by `make` where there is none.
    pub(crate) fn get_or_insert_with(
        &mut self,
        first: &str,
        second: &str,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        // An entry costs two owned names, and most values are there already.
        if self.get(first, second).is_none() {
            self.restore(first, second, make());
        }
        let value = self.get_mut(first, second);
        #[allow(clippy::expect_used)] // inserted above
        value.expect("the value was inserted")
    }

    pub(crate) fn remove(&mut self, first: &str, second: &str) -> Option<T> {
        let values = self.values.get_mut(first)?;
        let entry = values.remove(second)?;
        if values.is_empty() {
            self.values.remove(first);
        }
        if !entry.is_noted {
            self.changed.push((first.to_owned(), second.to_owned()));
        }
        Some(entry.value)
    }

    /// All values, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &T)> {
        self.values.iter().flat_map(|(first, values)| {
            values.iter().map(|(second, entry)| (first.as_str(), second.as_str(), &entry.value))
        })
    }

    /// The values under a first name.
    pub(crate) fn iter_of(&self, first: &str) -> impl Iterator<Item = (&str, &T)> {
        let values = self.values.get(first).into_iter().flatten();
        values.map(|(second, entry)| (second.as_str(), &entry.value))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Names of what changed since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<(String, String)> {
        let changed: BTreeSet<_> = std::mem::take(&mut self.changed).into_iter().collect();
        for (first, second) in &changed {
            let values = self.values.get_mut(first);
            if let Some(entry) = values.and_then(|values| values.get_mut(second)) {
                entry.is_noted = false;
            }
        }
        changed
    }

    /// Adds a value that is stored already.
    pub(crate) fn restore(&mut self, first: &str, second: &str, value: T) {
        let entry = Entry { value, is_noted: false };
        self.values.entry(first.to_owned()).or_default().insert(second.to_owned(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_named_once_until_it_is_taken() {
        let mut tracked = Tracked::default();
        let names = |tracked: &mut Tracked<u32>| {
            let changed = tracked.take_changed().into_iter();
            changed.map(|(_, second)| second).collect::<Vec<_>>()
        };
        tracked.restore("r", "stored", 1);
        for _ in 0..3 {
            *tracked.get_or_insert_with("r", "a", || 0) += 1;
        }
        assert_eq!(tracked.changed.len(), 1);
        assert_eq!(names(&mut tracked), ["a"]);
        tracked.remove("r", "a");
        tracked.get_or_insert_with("r", "a", || 7);
        tracked.remove("r", "stored");
        assert_eq!(names(&mut tracked), ["a", "stored"]);
        *tracked.get_mut("r", "a").unwrap_or(&mut 0) += 1;
        assert_eq!((names(&mut tracked), tracked.get("r", "a")), (vec!["a".to_owned()], Some(&8)));
        assert_eq!(names(&mut tracked), [""; 0]);
    }
}
