//! Maps that know which of their values changed since the last snapshot, so that only these are written.

use std::collections::{BTreeMap, BTreeSet};

/// Values by two names (rule and group), each change noted.
#[derive(Debug, Clone)]
pub(crate) struct Tracked<T> {
    values: BTreeMap<String, BTreeMap<String, T>>,
    changed: BTreeSet<(String, String)>,
}

impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

impl<T: PartialEq> PartialEq for Tracked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl<T> Tracked<T> {
    pub(crate) fn get(&self, first: &str, second: &str) -> Option<&T> {
        self.values.get(first)?.get(second)
    }

    /// The value, to be changed.
    pub(crate) fn get_mut(&mut self, first: &str, second: &str) -> Option<&mut T> {
        let value = self.values.get_mut(first)?.get_mut(second)?;
        note(&mut self.changed, first, second);
        Some(value)
    }

    /// The value, to be changed; made by `make` where there is none.
    pub(crate) fn get_or_insert_with(
        &mut self,
        first: &str,
        second: &str,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        note(&mut self.changed, first, second);
        // An entry costs two owned names, and most values are there already.
        if self.get(first, second).is_none() {
            self.values.entry(first.to_owned()).or_default().insert(second.to_owned(), make());
        }
        let value = self.values.get_mut(first).and_then(|values| values.get_mut(second));
        #[allow(clippy::expect_used)] // inserted above
        value.expect("the value was inserted")
    }

    pub(crate) fn remove(&mut self, first: &str, second: &str) -> Option<T> {
        let values = self.values.get_mut(first)?;
        let value = values.remove(second)?;
        if values.is_empty() {
            self.values.remove(first);
        }
        note(&mut self.changed, first, second);
        Some(value)
    }

    /// All values, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &T)> {
        self.values.iter().flat_map(|(first, values)| {
            values.iter().map(|(second, value)| (first.as_str(), second.as_str(), value))
        })
    }

    /// The values under a first name.
    pub(crate) fn iter_of(&self, first: &str) -> impl Iterator<Item = (&str, &T)> {
        let values = self.values.get(first).into_iter().flatten();
        values.map(|(second, value)| (second.as_str(), value))
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Names of what changed since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<(String, String)> {
        std::mem::take(&mut self.changed)
    }

    /// Adds a value that is stored already.
    pub(crate) fn restore(&mut self, first: &str, second: &str, value: T) {
        self.values.entry(first.to_owned()).or_default().insert(second.to_owned(), value);
    }
}

fn note(changed: &mut BTreeSet<(String, String)>, first: &str, second: &str) {
    changed.insert((first.to_owned(), second.to_owned()));
}
