//! One client and its server, from accept to close: which step it wants next, and what an outcome
//! means. Pure: no socket, clock, random source or log line; the reactor carries the steps out.
//!
//! ```text
//!   Dialing ──connected──► Relaying ──both ends passed on──────────────► Closing(completed)
//!      │                      │
//!      │                      └─ a side is lost ─► Flushing ─delivered─► Closing(lost)
//!      └─ no endpoint, client lost ───────────────────────────────────► Closing(…)
//! ```
//!
//! The loop of the reactor is `while let Some(step) = pair.next(…) { pair.apply(step, outcome) }`.
//! Interest is what `next` would do; it is never stored. Readiness bits are set by events and
//! cleared by `WouldBlock` or a read or write shorter than asked for, as epoll(7) allows.

pub mod buffer;
mod deferred;
pub(crate) mod dialing;
pub mod ending;
pub mod flow;
pub mod flush;
pub mod inactivity;
mod invariants;
pub mod silence;
pub mod splice;
pub mod step;

use std::time::{Duration, Instant};

use self::deferred::DeferredOptions;
use self::dialing::Dialing;
use self::ending::{Cause, EndedIn, Ending};
use self::flow::{Conditions, Flow, FlowState, FlowStep};
use self::flush::{Flush, FlushInterval};
use self::inactivity::{Inactivity, InactivityLimits};
use self::splice::SpliceLimits;
use self::step::{Budget, Outcome, Side, Step};
use crate::readiness::Readiness;

/// Where a pair is in its life.
#[derive(Clone, Debug)]
pub enum Phase {
    /// No server connection is established.
    Dialing(Dialing),
    /// Both connections are established, as far as is known.
    Relaying,
    /// One side is lost; what it sent is being delivered to the other, which is then reset.
    Flushing(Flush),
    /// Over. Nothing more is read or written.
    Closing(Ending),
}

/// One client and its server.
///
/// Always holds, and is checked after each change where debug assertions are on:
///
/// ```text
///   Dialing    both flows open, pending = delivered = 0; no deferred options;
///              each endpoint tried once; an attempt or a wait, never both
///   Relaying   neither flow broken; not both drained, unless an error still waits in a socket
///   Flushing   the flow to the lost side broken, the flow from it not
///   Closing    ended in order  ⇔  Completed in Relaying, with both flows drained
///   next() = None, after a step  ⇒  next_deadline() > now
/// ```
#[derive(Clone, Debug)]
pub struct Pair {
    phase: Phase,
    flows: [Flow; 2],
    ready: [Readiness; 2],
    inactivity: Inactivity,
    deferred: DeferredOptions,
}

/// The numbers that pairs are held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a pair may be without progress.
    pub inactivity: InactivityLimits,
    /// How often a send queue is measured before a reset is passed on.
    pub flush: FlushInterval,
    /// When a flow is bulk.
    pub splice: SpliceLimits,
    /// Age of the server connection at which a pair gets its deferred socket options.
    pub deferred_options_after: Duration,
}

