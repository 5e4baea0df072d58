//! Every sequence of outcomes and events that a pair can meet, compared with a model of it.
//! Tests only.
//!
//! Different sequences soon meet in the same state, and what can follow is then the same. So each
//! state is entered once, by the shortest way to it, until there is no new one: what holds here
//! holds for sequences of any length. Reads and splices are of one or two bytes, of which two are
//! bulk, time passes from deadline to deadline, each kind of step fails with one fault of its own,
//! and all else that an outcome or an event can say is said in every state.
//!
//! Both flows spliced at the same time, and options that become due meanwhile, would make some
//! millions of states: so each of these is left to a search of its own.

mod expected;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use self::expected::Expected;
use super::ending::{Cause, EndedIn};
use super::flush::FlushInterval;
use super::inactivity::{Inactivity, InactivityLimits};
use super::splice::SpliceLimits;
use super::step::{Budget, Fault, Outcome, Side, Step};
use super::tests::{NOTHING, READABLE, URGENT, WRITABLE, dialing};
use super::{Limits, Pair, Phase};
use crate::readiness::Readiness;

const MILLISECOND: Duration = Duration::from_millis(1);
const HALF_CLOSED: Duration = Duration::from_millis(800);
const OPEN: Duration = Duration::from_millis(1600);
const OPTIONS_AFTER: Duration = Duration::from_millis(100);
/// Of pairs that are copied, whatever they read.
const COPYING: Limits = Limits {
    inactivity: InactivityLimits { half_closed: Some(HALF_CLOSED), open: Some(OPEN) },
    flush: FlushInterval { min: Duration::from_millis(200), max: Duration::from_millis(400) },
    splice: SpliceLimits { after_reads: u8::MAX, bytes_min: 2, small_max: 1 },
    deferred_options_after: OPTIONS_AFTER,
};
/// Of pairs that splice, and get their options at once.
const SPLICING: Limits = Limits {
    splice: SpliceLimits { after_reads: 1, ..COPYING.splice },
    deferred_options_after: Duration::ZERO,
    ..COPYING
};
/// With bytes to spare for both flows first: the others are what a turn may come to.
const BUDGETS: [[usize; 2]; 4] = [[1, 1], [1, 0], [0, 1], [0, 0]];

/// Each bit alone: an event that says several things at once is several events.
const NEWS: [Readiness; 5] = [
    READABLE,
    WRITABLE,
    URGENT,
    Readiness { closed: true, ..NOTHING },
    Readiness { error: true, ..NOTHING },
];

/// A pair and its model at some time.
#[derive(Clone)]
struct Node {
    pair: Pair,
    expected: Expected,
    now: Instant,
    limits: &'static Limits,
    /// The flow whose reads may fill the buffer; `None`: both.
    bulk: Option<Side>,
    /// The events that led here, to be shown when something is wrong.
    way: Vec<Event>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Connected,
    News(Side, Readiness),
    Carried(Step, Outcome),
    Waited(Duration),
}

impl Node {
    fn new(limits: &'static Limits, bulk: Option<Side>) -> Node {
        let now = Instant::now();
        let (pair, expected) = (dialing(now), Expected::new(limits, now));
        Node { pair, expected, now, limits, bulk, way: Vec::new() }
    }

    fn next(&self, bytes: [usize; 2]) -> Option<Step> {
        self.pair.next(&Budget { bytes }, self.limits, self.now)
    }

