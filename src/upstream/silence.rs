//! How long an endpoint took for its answers, and when it is silent for longer: what can be
//! reported of one that is not checked. Pure.

use std::time::Duration;

use super::{CheckState, Endpoint, EndpointId, EndpointSet};

/// The answers of one endpoint, over all its connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AnswerTimes {
    /// The longest time until an answer so far; `None` before the first one.
    longest: Option<Duration>,
    /// It is silent for longer than that, and this was reported.
    is_silent: bool,
}

impl AnswerTimes {
    /// No connection is left that could be silent.
    pub(super) fn end_silence(&mut self) {
        self.is_silent = false;
    }
}

/// An endpoint that is silent for longer than it ever was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent {
    /// The longest time until an answer before.
    pub longest_before: Duration,
}

impl EndpointSet {
    /// The endpoint has answered, within `longest` on that connection. The answer to what it was
    /// silent about ends that; others do not, as one connection of many may be stuck.
    pub fn on_answer(&mut self, id: EndpointId, longest: Duration, unusual_after: Duration) {
        if let Some(endpoint) = self.members.get_mut(id) {
            let times = &mut endpoint.answers;
            times.longest = times.longest.max(Some(longest));
            times.is_silent &= longest < unusual_after;
        }
    }

    /// The endpoint has left bytes of a client without an answer for so long. Returns whether it
    /// never did for as long, once for each such time. `unusual_after`: shorter silence is usual.
    pub fn on_silence(
        &mut self,
        id: EndpointId,
        unanswered: Duration,
        unusual_after: Duration,
    ) -> Option<Silent> {
        let times = &mut self.members.get_mut(id)?.answers;
        // One that never says anything may be one that only takes.
        let longest_before = times.longest?;
        let is_unusual = unanswered > longest_before && unanswered >= unusual_after;
        if !is_unusual || times.is_silent {
            return None;
        }
        times.is_silent = true;
        Some(Silent { longest_before })
    }
}

impl Endpoint {
    /// Whether it is asked when it is silent.
    pub fn is_checked(&self) -> bool {
        self.check_state().is_some_and(|state| state != CheckState::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::{Check, EndpointSpec, RetryLimits};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_reported_once_and_only_of_what_used_to_answer_sooner() {
        let mut set = EndpointSet::new(RetryLimits {
            delay_min: SECOND,
            delay_max: SECOND,
            last_resort_interval: SECOND / 10,
            absence_max: SECOND,
            absent_max: 1,
        });
        let address = ([10, 0, 0, 1], 1).into();
        let check = Check::Connect;
        let spec = EndpointSpec { address, priority: 0, weight: 1, check, health_check: None };
        let id = set.reconcile(&[spec], Instant::now()).added[0];
        assert_eq!(set.on_silence(id, 60 * SECOND, 10 * SECOND), None, "it may only take");
        set.on_answer(id, SECOND, 10 * SECOND);
        assert_eq!(set.on_silence(id, 9 * SECOND, 10 * SECOND), None);
        let silent = Some(Silent { longest_before: SECOND });
        assert_eq!(set.on_silence(id, 10 * SECOND, 10 * SECOND), silent);
        assert_eq!(set.on_silence(id, 20 * SECOND, 10 * SECOND), None, "once");
        set.on_answer(id, 2 * SECOND, 10 * SECOND);
        assert_eq!(set.on_silence(id, 20 * SECOND, 10 * SECOND), None, "others are answered");
        set.on_answer(id, 21 * SECOND, 10 * SECOND);
        assert_eq!(set.on_silence(id, 20 * SECOND, 10 * SECOND), None, "it has been longer");
        let silent = Some(Silent { longest_before: 21 * SECOND });
        assert_eq!(set.on_silence(id, 22 * SECOND, 10 * SECOND), silent);
    }
}
