//! The endpoints themselves, each with an id and a place of its own: what the rotation walks over.
//! Pure.
//!
//! Owns ids and places, and decides nothing. A member is live, or removed and remembered for its
//! pairs that go on.
//!
//! ```text
//!   places    [ a | vacant | c ]      a newcomer takes the first vacant place: the order of the
//!   endpoints { a, c }                others is that of the rotation, and stays
//! ```

use super::{Endpoint, EndpointId};
use crate::arena::{Arena, Key};

/// All endpoints of a set, in a stable order.
///
/// Always holds: each endpoint has one place.
#[derive(Debug, Default)]
pub(super) struct Members {
    endpoints: Arena<Endpoint>,
    places: Vec<Option<Key>>,
}

impl Members {
    pub(super) fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(id.0)
    }

    /// Adds a live endpoint.
    pub(super) fn insert(&mut self, endpoint: Endpoint) -> EndpointId {
        debug_assert!(!endpoint.health.is_removed(), "removed before it came");
        debug_assert_eq!(endpoint.pairs, 0, "pairs before it came");
        let key = self.endpoints.insert(endpoint);
        debug_assert!(!self.places.contains(&Some(key)), "two places of one endpoint");
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(key),
            None => self.places.push(Some(key)),
        }
        self.invariants();
        EndpointId(key)
    }

    /// Drops a removed endpoint: its id finds nothing from now on.
    pub(super) fn forget(&mut self, id: EndpointId) {
        let endpoint = self.endpoints.remove(id.0);
        debug_assert!(endpoint.as_ref().is_some_and(|gone| gone.health.is_removed()), "it is live");
        debug_assert!(endpoint.is_none_or(|gone| gone.pairs == 0), "its pairs still run");
        let place = self.places.iter_mut().find(|place| **place == Some(id.0));
        *place.expect("each endpoint has a place") = None;
        self.invariants();
    }

    /// The member with the lowest place that is `place` or above, and its own place.
    pub(super) fn at_or_above(&self, place: usize) -> Option<(usize, EndpointId, &Endpoint)> {
        let places = self.places.iter().enumerate().skip(place);
        let (place, key) = places.filter_map(|(place, key)| Some((place, (*key)?))).next()?;
        Some((place, EndpointId(key), &self.endpoints[key]))
    }

    /// Every member, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        let keys = self.places.iter().flatten();
        keys.map(|key| (EndpointId(*key), &self.endpoints[*key]))
    }

    /// Those that are not removed, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        self.iter().filter(|(_, endpoint)| !endpoint.health.is_removed())
    }

    /// Calls `change` with each member that is not removed, in order.
    pub(super) fn change_live(&mut self, mut change: impl FnMut(EndpointId, &mut Endpoint)) {
        for key in self.places.iter().flatten() {
            let endpoint = &mut self.endpoints[*key];
            if !endpoint.health.is_removed() {
                change(EndpointId(*key), endpoint);
            }
        }
    }

    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let placed: Vec<Key> = self.places.iter().flatten().copied().collect();
        assert_eq!(placed.len(), self.endpoints.len(), "a place for each endpoint");
        assert!(placed.iter().all(|key| self.endpoints.contains(*key)), "a place of none");
    }
}
