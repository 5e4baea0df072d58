//! The last resort: with nothing active left, an endpoint that is worth a real attempt. Pure.
//!
//! The one that was not tried for longest, of those not dialed for a client just now. So a total
//! outage ends with the first endpoint, not with a timer, and a crowd of clients costs an endpoint
//! no more than a few dials a second. Endpoints that have to pass a check are skipped: for them
//! the crowd expedites a probe (`check.rs`).
//!
//! A dial in flight counts as an attempt: otherwise a silent endpoint would take every client until
//! its connect timeout, while another one is back. Failures in one turn have the same time; then
//! the better class goes first, and then the order of the set.

use std::time::{Duration, Instant};

use crate::address::Address;
use crate::upstream::members::Members;
use crate::upstream::{Check, Endpoint, EndpointId, Health};

/// The endpoint to try, if there is one that was left alone for an `interval`.
pub(super) fn choose(
    members: &Members,
    tried: &[Address],
    interval: Duration,
    now: Instant,
) -> Option<EndpointId> {
    let candidates = members.iter().filter(|(_, endpoint)| {
        endpoint.check == Check::Connect
            && endpoint.is_rested(interval, now)
            && !tried.contains(&endpoint.address)
    });
    let attempts = candidates
        .filter_map(|(id, endpoint)| Some((endpoint.last_attempt()?, endpoint.priority, id)));
    let (at, _, id) = attempts.min_by_key(|&(at, class, _)| (at, class))?;
    debug_assert!(at <= now, "an attempt in the future");
    Some(id)
}

impl Endpoint {
    /// Whether the last dial for a client is at least an interval ago.
    fn is_rested(&self, interval: Duration, now: Instant) -> bool {
        self.dialed_at.is_none_or(|at| now.saturating_duration_since(at) >= interval)
    }

    /// When a try last failed, or an attempt began; `None` while it is active or removed.
    fn last_attempt(&self) -> Option<Instant> {
        let failed_at = self.health.outage()?.failed_at;
        let probed_at = match self.health {
            Health::Probing { started_at, .. } => started_at,
            _ => failed_at,
        };
        let dialed_at = self.dialed_at.unwrap_or(failed_at);
        debug_assert!(!self.health.is_active(), "an outage of one that is active");
        Some(failed_at.max(probed_at).max(dialed_at))
    }
}
