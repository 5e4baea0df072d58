//! One direction of a pair: what to do next with its bytes. Pure; counts bytes, never sees them.
//!
//! ```text
//!   source ──read──────► buffer ──write──────► sink      Copied: messages
//!          ──splice in─► pipe   ──splice out─►           Spliced: bulk
//!
//!   Open ──end of file──► Ended ──last byte written, FIN passed on──► Finished
//!     │                     │
//!     └──── sink is lost ───┴──► Broken
//! ```
//!
//! A flow that holds pending bytes does not read: that is the backpressure, and why one fixed
//! buffer is enough. It reads only when the sink can take bytes, so that what is read can usually
//! be written straight from the scratch buffer.
//!
//! For a pipe the same rule does more: one that is only filled when it is empty can never be the
//! reason why a splice into it would block, so that EAGAIN means what it does for a read.

use super::splice::SpliceLimits;

/// What a flow wants done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Read from the source.
    Read,
    /// Write pending bytes to the sink.
    Write,
    /// Splice from the source into an empty pipe.
    SpliceIn,
    /// Splice pending bytes from the pipe to the sink.
    SpliceOut,
    /// Pass the end of file on: shut the sink's write side.
    Shut,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowState {
    /// The source may still send.
    Open,
    /// The source sends no more. Its end is passed on once nothing is pending.
    Ended,
    /// Every byte and the end were passed on.
    Finished,
    /// The sink is lost. Nothing is pending, and nothing more is read.
    Broken,
}

/// What a flow may do at the moment.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// The source may have something to read.
    pub readable: bool,
    /// The sink may take something.
    pub writable: bool,
    /// The flow has budget left.
    pub may_read: bool,
    /// A splice is as good as a read.
    pub may_splice: bool,
}

/// The way of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// Through memory. The last `full_reads` reads have filled the buffer.
    Copied { full_reads: u8 },
    /// Through a pipe of the kernel. The last `small_splices` splices were small.
    Spliced { small_splices: u8 },
}

/// Bytes read from the source and not yet written to the sink, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    InBuffer(usize),
    InPipe(usize),
}

/// One direction of a pair.
///
/// Always holds: `delivered + pending` = bytes read from the source and not discarded;
/// `Finished` and `Broken` have nothing pending; bulk is known by what was read before.
#[derive(Clone, Debug)]
pub struct Flow {
    state: FlowState,
    path: Path,
    pending: Pending,
    delivered: u64,
}

impl Flow {
    /// A flow that has carried nothing yet.
    pub fn new() -> Flow {
        let path = Path::Copied { full_reads: 0 };
        Flow { state: FlowState::Open, path, pending: Pending::InBuffer(0), delivered: 0 }
    }

    /// How far the flow has come.
    pub fn state(&self) -> FlowState {
        self.state
    }

    /// Bytes read from the source and not yet written to the sink.
    pub fn pending(&self) -> usize {
        let (Pending::InBuffer(bytes) | Pending::InPipe(bytes)) = self.pending;
        bytes
    }

    /// Bytes written to the sink so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether bytes go through a pipe as long as there is one.
    pub fn is_spliced(&self) -> bool {
        matches!(self.path, Path::Spliced { .. })
    }

    /// Whether the source's end has been seen and every byte before it was written.
    pub fn is_drained(&self) -> bool {
        matches!(self.state, FlowState::Ended | FlowState::Finished) && self.pending() == 0
    }

    /// Whether no byte was read yet, nor an end.
    pub fn is_untouched(&self) -> bool {
        self.state == FlowState::Open && self.pending() == 0 && self.delivered == 0
    }

