//! Pairs that wait before their server is dialed, by reason, in the order of arrival.

use crate::arena::Key;
use crate::relay::dialing::Wait;

/// Pairs that wait, by reason. A pair whose wait is over may still be listed under
/// [`Wait::Endpoint`]: a caller of [`WaitingRoom::take`] has to check the pair.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    resources: Vec<Key>,
    endpoint: Vec<Key>,
}

impl WaitingRoom {
    /// Adds a pair.
    pub(super) fn enter(&mut self, wait: Wait, key: Key) {
        match wait {
            Wait::Resources => self.resources.push(key),
            Wait::Endpoint => self.endpoint.push(key),
        }
    }

    /// Removes and returns all pairs that wait for this reason.
    pub(super) fn take(&mut self, wait: Wait) -> Vec<Key> {
        match wait {
            Wait::Resources => std::mem::take(&mut self.resources),
            Wait::Endpoint => std::mem::take(&mut self.endpoint),
        }
    }

    /// Whether a pair waits for descriptors or memory.
    pub(super) fn has_resource_waiters(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Removes the pairs that waited for resources and are gone.
    pub(super) fn remove_gone(&mut self, is_gone: impl Fn(Key) -> bool) {
        self.resources.retain(|key| !is_gone(*key));
    }

    /// Removes the pairs whose wait for an endpoint is over, once they may be the majority.
    /// Removing each at once would take quadratic time for many pairs.
    pub(super) fn prune(&mut self, pairs: usize, is_waiting: impl Fn(Key) -> bool) {
        if self.endpoint.len() > 2 * pairs {
            self.endpoint.retain(|key| is_waiting(*key));
        }
    }
}