    /// All that can happen next. News come between turns, so when nothing is left to do but what
    /// the budget forbids; time passes when nothing is left at all.
    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.pair.ending().is_some() {
            return events;
        }
        let mut steps = BUDGETS.map(|bytes| self.next(bytes)).to_vec();
        let is_asleep = steps[0].is_none();
        let is_turn_over = steps.contains(&None);
        steps.dedup();
        for step in steps.into_iter().flatten() {
            events.extend(
                self.outcomes(step).into_iter().map(|outcome| Event::Carried(step, outcome)),
            );
        }
        if is_turn_over {
            for side in Side::BOTH.into_iter().filter(|&side| self.expected.knows(side)) {
                events.extend(NEWS.map(|news| Event::News(side, news)));
            }
        }
        if is_turn_over && !self.expected.connected {
            events.push(Event::Connected);
        }
        let deadline = self.pair.next_deadline(self.limits);
        if let Some(deadline) = deadline.filter(|&deadline| is_asleep && deadline > self.now) {
            events.push(Event::Waited(deadline - self.now));
        }
        events
    }

    fn outcomes(&self, step: Step) -> Vec<Outcome> {
        match step {
            Step::Read(side) => {
                let full = Outcome::Moved { bytes: 2, short: false };
                let short = Outcome::Moved { bytes: 1, short: true };
                let failed = Outcome::Failed(Fault::Reset);
                let others = [short, Outcome::Eof, Outcome::WouldBlock, failed];
                let is_bulk = self.bulk.is_none_or(|bulk| bulk == side);
                is_bulk.then_some(full).into_iter().chain(others).collect()
            }
            Step::SpliceIn(_) => {
                let moved = [(2, true), (1, true), (1, false)];
                let moved = moved.map(|(bytes, short)| Outcome::Moved { bytes, short });
                let failed = Outcome::Failed(Fault::Reset);
                let others = [Outcome::Eof, Outcome::NoPipe, Outcome::WouldBlock, failed];
                [&moved[..], &others].concat()
            }
            Step::Write(source) | Step::SpliceOut(source) => {
                let held = self.expected.held[source.index()];
                let failed = Outcome::Failed(Fault::TimedOut);
                let moves = (1..=held).map(|bytes| Outcome::Moved { bytes, short: bytes < held });
                moves.chain([Outcome::WouldBlock, failed]).collect()
            }
            Step::Shut(_) => vec![Outcome::Done, Outcome::Failed(Fault::Other)],
            Step::TakeError(_) => vec![Outcome::NoError, Outcome::Failed(Fault::Unreachable)],
            Step::SetDeferredOptions => vec![Outcome::Done],
            Step::MeasureUnsent => [[0, 0], [0, 1], [1, 0], [1, 1]].map(Outcome::Unsent).to_vec(),
        }
    }

    fn after(&self, event: Event) -> Node {
        let mut node = self.clone();
        node.way.push(event);
        match event {
            Event::Connected => {
                node.pair.connect(self.limits, node.now);
                node.expected.connect(node.now);
            }
            Event::News(side, news) => {
                node.pair.on_ready(side, news, node.now);
                node.expected.hear(side, news, node.now);
            }
            Event::Carried(step, outcome) => {
                node.pair.apply(step, outcome, self.limits, node.now);
                node.expected.learn(step, outcome, node.now);
                node.check_carried(step, outcome, self);
            }
            Event::Waited(time) => {
                node.now += time;
                // What follows from the end of an attempt is not decided by the pair.
                let is_awake = node.next(BUDGETS[0]).is_some() || !node.expected.connected;
                assert!(is_awake, "woken up for nothing");
            }
        }
        node
    }

    /// What must hold in every state.
    fn check(&self) {
        for side in Side::BOTH {
            assert_eq!(self.pair.flow(side).pending(), self.expected.held[side.index()]);
        }
        let has_options = self.expected.connected && self.expected.options_at.is_none();
        assert_eq!(self.pair.resets_on_close(), has_options);
        for bytes in BUDGETS {
            let step = self.next(bytes);
            for other in self.expected.work(bytes, self.now) {
                let is_allowed = self.pair.ending().is_none() && other.1;
                match step {
                    Some(step) if step == other.0 => assert!(is_allowed, "cannot be: {step:?}"),
                    // What need not be done at once comes last.
                    Some(Step::MeasureUnsent) if other.0 == Step::SetDeferredOptions => {}
                    None | Some(Step::MeasureUnsent | Step::SetDeferredOptions) => {
                        assert!(!is_allowed, "lost: {other:?}");
                    }
                    Some(_) => {}
                }
            }
        }
        let deadline = self.pair.next_deadline(self.limits);
        if self.pair.ending().is_some() {
            assert_eq!((self.next(BUDGETS[0]), deadline), (None, None));
        } else if self.expected.connected && self.next(BUDGETS[0]).is_none() {
            let limit = self.expected.inactivity_limit();
            let deadline = deadline.expect("no pair waits without end");
            assert!(deadline > self.now, "it would spin");
            assert!(deadline <= self.now + limit, "it would hang");
            assert!(deadline <= self.expected.progress_at + limit + limit / 8 + MILLISECOND);
            let options_at = self.expected.options_at;
            assert!(options_at.is_none_or(|at| deadline <= at), "the options would come late");
        }
        self.check_phase();
        self.check_end_from_outside();
    }

    fn check_phase(&self) {
        let expected = &self.expected;
        let ending = match self.pair.phase() {
            _ if !expected.connected => {
                return assert_eq!(self.pair.ending().is_some(), expected.lost.is_some());
            }
            Phase::Dialing(_) => panic!("it knows of its connection"),
            Phase::Relaying => {
                assert_eq!(expected.lost, None, "a loss is forgotten");
                assert!(!expected.is_complete(), "a complete pair goes on");
                let is_early = self.now < expected.progress_at + expected.inactivity_limit() / 8;
                let measures = self.next(BUDGETS[0]) == Some(Step::MeasureUnsent);
                assert!(!(is_early && measures), "a measurement of a pair that just moved");
                return;
            }
            Phase::Flushing(flush) => {
                assert_eq!(expected.lost, Some((flush.lost, flush.fault)), "the first loss counts");
                assert!(!expected.lost_again && !expected.delivered, "nothing is left to flush");
                return;
            }
            Phase::Closing(ending) => ending,
        };
        match (ending.cause, expected.lost) {
            (Cause::Completed, None) => {
                assert!(expected.is_complete(), "bytes or an end are missing")
            }
            (Cause::HalfCloseTimeout, None) => assert!(expected.is_half_closed()),
            (Cause::IdleTimeout, None) => assert!(!expected.is_half_closed()),
            (Cause::Lost(side, fault), Some(lost)) => assert_eq!((side, fault), lost),
            _ => panic!("{ending:?} after {:?}", expected.lost),
        }
        let is_cut_short = expected.lost.is_some() && !expected.delivered;
        let want = if is_cut_short { EndedIn::Flushing } else { EndedIn::Relaying };
        assert_eq!(ending.phase, want);
        assert_eq!(ending.is_orderly(), expected.is_complete() && expected.lost.is_none());
        if !expected.is_complete() && !expected.delivered && !expected.lost_again {
            assert!(self.now >= expected.progress_at + expected.inactivity_limit(), "ended early");
        }
    }

    /// Whenever the pair is ended from outside, what happened before is the cause.
    fn check_end_from_outside(&self) {
        let mut pair = self.pair.clone();
        pair.end(Cause::DrainTimeout);
        let ending = pair.ending().expect("it was ended");
        let want = match (self.pair.ending(), self.expected.lost) {
            (Some(before), _) => before.cause,
            (None, Some((side, fault))) => Cause::Lost(side, fault),
            (None, None) => Cause::DrainTimeout,
        };
        assert_eq!(ending.cause, want);
        assert!(self.pair.ending().is_none_or(|before| before == ending));
        assert_eq!(ending.phase == EndedIn::Dialing, !self.expected.connected);
    }

    fn check_carried(&self, step: Step, outcome: Outcome, before: &Node) {
        for bytes in BUDGETS {
            match (step, outcome, self.next(bytes)) {
                (Step::Read(side), Outcome::Moved { .. }, next) => {
                    assert_eq!(next, Some(Step::Write(side)), "the scratch buffer comes first");
                }
                (Step::SpliceIn(side), Outcome::Moved { .. }, next) => {
                    assert_eq!(next, Some(Step::SpliceOut(side)), "the pipe is to be empty soon");
                }
                (Step::SpliceIn(_), _, next) => {
                    assert_ne!(next, Some(step), "splicing again at once would spin");
                }
                (Step::MeasureUnsent, _, next) => {
                    assert_ne!(next, Some(step), "measuring again at once would spin");
                }
                _ => {}
            }
        }
        for side in Side::BOTH {
            let delivered = self.pair.flow(side).delivered() - before.pair.flow(side).delivered();
            let want = match (step, outcome) {
                (Step::Write(source) | Step::SpliceOut(source), Outcome::Moved { bytes, .. })
                    if source == side =>
                {
                    bytes
                }
                _ => 0,
            };
            assert_eq!(delivered, want as u64);
        }
    }
}