    /// What to do next.
    pub fn next(&self, conditions: Conditions) -> Option<FlowStep> {
        let Conditions { readable, writable, may_read, may_splice } = conditions;
        match (self.state, self.pending) {
            (FlowState::Finished | FlowState::Broken, _) => None,
            (_, Pending::InBuffer(1..)) => writable.then_some(FlowStep::Write),
            (_, Pending::InPipe(1..)) => writable.then_some(FlowStep::SpliceOut),
            (FlowState::Ended, _) => Some(FlowStep::Shut),
            (FlowState::Open, _) if !(readable && writable && may_read) => None,
            (FlowState::Open, _) if may_splice && self.is_spliced() => Some(FlowStep::SpliceIn),
            (FlowState::Open, _) => Some(FlowStep::Read),
        }
    }

    /// `bytes` (> 0) were read; `full` if they filled the buffer.
    pub fn on_read(&mut self, bytes: usize, full: bool, limits: SpliceLimits) {
        self.check_empty(bytes);
        debug_assert!(limits.after_reads > 0, "bulk before anything was read");
        self.pending = Pending::InBuffer(bytes);
        self.path = match self.path {
            Path::Copied { full_reads } if full && full_reads + 1 >= limits.after_reads => {
                Path::Spliced { small_splices: 0 }
            }
            Path::Copied { full_reads } if full => Path::Copied { full_reads: full_reads + 1 },
            _ => Path::Copied { full_reads: 0 },
        };
        self.invariants();
    }

    /// `bytes` (> 0) were spliced into the pipe; `short` if it was asked for more.
    pub fn on_splice_in(&mut self, bytes: usize, short: bool, limits: SpliceLimits) {
        self.check_empty(bytes);
        let Path::Spliced { small_splices } = self.path else {
            panic!("a splice in a flow that is copied");
        };
        debug_assert!(limits.small_max > 0, "copied again before anything was spliced");
        debug_assert!(small_splices < limits.small_max, "more small splices than suffice");
        self.pending = Pending::InPipe(bytes);
        let is_small = short && bytes < limits.bytes_min;
        self.path = match small_splices {
            _ if !is_small => Path::Spliced { small_splices: 0 },
            before if before + 1 >= limits.small_max => Path::Copied { full_reads: 0 },
            before => Path::Spliced { small_splices: before + 1 },
        };
        self.invariants();
    }

    /// A read found nothing: what comes next is another burst.
    pub fn on_empty_read(&mut self) {
        debug_assert_eq!(self.state, FlowState::Open, "read after the end");
        debug_assert_eq!(self.pending(), 0, "read while bytes were pending");
        if !self.is_spliced() {
            self.fall_back_to_copy();
        }
    }

    /// The next bytes are copied: there is no pipe, or the next read has to show what a splice
    /// cannot.
    pub fn fall_back_to_copy(&mut self) {
        debug_assert_eq!(self.pending(), 0, "another way while bytes are on the one");
        debug_assert_eq!(self.state, FlowState::Open, "another way, and no bytes for it");
        self.path = Path::Copied { full_reads: 0 };
        self.invariants();
    }

    /// `bytes` (> 0) of the pending ones were written or spliced to the sink.
    pub fn on_write(&mut self, bytes: usize) {
        let pending = self.pending();
        assert!(bytes > 0, "a write of nothing is not progress");
        assert!(bytes <= pending, "wrote more than was read");
        self.pending = match self.pending {
            Pending::InBuffer(_) => Pending::InBuffer(pending - bytes),
            Pending::InPipe(_) => Pending::InPipe(pending - bytes),
        };
        self.delivered += bytes as u64;
        self.invariants();
    }

    /// The source sends no more: its end of file was read, or it is lost.
    pub fn on_end(&mut self) {
        assert_eq!(self.state, FlowState::Open, "ended twice");
        self.state = FlowState::Ended;
        self.invariants();
    }

    /// The end was passed on.
    pub fn on_shutdown(&mut self) {
        assert!(self.is_drained(), "an end before the last byte");
        self.state = FlowState::Finished;
        self.invariants();
    }

