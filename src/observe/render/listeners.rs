//! Listeners as they are shown: one an address. Owns how those of one address are added up.

use crate::observe::metrics::Metrics;

/// All listeners with one address: a closed one may have open clients when its address is listened
/// on again.
pub(in crate::observe) struct ListenerFacts {
    /// The address, in the form of the log.
    pub address: String,
    /// Clients accepted there that are open.
    pub open: u64,
    /// Clients accepted there.
    pub accepted: u64,
}

/// The listeners in the order of opening. They are few: each is looked for among those before it.
pub(in crate::observe) fn listeners(metrics: &Metrics) -> Vec<ListenerFacts> {
    let mut found: Vec<ListenerFacts> = Vec::with_capacity(metrics.listeners.len());
    for listener in &metrics.listeners {
        // By the text: what looks the same must be one series.
        let address = listener.address.to_string();
        match found.iter_mut().find(|known| known.address == address) {
            Some(known) => {
                known.open += listener.open;
                known.accepted += listener.accepted;
            }
            None => found.push(ListenerFacts {
                address,
                open: listener.open,
                accepted: listener.accepted,
            }),
        }
    }
    found
}