impl Pair {
    /// A pair whose client was just accepted.
    pub fn new(now: Instant) -> Pair {
        let client = Readiness { writable: true, ..Readiness::default() };
        Pair {
            phase: Phase::Dialing(Dialing::default()),
            flows: [Flow::new(), Flow::new()],
            ready: [client, Readiness::default()],
            inactivity: Inactivity::new(now),
            deferred: DeferredOptions::default(),
        }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The flow that comes from `source`.
    pub fn flow(&self, source: Side) -> &Flow {
        &self.flows[source.index()]
    }

    /// The ending, once there is one.
    pub fn ending(&self) -> Option<Ending> {
        match self.phase {
            Phase::Closing(ending) => Some(ending),
            _ => None,
        }
    }

    /// The attempt has succeeded: bytes may flow.
    ///
    /// # Panics
    /// When no attempt is under way.
    pub fn connect(&mut self, limits: &Limits, now: Instant) {
        assert!(self.attempt().is_some(), "connected without an attempt");
        debug_assert!(!self.resets_on_close(), "options of a server that is not there");
        self.phase = Phase::Relaying;
        self.ready[Side::Server.index()] = Readiness { writable: true, ..Readiness::default() };
        self.inactivity.restart(now);
        self.deferred = DeferredOptions::since(now, limits);
        self.invariants();
    }

    /// Takes in what an event says about a socket. Bits are only ever added here.
    pub fn on_ready(&mut self, side: Side, news: Readiness, now: Instant) {
        let ends_first = (news.closed || news.error) && !self.is_half_closed();
        self.ready[side.index()].add(news);
        debug_assert!(!ends_first || self.is_half_closed(), "an end that is not noted");
        if ends_first {
            self.inactivity.restart(now);
        }
        self.invariants();
    }

    /// Ends the pair for a reason that lies outside of its own steps. The first one counts.
    pub fn end(&mut self, cause: Cause) {
        let (cause, phase) = match &self.phase {
            Phase::Dialing(_) => (cause, EndedIn::Dialing),
            Phase::Relaying => (cause, EndedIn::Relaying),
            Phase::Flushing(flush) => (flush.cause(), EndedIn::Flushing),
            Phase::Closing(_) => return,
        };
        self.phase = Phase::Closing(Ending { cause, phase });
        self.invariants();
    }

    /// What to do next; `None` until an event, a deadline or a new budget changes something.
    // The loop that pumps is the only caller that counts: out of line, this and `apply` make a
    // message a tenth dearer in instructions.
    #[inline]
    pub fn next(&self, budget: &Budget, limits: &Limits, now: Instant) -> Option<Step> {
        match &self.phase {
            Phase::Dialing(_) => {
                self.ready[Side::Client.index()].error.then_some(Step::TakeError(Side::Client))
            }
            Phase::Relaying => self.next_relaying(budget).or_else(|| self.next_due(limits, now)),
            Phase::Flushing(flush) => {
                self.next_flushing(flush, budget, now).or_else(|| self.next_due(limits, now))
            }
            Phase::Closing(_) => None,
        }
    }

    /// What time alone asks for.
    fn next_due(&self, limits: &Limits, now: Instant) -> Option<Step> {
        if self.is_inactivity_due(limits, now) {
            return Some(Step::MeasureUnsent);
        }
        // While the last bytes of a lost side are flushed, too: the other may take none.
        self.deferred.is_due(now).then_some(Step::SetDeferredOptions)
    }

    fn next_relaying(&self, budget: &Budget) -> Option<Step> {
        if let Some(side) = Side::BOTH.into_iter().find(|&side| self.hides_error(side)) {
            return Some(Step::TakeError(side));
        }
        // Writes first: what a read put into the scratch buffer must leave it before the next.
        let client = self.next_of_flow(Side::Client, budget);
        if client.is_some_and(Step::is_write) {
            return client;
        }
        let server = self.next_of_flow(Side::Server, budget);
        if server.is_some_and(Step::is_write) { server } else { client.or(server) }
    }

    /// Whether an error waits in the socket that no read will find. An open flow finds one behind
    /// the bytes before it; a flow that reads no more never would.
    fn hides_error(&self, side: Side) -> bool {
        self.ready[side.index()].error && self.flow(side).state() != FlowState::Open
    }

    fn next_of_flow(&self, side: Side, budget: &Budget) -> Option<Step> {
        let source = self.ready[side.index()];
        let conditions = Conditions {
            readable: source.readable,
            writable: self.ready[side.other().index()].writable,
            may_read: budget.bytes[side.index()] > 0,
            may_splice: self.may_splice(side),
        };
        match self.flow(side).next(conditions)? {
            FlowStep::Read => Some(Step::Read(side)),
            FlowStep::Write => Some(Step::Write(side)),
            FlowStep::SpliceIn => Some(Step::SpliceIn(side)),
            FlowStep::SpliceOut => Some(Step::SpliceOut(side)),
            FlowStep::Shut => Some(Step::Shut(side)),
        }
    }

    /// Takes in the outcome of `step`, which `next` gave.
    ///
    /// # Panics
    /// When such a step has no such outcome.
    #[inline]
    pub fn apply(&mut self, step: Step, outcome: Outcome, limits: &Limits, now: Instant) {
        debug_assert!(self.ending().is_none(), "a step after the end: {step:?}");
        match step {
            Step::Read(side) => self.apply_read(side, outcome, limits, now),
            Step::Write(side) => self.apply_write(side, outcome, now),
            Step::SpliceIn(side) => self.apply_splice_in(side, outcome, limits, now),
            Step::SpliceOut(side) => self.apply_splice_out(side, outcome, now),
            Step::Shut(side) => match outcome {
                Outcome::Done => self.flows[side.index()].on_shutdown(),
                Outcome::Failed(fault) => self.lose(side.other(), fault, now),
                _ => unreachable!("{outcome:?} of {step:?}"),
            },
            Step::TakeError(side) => {
                self.ready[side.index()].error = false;
                match outcome {
                    Outcome::NoError => {}
                    Outcome::Failed(fault) => self.lose(side, fault, now),
                    _ => unreachable!("{outcome:?} of {step:?}"),
                }
            }
            Step::MeasureUnsent => match outcome {
                Outcome::Unsent(bytes) => self.apply_unsent(bytes, limits, now),
                _ => unreachable!("{outcome:?} of {step:?}"),
            },
            Step::SetDeferredOptions => self.deferred = DeferredOptions::NothingDue,
        }
        self.finish_if_complete();
        self.invariants();
        debug_assert!(self.sleeps_until_later(limits, now), "due in the past: {self:?}");
    }

    fn apply_read(&mut self, side: Side, outcome: Outcome, limits: &Limits, now: Instant) {
        debug_assert!(self.phase.is_connected(), "a read of a pair that has no server: {self:?}");
        let flow = &mut self.flows[side.index()];
        let ready = &mut self.ready[side.index()];
        match outcome {
            Outcome::Moved { bytes, short } => {
                flow.on_read(bytes, !short, limits.splice);
                self.inactivity.restart(now);
                // After a short read the socket is empty, unless the read stopped before urgent
                // data with more bytes behind it. An event will tell of more; if the peer has
                // closed already there is no more, and no event either. An error behind the bytes
                // is left for the next read to find.
                let is_empty = short && !ready.urgent;
                let is_last = is_empty && ready.closed && !ready.error;
                ready.readable = !is_empty || (ready.closed && !is_last);
                if is_last {
                    flow.on_end();
                }
            }
            Outcome::Eof => {
                ready.readable = false;
                ready.closed = true;
                flow.on_end();
                self.inactivity.restart(now);
            }
            Outcome::WouldBlock => {
                ready.readable = false;
                ready.urgent = false;
                flow.on_empty_read();
                // A lost socket gives what it had and then an end; it cannot become ready again.
                if matches!(&self.phase, Phase::Flushing(flush) if flush.lost == side) {
                    flow.on_end();
                }
            }
            Outcome::Failed(fault) => {
                ready.readable = false;
                flow.on_end();
                self.lose(side, fault, now);
            }
            _ => unreachable!("{outcome:?} of a read"),
        }
    }

    fn apply_write(&mut self, side: Side, outcome: Outcome, now: Instant) {
        debug_assert!(self.phase.is_connected(), "a write to no server: {self:?}");
        debug_assert!(self.flow(side).pending() > 0, "a write of nothing");
        let sink = side.other();
        match outcome {
            Outcome::Moved { bytes, short } => {
                self.flows[side.index()].on_write(bytes);
                self.ready[sink.index()].writable = !short;
                self.inactivity.restart(now);
            }
            Outcome::WouldBlock => self.ready[sink.index()].writable = false,
            Outcome::Failed(fault) => self.lose(sink, fault, now),
            _ => unreachable!("{outcome:?} of a write"),
        }
    }

    fn finish_if_complete(&mut self) {
        // The close of both sockets passes the last end on: no shutdown is needed before it.
        if self.is_complete() && matches!(self.phase, Phase::Relaying) {
            self.end(Cause::Completed);
        }
    }

    /// Whether both sides have ended, everything was delivered and no error waits to be heard.
    fn is_complete(&self) -> bool {
        self.flows.iter().all(Flow::is_drained) && !self.ready.iter().any(|ready| ready.error)
    }
}

#[cfg(test)]
mod exhaustive;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::dialing::{Attempt, Wait};
    use super::step::Fault;
    use super::*;
    use crate::address::Address;
    use crate::upstream::{Check, EndpointId, EndpointSet, EndpointSpec, RetryLimits};

