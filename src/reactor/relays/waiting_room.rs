//! Pairs that wait before their server is dialed, by what they wait for, in the order of coming.

use crate::arena::Key;
use crate::relay::dialing::Wait;

/// Pairs that wait, by reason. A pair whose wait is over may still be listed under
/// [`Wait::Endpoint`]: whatever takes the list has to look at the pair.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    resources: Vec<Key>,
    endpoint: Vec<Key>,
}

impl WaitingRoom {
    /// The pair waits from now on.
    pub(super) fn enter(&mut self, wait: Wait, key: Key) {
        match wait {
            Wait::Resources => self.resources.push(key),
            Wait::Endpoint => self.endpoint.push(key),
        }
    }

    /// All that wait for it, who leave.
    pub(super) fn take(&mut self, wait: Wait) -> Vec<Key> {
        match wait {
            Wait::Resources => std::mem::take(&mut self.resources),
            Wait::Endpoint => std::mem::take(&mut self.endpoint),
        }
    }

    /// Whether a pair waits for resources of ours.
    pub(super) fn has_resource_waiters(&self) -> bool {
        !self.resources.is_empty()
    }

    /// Those are gone that waited for resources.
    pub(super) fn remove_gone(&mut self, is_gone: impl Fn(Key) -> bool) {
        self.resources.retain(|key| !is_gone(*key));
    }

    /// Forgets those whose wait for an endpoint is over, once they may be most of all: taking each
    /// out at once would cost a crowd the square of its size.
    pub(super) fn prune(&mut self, pairs: usize, is_waiting: impl Fn(Key) -> bool) {
        if self.endpoint.len() > 2 * pairs {
            self.endpoint.retain(|key| is_waiting(*key));
        }
    }
}
