//! How many of something a client may hold at once: connections, live sessions, requests that are being answered.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::{auth::Caller, limits::network};

/// Whose places are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A key, wherever it is used.
    Key(String),
    /// A client without one, by its network.
    Address(IpAddr),
}

impl Owner {
    /// Whose a request is, or a connection from an address.
    pub(crate) fn of(caller: Option<&Caller>, address: IpAddr) -> Self {
        match caller.and_then(|caller| caller.key.clone()) {
            Some(key) => Self::Key(key),
            None => Self::Address(network(address)),
        }
    }

    /// How many places it may have: so many for a key, so many for an address.
    pub(crate) const fn most(&self, of_key: usize, of_address: usize) -> usize {
        match self {
            Self::Key(_) => of_key,
            Self::Address(_) => of_address,
        }
    }

    /// For people.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Key(_) => "this key",
            Self::Address(_) => "this address",
        }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// This one holds as many as it may.
    Owner,
    /// All together do.
    All,
}

/// Places of one sort.
#[derive(Debug, Default)]
pub(crate) struct Places {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_owner: HashMap<Owner, usize>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    owner: Owner,
}

impl Places {
    /// Takes one.
    ///
    /// # Errors
    /// When this owner holds `most` already, or all together `most_in_all`.
    pub(crate) fn take(
        self: &Arc<Self>,
        owner: Owner,
        most: usize,
        most_in_all: usize,
    ) -> Result<Place, Full> {
        let mut counts = self.counts.lock();
        if counts.all >= most_in_all {
            return Err(Full::All);
        }
        if counts.by_owner.get(&owner).is_some_and(|own| *own >= most) {
            return Err(Full::Owner);
        }
        *counts.by_owner.entry(owner.clone()).or_default() += 1;
        counts.all += 1;
        Ok(Place { places: Arc::clone(self), owner })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.places.counts.lock();
        counts.all -= 1;
        if let Some(own) = counts.by_owner.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                counts.by_owner.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_owner_and_in_all_and_are_given_back() {
        let places = Arc::new(Places::default());
        let take = |address: &str| places.take(Owner::of(None, address.parse().unwrap()), 2, 3);
        let (first, _second) = (take("1.1.1.1").unwrap(), take("1.1.1.1").unwrap());
        assert_eq!(take("1.1.1.1").unwrap_err(), Full::Owner);
        let _third = take("1.1.1.2").unwrap();
        assert_eq!(take("1.1.1.3").unwrap_err(), Full::All);
        drop(first);
        assert!(take("1.1.1.1").is_ok());
        assert_eq!(places.counts.lock().by_owner.len(), 2, "who holds none is forgotten");
    }
}
