//! Closing of running pairs whose endpoint no longer serves or was removed, at a bounded rate:
//! their clients would wait there for as long as the fault lasts, or would be served by what no
//! longer belongs to the service, and all at once would be too much for the others.

use std::time::{Duration, Instant};

use super::{Relays, Slot};
use crate::arena::{Arena, Key};
use crate::net::{Host, Net};
use crate::observe::events::{Event, Value};
use crate::reactor::context::{Context, Timer};
use crate::reactor::upstream::Upstream;
use crate::reactor::wheel::TimerKey;
use crate::relay::Phase;
use crate::relay::ending::Cause;
use crate::upstream::EndpointId;

/// Shortest time between two looks for pairs to close: several are closed at a time at a high rate.
const CLOSINGS_APART_MIN: Duration = Duration::from_millis(1);
/// How late a closing may be made up for: a loop that was busy for longer closes no burst.
const CATCH_UP_MAX: Duration = Duration::from_millis(20);

/// When the next pair may be closed.
#[derive(Debug)]
pub(super) struct Closing {
    timer: Option<TimerKey>,
    /// When to look for pairs to close, if there may be any.
    look_at: Option<Instant>,
    /// From one closing to the next.
    interval: Duration,
    next_at: Instant,
}

impl Closing {
    /// At most `rate` closings a second, above 0.
    pub(super) fn new(rate: u32, now: Instant) -> Closing {
        assert!(rate > 0, "pairs that are never closed");
        Closing {
            timer: None,
            look_at: None,
            interval: Duration::from_secs(1) / rate,
            next_at: now,
        }
    }

    /// How many pairs may be closed now.
    fn allowance(&mut self, now: Instant) -> usize {
        let earliest = now.checked_sub(CATCH_UP_MAX).unwrap_or(now);
        self.next_at = self.next_at.max(earliest);
        if self.next_at > now {
            return 0;
        }
        let late = now.saturating_duration_since(self.next_at).as_nanos();
        1 + (late / self.interval.as_nanos().max(1)) as usize
    }

    fn spend(&mut self, count: usize) {
        self.next_at += self.interval * count as u32;
    }

    /// When to look again. `is_none_left`: no pair is to be closed at present, but there may be
    /// some soon: those that lose a side by themselves keep their endpoint in view for as long as
    /// that takes, and each look goes over all pairs.
    fn next_look(&self, now: Instant, is_none_left: bool) -> Instant {
        let pause = if is_none_left { self.interval } else { Duration::ZERO };
        self.next_at.max(now + pause.max(CLOSINGS_APART_MIN))
    }
}

impl<N: Net + Host> Relays<N> {
    /// Looks after endpoints that do not answer, fail their checks or were removed: reports the
    /// silent ones, and leaves the others while another one serves. Dials to them go on to the next
    /// endpoint, and their pairs are closed once it is time, as many as the rate allows.
    pub(in crate::reactor) fn leave_failing(
        &mut self,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
    ) {
        if self.unanswered.is_due(context.now) {
            self.unanswered.look(&mut self.slots, context, upstream);
        }
        if let Some(failing) = upstream.take_failing() {
            self.abandon_dials(context, upstream, &failing);
            self.closing.look_at = Some(context.now);
        }
        if self.closing.look_at.is_some_and(|at| at <= context.now) {
            self.close_pairs(context, upstream);
        }
    }

    fn close_pairs(&mut self, context: &mut Context<N>, upstream: &Upstream<N>) {
        let now = context.now;
        let mut due = Vec::new();
        let mut wanted: Option<Instant> = None;
        for (endpoint, at, cause) in upstream.to_close() {
            match at <= now {
                true => due.push((endpoint, cause)),
                false => wanted = Some(wanted.map_or(at, |wanted| wanted.min(at))),
            }
        }
        if !due.is_empty() {
            let allowance = self.closing.allowance(now);
            let keys = pairs_of(&self.slots, &due, allowance);
            let is_none_left = allowance > 0 && keys.is_empty();
            self.closing.spend(keys.len());
            for (key, cause) in keys {
                let slot = &mut self.slots[key];
                slot.pair.end(cause);
                let endpoint = slot.endpoint.and_then(|endpoint| upstream.address(endpoint));
                let endpoint = endpoint.map(|endpoint| endpoint as Value<'_>);
                context.log(match cause {
                    Cause::EndpointRemoved => Event::RemovedConnectionClosed { endpoint },
                    _ => Event::EndpointConnectionClosed { endpoint },
                });
                self.sync(context, key);
            }
            wanted = Some(self.closing.next_look(now, is_none_left));
        }
        self.closing.look_at = wanted;
        context.rearm(&mut self.closing.timer, wanted, Timer::Closing);
    }
}

/// At most `count` established pairs of these endpoints, each with the cause of its endpoint.
fn pairs_of<N: Net>(
    slots: &Arena<Slot<N>>,
    endpoints: &[(EndpointId, Cause)],
    count: usize,
) -> Vec<(Key, Cause)> {
    let pairs = slots.iter().filter_map(|(key, slot)| {
        // One that has lost a side ends by itself.
        let is_running = matches!(slot.pair.phase(), Phase::Relaying);
        let endpoint = slot.endpoint.filter(|_| is_running)?;
        let (_, cause) = endpoints.iter().find(|(id, _)| *id == endpoint)?;
        Some((key, *cause))
    });
    pairs.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closings_keep_their_rate() {
        let start = Instant::now();
        let mut closing = Closing::new(50, start);
        let mut closed = 0;
        for millisecond in 0..1000 {
            let allowance = closing.allowance(start + Duration::from_millis(millisecond));
            closing.spend(allowance);
            closed += allowance;
        }
        assert_eq!(closed, 50);
        let later = start + Duration::from_secs(60);
        let allowance = closing.allowance(later);
        assert_eq!(allowance, 2, "what was not closed in a minute is not made up for");
    }

    #[test]
    fn it_looks_no_more_often_than_it_may_close() {
        const MILLISECOND: Duration = Duration::from_millis(1);
        let now = Instant::now();
        let mut closing = Closing::new(50, now);
        assert_eq!(closing.next_look(now, true), now + 20 * MILLISECOND);
        assert_eq!(closing.next_look(now, false), now + MILLISECOND);
        closing.spend(2);
        assert_eq!(closing.next_look(now, false), now + 40 * MILLISECOND);
        let fast = Closing::new(10_000, now);
        assert_eq!(fast.next_look(now, true), now + MILLISECOND);
    }

    #[test]
    fn a_rate_above_that_of_timers_is_reached_by_several_at_a_time() {
        let start = Instant::now();
        let mut closing = Closing::new(10_000, start);
        let mut closed = 0;
        for step in 0..100 {
            let allowance = closing.allowance(start + step * Duration::from_millis(10));
            closing.spend(allowance);
            closed += allowance;
        }
        assert!((9_900..=10_000).contains(&closed), "{closed}");
    }
}