    /// The sink is lost: what is pending is undeliverable.
    pub fn on_sink_lost(&mut self) {
        debug_assert_ne!(self.state, FlowState::Broken, "lost twice");
        self.state = FlowState::Broken;
        self.pending = Pending::InBuffer(0);
        self.invariants();
    }

    fn check_empty(&self, bytes: usize) {
        assert_eq!(self.state, FlowState::Open, "read after the end");
        assert_eq!(self.pending(), 0, "read while bytes were pending");
        assert!(bytes > 0, "a read of nothing is an end of file, not data");
    }

    fn invariants(&self) {
        let is_over = matches!(self.state, FlowState::Finished | FlowState::Broken);
        debug_assert!(!is_over || self.pending() == 0, "bytes pending in a flow that is over");
        let is_untouched = self.is_untouched();
        debug_assert!(!is_untouched || !self.is_drained(), "drained before anything was read");
        debug_assert!(!is_untouched || !self.is_spliced(), "bulk before anything was read");
    }
}

impl Default for Flow {
    fn default() -> Flow {
        Flow::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// What happens in a sequence, at most, before the flow is led to its end.
    const DEPTH: usize = 12;
    /// Bytes that fill the buffer.
    const FULL: u64 = 3;
    const LIMITS: SpliceLimits = SpliceLimits { after_reads: 2, bytes_min: 2, small_max: 2 };
    const ALL: Conditions =
        Conditions { readable: true, writable: true, may_read: true, may_splice: true };

    /// Enumerates every sequence of choices. Each round asks anew and gets the smallest sequence
    /// that is greater than the last round's: its last choice that was not the greatest grows, and
    /// those behind it begin again. (After TigerBeetle's `testing/exhaustigen.zig`.)
    #[derive(Default)]
    struct Choices {
        /// What was chosen, and out of how many.
        made: Vec<(usize, usize)>,
        position: usize,
        /// How many of them were made like this in the last round, too.
        repeated: usize,
    }

    impl Choices {
        fn among<T: Copy>(&mut self, options: &[T]) -> T {
            if self.position == self.made.len() {
                self.made.push((0, options.len()));
            }
            let (choice, count) = self.made[self.position];
            assert_eq!(count, options.len(), "the same choices lead to another question");
            self.position += 1;
            options[choice]
        }

        /// Whether the last choice led to what no earlier round has seen.
        fn is_new(&self) -> bool {
            self.position > self.repeated
        }

        /// Turns to the next sequence; false if that was the last one.
        fn advance(&mut self) -> bool {
            self.position = 0;
            while let Some((choice, count)) = self.made.pop() {
                if choice + 1 < count {
                    self.repeated = self.made.len();
                    self.made.push((choice + 1, count));
                    return true;
                }
            }
            false
        }
    }

    /// What can happen to a flow, in its own step or at any moment.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Event {
        Read(u64),
        SplicedIn(u64),
        Written(usize),
        /// Of a read.
        NothingRead,
        /// Of a splice: there is no pipe, or a read has to tell whether this is the end.
        CopyOn,
        /// The end of file was read, or the source is lost.
        SourceEnds,
        Shut,
        /// A write or the shutdown failed, or the sink is lost at another moment.
        SinkLost,
    }

    /// The plain way to do it: every byte is its position in the stream.
    #[derive(Default)]
    struct World {
        flow: Flow,
        read: u64,
        held: VecDeque<u64>,
        /// The bytes held are in a pipe.
        is_piped: bool,
        /// Of each read so far since the last splice: whether it filled what it was given.
        fills: Vec<bool>,
        /// Of each splice so far since the last read: whether it was small.
        small: Vec<bool>,
        is_spliced: bool,
        /// What the sink has, which is the positions below this one.
        taken: u64,
        discarded: u64,
        ended: bool,
        shut: bool,
        lost: bool,
    }