/// Everything that decides how a node goes on; times count from now.
type Key = Vec<u32>;

impl Node {
    /// Milliseconds since then, as far as they matter.
    fn age(&self, at: Instant) -> u32 {
        self.now.duration_since(at).min(4 * OPEN).as_millis() as u32
    }

    /// Milliseconds until then, one added; 0: never.
    fn wait(&self, at: Option<Instant>) -> u32 {
        at.map_or(0, |at| 1 + at.saturating_duration_since(self.now).as_millis() as u32)
    }

    fn key(&self) -> Key {
        let mut key = Vec::with_capacity(32);
        key.extend(match self.pair.phase() {
            Phase::Dialing(dialing) => [0, dialing.tried().len() as u32, 0],
            Phase::Relaying => [1, 0, 0],
            Phase::Flushing(flush) => {
                [2 + flush.lost as u32, flush.fault as u32, self.wait(flush.measure_at())]
            }
            Phase::Closing(ending) => {
                let cause = match ending.cause {
                    Cause::Lost(side, fault) => 1 + side as u32 + 2 * fault as u32,
                    Cause::Completed => 10,
                    Cause::HalfCloseTimeout => 11,
                    _ => 12,
                };
                [4 + ending.phase as u32, cause, 0]
            }
        });
        key.extend(match self.pair.inactivity {
            Inactivity::Since(at) => [self.age(at), 0],
            Inactivity::Measured { at, unsent } => [self.age(at), 1 + unsent as u32],
        });
        for side in Side::BOTH {
            let flow = self.pair.flow(side);
            let held = self.expected.held[side.index()] as u32;
            key.extend([flow.state() as u32, flow.pending() as u32, held]);
            key.push(bits(&[flow.is_spliced(), self.expected.piped[side.index()]]));
            key.push(
                self.expected.small_splices[side.index()].map_or(0, |count| 1 + u32::from(count)),
            );
            for ready in [self.pair.ready[side.index()], self.expected.heard[side.index()]] {
                let Readiness { readable, writable, urgent, closed, error } = ready;
                key.push(bits(&[readable, writable, urgent, closed, error]));
            }
        }
        let Expected { eof, over, shut, lost, lost_again, delivered, .. } = self.expected;
        key.push(bits(&[eof, over, shut, [lost_again, delivered]].concat()));
        key.push(lost.map_or(0, |(side, fault)| 1 + side as u32 + 2 * fault as u32));
        key.extend([
            self.age(self.expected.progress_at),
            self.expected.unsent.map_or(0, |unsent| 1 + unsent as u32),
        ]);
        key.push(self.expected.measurements.min(3));
        key.extend([self.wait(self.pair.deferred.due_at()), self.wait(self.expected.options_at)]);
        key
    }
}

