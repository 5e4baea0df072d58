//! Plain counters in one struct. Counts; decides nothing.

/// What happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Clients accepted.
    pub clients_accepted: u64,
    /// Pairs that are there: a gauge.
    pub pairs_open: usize,
    /// Pairs whose server connection came to stand.
    pub pairs_connected: u64,
    /// Pairs that ended with everything delivered.
    pub pairs_completed: u64,
    /// Pairs that were cut at the end: the drain was over, or a second signal came.
    pub pairs_cut: u64,
    /// Clients closed unserved: no endpoint was left, none could be dialed yet, or our own
    /// resources did not suffice.
    pub clients_turned_away: u64,
    /// Dials for clients, those included that our own resources did not suffice for.
    pub dials: u64,
    /// Dials for clients that failed, for whatever reason.
    pub dials_failed: u64,
    /// Dials of the monitor, likewise.
    pub probes: u64,
    /// Times that accepting paused for want of descriptors or memory.
    pub accept_pauses: u64,
    /// Events for a socket that was gone already.
    pub events_stale: u64,
    /// Payload delivered from clients to servers, bytes.
    pub client_bytes: u64,
    /// Payload delivered from servers to clients, bytes.
    pub server_bytes: u64,
}