    impl World {
        /// All answers of the flow in its present state. It keeps no readiness of its own, so that
        /// all sixteen are asked in every state instead of one of them being chosen.
        fn check(&self) {
            for bits in 0..16 {
                let [readable, writable, may_read, may_splice] =
                    [1, 2, 4, 8].map(|bit| bits & bit != 0);
                let conditions = Conditions { readable, writable, may_read, may_splice };
                self.check_step(self.flow.next(conditions), conditions);
            }
            let held = self.held.len();
            assert_eq!((self.flow.pending(), self.flow.delivered()), (held, self.taken));
            assert_eq!(self.taken + held as u64 + self.discarded, self.read);
            assert_eq!(self.flow.is_drained(), self.ended && held == 0 && !self.lost);
            let state = match (self.lost, self.shut, self.ended) {
                (true, _, _) => FlowState::Broken,
                (_, true, _) => FlowState::Finished,
                (_, _, true) => FlowState::Ended,
                _ => FlowState::Open,
            };
            assert_eq!(self.flow.state(), state);
        }

        fn check_step(&self, step: Option<FlowStep>, conditions: Conditions) {
            let Conditions { readable, writable, may_read, may_splice } = conditions;
            let idle = self.held.is_empty();
            match step {
                _ if self.lost || self.shut => assert_eq!(step, None, "a flow that is over asks"),
                Some(FlowStep::Read | FlowStep::SpliceIn) => {
                    assert!(readable && writable && may_read, "a read that is not permitted");
                    assert!(idle, "a read while bytes are pending");
                    assert!(!self.ended, "a read after the end");
                    let is_splice = step == Some(FlowStep::SpliceIn);
                    assert_eq!(is_splice, self.is_spliced && may_splice, "the wrong way");
                }
                Some(FlowStep::Write | FlowStep::SpliceOut) => {
                    assert!(writable && !idle, "a write that cannot be");
                    assert_eq!(step == Some(FlowStep::SpliceOut), self.is_piped, "not there");
                }
                Some(FlowStep::Shut) => assert!(self.ended && idle, "an end before the last byte"),
                None if !idle => assert!(!writable, "a write is forgotten"),
                None => {
                    assert!(!self.ended, "the end is forgotten");
                    assert!(!(readable && writable && may_read), "a read is forgotten");
                }
            }
        }

        /// What may happen next. The source can be lost while bytes of it are pending.
        fn events(&self) -> Vec<Event> {
            let mut events = Vec::new();
            match self.flow.next(ALL) {
                Some(FlowStep::Read) => {
                    events.extend([Event::Read(FULL), Event::Read(1), Event::NothingRead]);
                }
                Some(FlowStep::SpliceIn) => {
                    events.extend([Event::SplicedIn(4), Event::SplicedIn(1), Event::CopyOn]);
                }
                Some(FlowStep::Write | FlowStep::SpliceOut) => {
                    events.extend((1..=self.held.len()).map(Event::Written));
                }
                Some(FlowStep::Shut) => events.push(Event::Shut),
                None => {}
            }
            if !self.ended && !self.lost {
                events.push(Event::SourceEnds);
            }
            if !self.lost {
                events.push(Event::SinkLost);
            }
            events
        }

        fn apply(&mut self, event: Event) {
            match event {
                Event::Read(bytes) => {
                    self.hold(bytes, false);
                    self.fills.push(bytes == FULL);
                    self.is_spliced = self.fills.ends_with(&[true, true]);
                    self.small.clear();
                    self.flow.on_read(bytes as usize, bytes == FULL, LIMITS);
                }
                Event::SplicedIn(bytes) => {
                    self.hold(bytes, true);
                    self.small.push(bytes < LIMITS.bytes_min as u64);
                    self.is_spliced = !self.small.ends_with(&[true, true]);
                    self.fills.clear();
                    self.flow.on_splice_in(bytes as usize, true, LIMITS);
                }
                Event::NothingRead => {
                    self.fills.push(false);
                    self.flow.on_empty_read();
                }
                Event::CopyOn => {
                    self.is_spliced = false;
                    self.fills.clear();
                    self.flow.fall_back_to_copy();
                }
                Event::Written(bytes) => {
                    for position in self.held.drain(..bytes) {
                        assert_eq!(position, self.taken, "each byte once, and in order");
                        self.taken += 1;
                    }
                    self.flow.on_write(bytes);
                }
                Event::SourceEnds => {
                    self.ended = true;
                    self.flow.on_end();
                }
                Event::Shut => {
                    assert!(!self.shut, "the end is passed on twice");
                    self.shut = true;
                    self.flow.on_shutdown();
                }
                Event::SinkLost => {
                    self.lost = true;
                    self.discarded = self.held.drain(..).count() as u64;
                    self.flow.on_sink_lost();
                }
            }
        }

