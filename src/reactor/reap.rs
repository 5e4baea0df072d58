//! The one teardown: at the end of a turn, everything that pairs and probes that are over held is
//! given up here: sockets, buffers, pipes, timers, counts, and the slot.

use super::{Reactor, Slot};
use crate::net::{Close, Net};
use crate::observe::events::{Event, Value};
use crate::relay::ending::Cause;
use crate::relay::step::Side;

impl<N: Net> Reactor<N> {
    /// Gives up what is over.
    pub(super) fn reap(&mut self) {
        self.reap_probes();
        if !self.doomed.is_empty() {
            // Each pair frees a descriptor, which may be the one that accepting waits for.
            self.resume_accepting();
        }
        let are_some_gone = !self.doomed.is_empty();
        while let Some(key) = self.doomed.pop() {
            let slot = self.slots.remove(key);
            self.tear_down(slot);
        }
        if are_some_gone {
            let slots = &self.slots;
            self.starved.retain(|key| slots.contains(*key));
        }
    }

    fn tear_down(&mut self, slot: Slot<N>) {
        self.log_closed(&slot);
        let Slot { pair, client, server, held, timer, endpoint, .. } = slot;
        let ending = pair.ending().expect("only a pair with an ending is marked for reaping");
        if let Some(timer) = timer {
            self.wheel.cancel(timer);
        }
        for held in held {
            held.release(&mut self.net, &mut self.buffers, &mut self.pipes);
        }
        if let Some(endpoint) = endpoint {
            self.endpoints.pair_closed(endpoint);
        }
        let set = if pair.resets_on_close() { Close::Reset } else { Close::Orderly };
        let due = if ending.is_orderly() { Close::Orderly } else { Close::Reset };
        for mut socket in [Some(client), server].into_iter().flatten() {
            if set != due {
                self.net.set_close(&mut socket, due);
            }
            self.net.close(socket);
        }
        self.metrics.client_bytes += pair.flow(Side::Client).delivered();
        self.metrics.server_bytes += pair.flow(Side::Server).delivered();
        self.metrics.pairs_completed += u64::from(ending.cause == Cause::Completed);
        self.metrics.pairs_cut += u64::from(ending.cause == Cause::DrainTimeout);
    }

    fn log_closed(&mut self, slot: &Slot<N>) {
        let Some(ending) = slot.pair.ending() else { return };
        let endpoint = slot.endpoint.and_then(|endpoint| self.endpoints.address(endpoint));
        let endpoint = endpoint.as_ref().map_or(&"none" as Value<'_>, |address| address);
        self.log(Event::PairClosed {
            client: &slot.client_address,
            endpoint,
            cause: &ending.cause,
            phase: &ending.phase,
            duration_ms: self.now.saturating_duration_since(slot.accepted_at).as_millis(),
            client_bytes: slot.pair.flow(Side::Client).delivered(),
            server_bytes: slot.pair.flow(Side::Server).delivered(),
        });
    }
}