    const MILLISECOND: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);
    pub(super) const BUDGET: Budget = Budget { bytes: [64, 64] };
    const FLUSH: FlushInterval = FlushInterval { min: MILLISECOND, max: SECOND };
    pub(super) const LIMITS: Limits = Limits {
        inactivity: InactivityLimits { half_closed: Some(SECOND), open: None },
        flush: FLUSH,
        splice: SpliceLimits { after_reads: 2, bytes_min: 8, small_max: 2 },
        deferred_options_after: Duration::from_secs(24 * 3600),
    };
    pub(super) const NOTHING: Readiness =
        Readiness { readable: false, writable: false, urgent: false, closed: false, error: false };
    pub(super) const READABLE: Readiness = Readiness { readable: true, ..NOTHING };
    pub(super) const WRITABLE: Readiness = Readiness { writable: true, ..NOTHING };
    pub(super) const URGENT: Readiness = Readiness { urgent: true, ..NOTHING };
    pub(super) const CLOSED: Readiness = Readiness { readable: true, closed: true, ..NOTHING };
    pub(super) const BROKEN: Readiness = Readiness { error: true, writable: true, ..CLOSED };
    const ALL: Outcome = Outcome::Moved { bytes: 10, short: true };

    fn endpoint_ids(count: u16, now: Instant) -> Vec<EndpointId> {
        let limits = RetryLimits {
            delay_min: SECOND,
            delay_max: SECOND,
            last_resort_interval: MILLISECOND,
            absence_max: SECOND,
            absent_max: 1,
        };
        let addresses = (1..=count).map(|port| Address::from(([127, 0, 0, 1], port)));
        let check = Check::Connect;
        let specs: Vec<_> = addresses
            .map(|address| EndpointSpec {
                address,
                priority: 0,
                weight: 1,
                check,
                health_check: None,
            })
            .collect();
        EndpointSet::new(limits).reconcile(&specs, now).added
    }

    pub(super) fn dialing(now: Instant) -> Pair {
        let mut pair = Pair::new(now);
        let endpoint = endpoint_ids(1, now)[0];
        pair.begin_attempt(Attempt { endpoint, started_at: now, deadline: now + SECOND });
        pair
    }

    pub(super) fn relaying(now: Instant) -> Pair {
        let mut pair = dialing(now);
        pair.connect(&LIMITS, now);
        pair
    }

    /// Carries out the steps, which must be the ones given, and checks that there is no further.
    pub(super) fn run(pair: &mut Pair, now: Instant, steps: &[(Step, Outcome)]) {
        for (want, outcome) in steps {
            assert_eq!(pair.next(&BUDGET, &LIMITS, now), Some(*want), "in {pair:?}");
            pair.apply(*want, *outcome, &LIMITS, now);
        }
        assert_eq!(pair.next(&BUDGET, &LIMITS, now), None, "in {pair:?}");
    }

    pub(super) fn ended(cause: Cause, phase: EndedIn) -> Option<Ending> {
        Some(Ending { cause, phase })
    }

    #[test]
    fn the_client_is_not_read_while_dialing_and_its_end_is_no_reason_to_stop() {
        let now = Instant::now();
        let mut pair = dialing(now);
        pair.on_ready(Side::Client, CLOSED, now);
        run(&mut pair, now, &[]);
        pair.connect(&LIMITS, now);
        run(
            &mut pair,
            now,
            &[
                (Step::Read(Side::Client), ALL),
                (Step::Write(Side::Client), Outcome::Moved { bytes: 10, short: false }),
                (Step::Shut(Side::Client), Outcome::Done),
            ],
        );
        assert_eq!(pair.ending(), None, "the answer is still to come");
    }

    #[test]
    fn a_client_that_resets_ends_the_dial() {
        let now = Instant::now();
        let mut pair = dialing(now);
        pair.on_ready(Side::Client, BROKEN, now);
        run(&mut pair, now, &[(Step::TakeError(Side::Client), Outcome::Failed(Fault::Reset))]);
        let cause = Cause::Lost(Side::Client, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Dialing));
    }

    #[test]
    fn a_false_alarm_of_an_error_does_not_end_the_dial() {
        let now = Instant::now();
        let mut pair = dialing(now);
        pair.on_ready(Side::Client, BROKEN, now);
        run(&mut pair, now, &[(Step::TakeError(Side::Client), Outcome::NoError)]);
        assert_eq!(pair.ending(), None);
    }

    #[test]
    fn failed_attempts_are_remembered() {
        let now = Instant::now();
        let ids = endpoint_ids(2, now);
        let mut pair = Pair::new(now);
        let addresses = [1, 2].map(|port| Address::from(([127, 0, 0, 1], port)));
        for (endpoint, address) in ids.into_iter().zip(&addresses) {
            let attempt = Attempt { endpoint, started_at: now, deadline: now + SECOND };
            pair.begin_attempt(attempt);
            assert_eq!(pair.next_deadline(&LIMITS), Some(now + SECOND));
            assert_eq!(pair.fail_attempt(Some(address.clone())), Some(attempt));
            assert_eq!(pair.fail_attempt(Some(address.clone())), None);
        }
        assert_eq!(pair.tried(), addresses);
    }

    #[test]
    fn both_ends_complete_the_pair_without_a_second_shutdown() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, CLOSED, now);
        run(
            &mut pair,
            now,
            &[(Step::Read(Side::Client), Outcome::Eof), (Step::Shut(Side::Client), Outcome::Done)],
        );
        pair.on_ready(Side::Server, CLOSED, now);
        run(&mut pair, now, &[(Step::Read(Side::Server), Outcome::Eof)]);
        assert_eq!(pair.ending(), ended(Cause::Completed, EndedIn::Relaying));
    }

    #[test]
    fn the_end_waits_for_bytes_that_the_sink_does_not_take() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, CLOSED, now);
        let short = Outcome::Moved { bytes: 4, short: true };
        run(&mut pair, now, &[(Step::Read(Side::Client), ALL), (Step::Write(Side::Client), short)]);
        assert_eq!(pair.flow(Side::Client).pending(), 6);
        pair.on_ready(Side::Server, WRITABLE, now);
        run(
            &mut pair,
            now,
            &[
                (Step::Write(Side::Client), Outcome::Moved { bytes: 6, short: false }),
                (Step::Shut(Side::Client), Outcome::Done),
            ],
        );
        assert_eq!(pair.flow(Side::Client).delivered(), 10);
    }

    #[test]
    fn an_end_behind_a_short_read_is_not_read_for() {
        let now = Instant::now();
        let written = Outcome::Moved { bytes: 10, short: false };
        let full = Outcome::Moved { bytes: 10, short: false };
        for (news, read, is_inferred) in [
            (CLOSED, ALL, true),
            // More may wait behind it.
            (CLOSED, full, false),
            (Readiness { urgent: true, ..CLOSED }, ALL, false),
            // What comes behind it is not a clean end.
            (BROKEN, ALL, false),
        ] {
            let mut pair = relaying(now);
            pair.on_ready(Side::Client, news, now);
            assert_eq!(pair.next(&BUDGET, &LIMITS, now), Some(Step::Read(Side::Client)));
            pair.apply(Step::Read(Side::Client), read, &LIMITS, now);
            pair.apply(Step::Write(Side::Client), written, &LIMITS, now);
            let shut_or_read = if is_inferred { Step::Shut } else { Step::Read };
            let want = Some(shut_or_read(Side::Client));
            assert_eq!(pair.next(&BUDGET, &LIMITS, now), want, "{news:?} {read:?}");
        }
    }

    #[test]
    fn deferred_options_are_set_once_and_not_before_their_time() {
        let start = Instant::now();
        let limits = Limits { deferred_options_after: SECOND, ..LIMITS };
        let mut pair = dialing(start);
        pair.connect(&limits, start);
        assert!(!pair.resets_on_close());
        assert_eq!(pair.next_deadline(&limits), Some(start + SECOND));
        assert_eq!(pair.next(&BUDGET, &limits, start + SECOND - MILLISECOND), None);
        let step = Step::SetDeferredOptions;
        assert_eq!(pair.next(&BUDGET, &limits, start + SECOND), Some(step));
        pair.apply(step, Outcome::Done, &limits, start + SECOND);
        assert!(pair.resets_on_close());
        assert_eq!(pair.next(&BUDGET, &limits, start + SECOND), None);
        assert_eq!(pair.next_deadline(&limits), None);
    }

    #[test]
    fn a_read_that_stopped_before_urgent_data_goes_on() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, URGENT, now);
        let written = Outcome::Moved { bytes: 10, short: false };
        run(
            &mut pair,
            now,
            &[
                (Step::Read(Side::Client), ALL),
                (Step::Write(Side::Client), written),
                (Step::Read(Side::Client), ALL),
                (Step::Write(Side::Client), written),
                (Step::Read(Side::Client), Outcome::WouldBlock),
            ],
        );
        pair.on_ready(Side::Client, READABLE, now);
        run(
            &mut pair,
            now,
            &[(Step::Read(Side::Client), ALL), (Step::Write(Side::Client), written)],
        );
    }

    #[test]
    fn a_flow_with_pending_bytes_does_not_read() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, READABLE, now);
        let full = Outcome::Moved { bytes: 16, short: false };
        run(
            &mut pair,
            now,
            &[(Step::Read(Side::Client), full), (Step::Write(Side::Client), Outcome::WouldBlock)],
        );
        pair.on_ready(Side::Client, READABLE, now);
        assert_eq!(pair.next(&BUDGET, &LIMITS, now), None);
    }

    #[test]
    fn a_flow_without_budget_waits_and_the_other_goes_on() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, READABLE, now);
        pair.on_ready(Side::Server, READABLE, now);
        let mut budget = BUDGET;
        budget.spend(Side::Client, 65);
        assert_eq!(pair.next(&budget, &LIMITS, now), Some(Step::Read(Side::Server)));
        budget.spend(Side::Server, 64);
        assert_eq!(pair.next(&budget, &LIMITS, now), None);
        assert_eq!(pair.next(&BUDGET, &LIMITS, now), Some(Step::Read(Side::Client)));
    }

    #[test]
    fn a_reset_is_passed_on_only_after_what_came_before_it() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Server, BROKEN, now);
        let short = Outcome::Moved { bytes: 4, short: true };
        run(&mut pair, now, &[(Step::Read(Side::Server), ALL), (Step::Write(Side::Server), short)]);
        pair.on_ready(Side::Client, WRITABLE, now);
        run(
            &mut pair,
            now,
            &[
                (Step::Write(Side::Server), Outcome::Moved { bytes: 6, short: false }),
                (Step::Read(Side::Server), Outcome::Failed(Fault::Reset)),
                (Step::MeasureUnsent, Outcome::Unsent([6, 0])),
            ],
        );
        assert_eq!(pair.ending(), None, "the kernel still holds bytes for the client");
        let later = now + MILLISECOND;
        assert_eq!(pair.next_deadline(&LIMITS), Some(later));
        run(&mut pair, later, &[(Step::MeasureUnsent, Outcome::Unsent([0, 9]))]);
        let cause = Cause::Lost(Side::Server, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Relaying));
    }

    #[test]
    fn bytes_behind_a_failed_write_are_fetched_and_their_end_is_no_clean_end() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, READABLE, now);
        run(
            &mut pair,
            now,
            &[
                (Step::Read(Side::Client), ALL),
                (Step::Write(Side::Client), Outcome::Failed(Fault::Reset)),
                // No event reported these: the failed write did.
                (Step::Read(Side::Server), Outcome::Moved { bytes: 10, short: false }),
                (Step::Write(Side::Server), Outcome::Moved { bytes: 10, short: false }),
                // The write took the error, so the read shows a plain end of file.
                (Step::Read(Side::Server), Outcome::Eof),
                (Step::MeasureUnsent, Outcome::Unsent([0, 9])),
            ],
        );
        let cause = Cause::Lost(Side::Server, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Relaying));
        assert!(!pair.ending().expect("ended").is_orderly());
    }

    #[test]
    fn a_side_that_resets_after_its_end_of_file_is_heard() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, CLOSED, now);
        run(
            &mut pair,
            now,
            &[(Step::Read(Side::Client), Outcome::Eof), (Step::Shut(Side::Client), Outcome::Done)],
        );
        pair.on_ready(Side::Client, BROKEN, now);
        run(
            &mut pair,
            now,
            &[
                (Step::TakeError(Side::Client), Outcome::Failed(Fault::Reset)),
                (Step::MeasureUnsent, Outcome::Unsent([9, 0])),
            ],
        );
        let cause = Cause::Lost(Side::Client, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Relaying));
    }

    /// The first look, which finds nothing unsent, and the one that ends the pair.
    fn look_twice(pair: &mut Pair, first: Instant, second: Instant) {
        let nothing = (Step::MeasureUnsent, Outcome::Unsent([0, 0]));
        run(pair, first, &[nothing]);
        run(pair, second - MILLISECOND, &[]);
        run(pair, second, &[nothing]);
    }

    #[test]
    fn a_half_closed_pair_without_progress_times_out() {
        let start = Instant::now();
        let mut pair = relaying(start);
        let options_at = start + LIMITS.deferred_options_after;
        assert_eq!(pair.next_deadline(&LIMITS), Some(options_at), "nothing else is due");
        // However long it was quiet before: the half-close is what starts the clock.
        let now = start + 3600 * SECOND;
        pair.on_ready(Side::Client, WRITABLE, now);
        run(&mut pair, now, &[]);
        // Behind a sink that takes nothing the end is not read, but an event reported it.
        pair.on_ready(Side::Client, READABLE, now);
        run(
            &mut pair,
            now,
            &[(Step::Read(Side::Client), ALL), (Step::Write(Side::Client), Outcome::WouldBlock)],
        );
        let closed_at = now + 60 * SECOND;
        pair.on_ready(Side::Client, CLOSED, closed_at);
        assert_eq!(pair.next_deadline(&LIMITS), Some(closed_at + SECOND / 8));
        look_twice(&mut pair, closed_at + SECOND / 8, closed_at + SECOND / 8 + SECOND);
        assert_eq!(pair.ending(), ended(Cause::HalfCloseTimeout, EndedIn::Relaying));
    }

    #[test]
    fn an_end_and_a_byte_put_the_timeout_off() {
        let start = Instant::now();
        let mut pair = relaying(start);
        pair.on_ready(Side::Client, CLOSED, start);
        let now = start + SECOND / 16;
        run(
            &mut pair,
            now,
            &[
                (Step::Read(Side::Client), ALL),
                (Step::Write(Side::Client), Outcome::Moved { bytes: 10, short: false }),
                (Step::Shut(Side::Client), Outcome::Done),
            ],
        );
        assert_eq!(pair.next_deadline(&LIMITS), Some(now + SECOND / 8));
        run(&mut pair, now + SECOND / 8, &[(Step::MeasureUnsent, Outcome::Unsent([0, 0]))]);
        let later = now + SECOND / 2;
        pair.on_ready(Side::Server, READABLE, later);
        run(
            &mut pair,
            later,
            &[
                (Step::Read(Side::Server), ALL),
                (Step::Write(Side::Server), Outcome::Moved { bytes: 10, short: false }),
            ],
        );
        look_twice(&mut pair, later + SECOND / 8, later + SECOND / 8 + SECOND);
        assert_eq!(pair.ending(), ended(Cause::HalfCloseTimeout, EndedIn::Relaying));
    }

    #[test]
    fn bytes_that_wait_are_read_before_the_clock_is_looked_at() {
        let now = Instant::now();
        let mut pair = relaying(now);
        pair.on_ready(Side::Client, CLOSED, now);
        let late = now + 10 * SECOND;
        assert_eq!(pair.next(&BUDGET, &LIMITS, late), Some(Step::Read(Side::Client)));
    }

    #[test]
    fn an_open_pair_times_out_only_when_asked_to() {
        let now = Instant::now();
        let inactivity = InactivityLimits { half_closed: None, open: Some(SECOND) };
        let limits = Limits { inactivity, ..LIMITS };
        let mut pair = relaying(now);
        for at in [now + SECOND / 8, now + SECOND / 8 + SECOND] {
            assert_eq!(pair.next_deadline(&limits), Some(at));
            assert_eq!(pair.next(&BUDGET, &limits, at), Some(Step::MeasureUnsent));
            pair.apply(Step::MeasureUnsent, Outcome::Unsent([0, 0]), &limits, at);
        }
        assert_eq!(pair.ending(), ended(Cause::IdleTimeout, EndedIn::Relaying));
    }

    #[test]
    fn a_flush_that_makes_no_progress_is_given_up() {
        let start = Instant::now();
        let mut pair = relaying(start);
        pair.on_ready(Side::Server, BROKEN, start);
        let mut now = start;
        let reset = Outcome::Failed(Fault::Reset);
        let stuck = (Step::MeasureUnsent, Outcome::Unsent([5, 0]));
        run(&mut pair, now, &[(Step::Read(Side::Server), reset), stuck]);
        while pair.ending().is_none() {
            now = pair.next_deadline(&LIMITS).expect("a flush has a deadline");
            run(&mut pair, now, &[stuck]);
        }
        assert!(now >= start + SECOND && now < start + 2 * SECOND, "{:?}", now - start);
        let cause = Cause::Lost(Side::Server, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Flushing));
    }

    #[test]
    fn a_flush_that_goes_on_slowly_is_not_given_up() {
        let start = Instant::now();
        let mut pair = relaying(start);
        pair.on_ready(Side::Server, BROKEN, start);
        let mut now = start;
        pair.apply(Step::Read(Side::Server), Outcome::Failed(Fault::Reset), &LIMITS, now);
        for unsent in (1..30).rev() {
            run(&mut pair, now, &[(Step::MeasureUnsent, Outcome::Unsent([unsent, 0]))]);
            now = pair.next_deadline(&LIMITS).expect("a flush has a deadline");
        }
        assert!(now > start + 10 * SECOND, "slower than the timeout would allow");
        run(&mut pair, now, &[(Step::MeasureUnsent, Outcome::Unsent([0, 0]))]);
        let cause = Cause::Lost(Side::Server, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Relaying));
    }

    #[test]
    fn a_client_waits_for_our_resources_once_and_not_for_ever() {
        let now = Instant::now();
        let mut pair = dialing(now);
        pair.wait_for(Wait::Resources, now + SECOND);
        assert_eq!((pair.attempt(), pair.tried()), (None, &[][..]));
        assert_eq!(pair.take_postponed(), Some(endpoint_ids(1, now)[0]));
        assert_eq!(pair.take_postponed(), None);
        assert_eq!(pair.next_deadline(&LIMITS), Some(now + SECOND));
        pair.wait_for(Wait::Endpoint, now + 2 * SECOND);
        assert_eq!(pair.next_deadline(&LIMITS), Some(now + SECOND));
    }

    #[test]
    fn the_first_cause_counts() {
        let mut pair = relaying(Instant::now());
        pair.end(Cause::DrainTimeout);
        pair.end(Cause::IdleTimeout);
        assert_eq!(pair.ending(), ended(Cause::DrainTimeout, EndedIn::Relaying));
    }
}
