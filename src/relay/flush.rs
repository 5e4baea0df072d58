//! A lost side's last bytes: when the other side may be reset without losing any of them.
//!
//! A reset discards what our kernel still holds for the peer, so passing one on at once would
//! cut off bytes that were received in good order. The kernel raises no event when a send queue
//! becomes empty; the pair looks again and again, at growing intervals. Pure.

use std::time::{Duration, Instant};

use super::step::{Fault, Side};

/// The interval between two looks at a send queue.
#[derive(Clone, Copy, Debug)]
pub struct FlushInterval {
    /// After the first look.
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
    check: Check,
}

/// When to look at the send queue towards the side that is left.
#[derive(Clone, Debug)]
enum Check {
    /// At once: it was not looked at yet.
    Due,
    /// It held bytes; again at that time.
    At { check_at: Instant, interval: Duration },
}

impl Flush {
    /// The side `lost` was just lost.
    pub fn new(lost: Side, fault: Fault) -> Flush {
        Flush { lost, fault, check: Check::Due }
    }

    /// Whether it is time to look at the send queue.
    pub fn is_check_due(&self, now: Instant) -> bool {
        self.check_at().is_none_or(|check_at| check_at <= now)
    }

    /// When to look next; `None` if it was never looked at.
    pub fn check_at(&self) -> Option<Instant> {
        match self.check {
            Check::Due => None,
            Check::At { check_at, .. } => Some(check_at),
        }
    }

    /// The queue still holds bytes: look again later.
    pub fn check_later(&mut self, limits: FlushInterval, now: Instant) {
        let interval = match self.check {
            Check::Due => limits.min,
            Check::At { interval, .. } => (interval * 2).min(limits.max),
        };
        self.check = Check::At { check_at: now + interval, interval };
        assert!(!self.is_check_due(now), "a look that is due at once would spin");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FlushInterval =
        FlushInterval { min: Duration::from_millis(1), max: Duration::from_millis(4) };

    #[test]
    fn looks_at_once_then_at_growing_intervals() {
        let now = Instant::now();
        let mut flush = Flush::new(Side::Client, Fault::Reset);
        assert!(flush.is_check_due(now));
        for want in [1, 2, 4, 4] {
            flush.check_later(LIMITS, now);
            assert_eq!(flush.check_at(), Some(now + Duration::from_millis(want)));
            assert!(!flush.is_check_due(now));
        }
    }
}