        fn hold(&mut self, bytes: u64, is_piped: bool) {
            self.held.extend(self.read..self.read + bytes);
            self.read += bytes;
            self.is_piped = is_piped;
        }

        /// With both sockets willing and no byte more to come, the end is one write and one
        /// shutdown away.
        fn lead_to_the_end(&mut self) {
            let mut steps = Vec::new();
            while let Some(step) = self.flow.next(ALL) {
                steps.push(step);
                self.apply(match step {
                    FlowStep::SpliceIn => Event::CopyOn,
                    FlowStep::Read => Event::SourceEnds,
                    FlowStep::Write | FlowStep::SpliceOut => Event::Written(self.held.len()),
                    FlowStep::Shut => Event::Shut,
                });
                self.check();
            }
            assert!(steps.len() <= 4, "{steps:?}");
            assert!(self.lost || self.shut && self.taken == self.read);
        }
    }

    #[test]
    fn every_sequence_of_events_keeps_every_byte() {
        let mut choices = Choices::default();
        let mut sequences = 1_u32;
        loop {
            let mut world = World::default();
            world.check();
            for _ in 0..DEPTH {
                let events = world.events();
                if events.is_empty() {
                    break;
                }
                world.apply(choices.among(&events));
                if choices.is_new() {
                    world.check();
                }
            }
            world.lead_to_the_end();
            if !choices.advance() {
                break;
            }
            sequences += 1;
        }
        assert!(sequences > 100_000, "only {sequences} sequences");
    }

    fn accepts(flow: &Flow, call: fn(&mut Flow)) -> bool {
        let mut flow = flow.clone();
        catch_unwind(AssertUnwindSafe(|| call(&mut flow))).is_ok()
    }

    /// What a flow accepts in each of its states: the rest cannot have happened, and is a bug.
    #[test]
    fn what_cannot_have_happened_is_refused() {
        let calls: [fn(&mut Flow); 7] = [
            |flow| flow.on_read(0, false, LIMITS),
            |flow| flow.on_read(1, false, LIMITS),
            |flow| flow.on_write(0),
            |flow| flow.on_write(3),
            |flow| flow.on_write(4),
            Flow::on_end,
            Flow::on_shutdown,
        ];
        let [no, yes] = [false, true];
        let ways: [(&[Event], [bool; 7]); 6] = [
            (&[], [no, yes, no, no, no, yes, no]),
            (&[Event::Read(3)], [no, no, no, yes, no, yes, no]),
            (&[Event::Read(3), Event::SourceEnds], [no, no, no, yes, no, no, no]),
            (&[Event::SourceEnds], [no, no, no, no, no, no, yes]),
            // A second shutdown does no harm, and is never asked for.
            (&[Event::SourceEnds, Event::Shut], [no, no, no, no, no, no, yes]),
            (&[Event::Read(3), Event::SinkLost], [no; 7]),
        ];
        for (way, want) in ways {
            let mut world = World::default();
            way.iter().for_each(|&event| world.apply(event));
            assert_eq!(calls.map(|call| accepts(&world.flow, call)), want, "after {way:?}");
        }
    }
}
