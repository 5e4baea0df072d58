//! Whether the process is ready, and why not. Decides nothing else.

use std::fmt;

use crate::observe::facts::{EndpointCounts, RunState};

/// Why the process is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It does not accept clients: it is about to end.
    Draining,
    /// Discovery has found no endpoint so far.
    NoEndpointKnown,
    /// Dials to all endpoints fail.
    NoEndpointActive,
    /// All endpoints that accept fail their health checks.
    NoEndpointPassesItsCheck,
}

impl NotReady {
    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            NotReady::Draining => "draining",
            NotReady::NoEndpointKnown => "no_endpoint_known",
            NotReady::NoEndpointActive => "no_endpoint_active",
            NotReady::NoEndpointPassesItsCheck => "no_endpoint_passes_its_check",
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Whether clients are accepted, and an endpoint is usable: dials to it succeed as far as is known,
/// and it does not fail its checks.
///
/// # Errors
/// The reasons why not, one or two of them.
pub fn readiness(state: RunState, endpoints: EndpointCounts) -> Result<(), Vec<NotReady>> {
    let EndpointCounts { known, active, up } = endpoints;
    debug_assert!(up <= active && active <= known, "usable ones are among the known ones");
    let of_endpoints = match (known, active, up) {
        (_, _, 1..) => None,
        (0, _, _) => Some(NotReady::NoEndpointKnown),
        (_, 0, _) => Some(NotReady::NoEndpointActive),
        _ => Some(NotReady::NoEndpointPassesItsCheck),
    };
    let of_state = (state == RunState::Draining).then_some(NotReady::Draining);
    let reasons: Vec<NotReady> = of_state.into_iter().chain(of_endpoints).collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_a_running_process_with_a_usable_endpoint() {
        use NotReady::*;
        for (known, active, up, reason) in [
            (0, 0, 0, Some(NoEndpointKnown)),
            (2, 0, 0, Some(NoEndpointActive)),
            (2, 1, 0, Some(NoEndpointPassesItsCheck)),
            (2, 1, 1, None),
        ] {
            let counts = EndpointCounts { known, active, up };
            let running = readiness(RunState::Running, counts).err().unwrap_or_default();
            assert_eq!(running, Vec::from_iter(reason));
            let draining = readiness(RunState::Draining, counts).err().unwrap_or_default();
            assert_eq!(draining, Vec::from_iter([Draining].into_iter().chain(reason)));
        }
    }
}