/// Shows the events that led to a failure.
struct Witness<'a>(&'a Node, Event);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {:?}, {:?}:\n{:?}", self.0.way, self.1, self.0.pair);
        }
    }
}

fn bits(flags: &[bool]) -> u32 {
    flags.iter().fold(1, |bits, &flag| bits << 1 | u32::from(flag))
}

fn search(limits: &'static Limits, bulk: Option<Side>) {
    let first = Node::new(limits, bulk);
    first.check();
    let mut seen = HashSet::from([first.key()]);
    let mut nodes = vec![first];
    while !nodes.is_empty() {
        let mut next = Vec::new();
        for node in &nodes {
            for event in node.events() {
                let _witness = Witness(node, event);
                let after = node.after(event);
                if seen.insert(after.key()) {
                    after.check();
                    next.push(after);
                }
            }
        }
        nodes = next;
    }
    assert!(seen.len() > 100_000, "only {} states were seen", seen.len());
}

#[test]
fn no_sequence_of_outcomes_breaks_the_contract() {
    search(&COPYING, None);
}

#[test]
fn no_sequence_of_splices_from_the_client_breaks_it() {
    search(&SPLICING, Some(Side::Client));
}

#[test]
fn no_sequence_of_splices_from_the_server_breaks_it() {
    search(&SPLICING, Some(Side::Server));
}
