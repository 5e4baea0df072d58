//! A lost side's last bytes: when the other side may be reset without losing any of them.
//!
//! A reset discards what our kernel still holds for the peer, so passing one on at once would
//! cut off bytes that were received in good order. The kernel raises no event when a send queue
//! becomes empty; so it is measured again and again, at growing intervals. Pure.

use std::time::{Duration, Instant};

use super::ending::{Cause, EndedIn, Ending};
use super::flow::FlowState;
use super::step::{Budget, Fault, Side, Step};
use super::{Limits, Pair, Phase};

/// The interval between two measurements of a send queue.
#[derive(Clone, Copy, Debug)]
pub struct FlushInterval {
    /// After the first one.
    pub min: Duration,
    /// At most; it doubles in between.
    pub max: Duration,
}

/// One side is lost; what it had sent is on its way to the other.
#[derive(Clone, Debug)]
pub struct Flush {
    /// The side that is lost.
    pub lost: Side,
    /// How it was lost.
    pub fault: Fault,
    next_measurement: Measurement,
}

/// When to measure the send queue to the side that is left.
#[derive(Clone, Debug)]
enum Measurement {
    /// At once: it was not measured yet.
    Due,
    /// It held bytes; again at that time, `interval` after the last one.
    At { measure_at: Instant, interval: Duration },
}

impl Flush {
    /// A flush that begins: the side `lost` was just lost.
    pub fn new(lost: Side, fault: Fault) -> Flush {
        Flush { lost, fault, next_measurement: Measurement::Due }
    }

    /// The cause of an ending after this loss, whatever happens in between.
    pub fn cause(&self) -> Cause {
        Cause::Lost(self.lost, self.fault)
    }

    /// Whether it is time to measure the send queue.
    pub fn is_measurement_due(&self, now: Instant) -> bool {
        self.measure_at().is_none_or(|measure_at| measure_at <= now)
    }

    /// When to measure next; `None` if it was never done.
    pub fn measure_at(&self) -> Option<Instant> {
        match self.next_measurement {
            Measurement::Due => None,
            Measurement::At { measure_at, .. } => Some(measure_at),
        }
    }

    /// The queue still holds bytes: it is measured again later. Inactivity may have asked for this
    /// measurement, before its time.
    pub fn measure_later(&mut self, limits: FlushInterval, now: Instant) {
        debug_assert!(limits.min <= limits.max, "the first interval is the shortest");
        debug_assert!(!limits.min.is_zero(), "measuring again at once would spin");
        let interval = match self.next_measurement {
            Measurement::Due => limits.min,
            Measurement::At { interval, .. } => (interval * 2).min(limits.max),
        };
        debug_assert!((limits.min..=limits.max).contains(&interval), "beyond the limits");
        self.next_measurement = Measurement::At { measure_at: now + interval, interval };
        assert!(!self.is_measurement_due(now), "a measurement that is due at once would spin");
    }
}

impl Pair {
    pub(super) fn next_flushing(
        &self,
        flush: &Flush,
        budget: &Budget,
        now: Instant,
    ) -> Option<Step> {
        let left = flush.lost.other();
        debug_assert_eq!(self.flow(left).state(), FlowState::Broken, "bytes for a lost side");
        if self.ready[left.index()].error {
            return Some(Step::TakeError(left));
        }
        if self.flow(flush.lost).is_drained() {
            return flush.is_measurement_due(now).then_some(Step::MeasureUnsent);
        }
        self.next_of_flow(flush.lost, budget)
    }

    pub(super) fn apply_unsent(&mut self, unsent: [usize; 2], limits: &Limits, now: Instant) {
        debug_assert!(self.phase.is_connected(), "the queue to no server was measured");
        if let Phase::Flushing(flush) = &mut self.phase {
            let is_drained = self.flows[flush.lost.index()].is_drained();
            if is_drained && unsent[flush.lost.other().index()] == 0 {
                let ending = Ending { cause: flush.cause(), phase: EndedIn::Relaying };
                debug_assert!(!ending.is_orderly(), "a loss that looks like an end");
                self.phase = Phase::Closing(ending);
                return;
            }
            if is_drained {
                flush.measure_later(limits.flush, now);
            }
        }
        self.end_if_inactive(unsent.iter().sum(), limits, now);
    }

    /// The connection of `side` is lost. What it sent is still delivered; what is meant for it
    /// cannot be.
    pub(super) fn lose(&mut self, side: Side, fault: Fault, now: Instant) {
        match &self.phase {
            Phase::Relaying => {
                self.flows[side.other().index()].on_sink_lost();
                // The error was taken from the socket, so a read would now show a plain end of
                // file behind the bytes that are left. That is why the phase remembers the loss,
                // and why those bytes are fetched without waiting for an event.
                self.ready[side.index()].readable = true;
                self.ready[side.index()].error = false;
                self.phase = Phase::Flushing(Flush::new(side, fault));
                self.inactivity.restart(now);
            }
            Phase::Flushing(flush) if flush.lost == side => {}
            Phase::Dialing(_) | Phase::Flushing(_) => self.end(Cause::Lost(side, fault)),
            Phase::Closing(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FlushInterval =
        FlushInterval { min: Duration::from_millis(1), max: Duration::from_millis(4) };

    #[test]
    fn measures_at_once_then_at_growing_intervals() {
        let mut now = Instant::now();
        let mut flush = Flush::new(Side::Client, Fault::Reset);
        assert!(flush.is_measurement_due(now));
        for want in [1, 2, 4, 4].map(Duration::from_millis) {
            flush.measure_later(LIMITS, now);
            assert_eq!(flush.measure_at(), Some(now + want));
            assert!(!flush.is_measurement_due(now));
            now += want;
        }
    }
}
