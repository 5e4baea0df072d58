//! Pipes: opened for a flow that needs one, filled when empty, emptied into the right sink, and
//! given back then; and which flows are spliced at all.

use std::time::Duration;

use etcd_gateway::config::{PIPE_PAUSE, SPARE_PIPES_AGE, SPARE_PIPES_MAX};

use super::{Oracle, Seen, TICK};
use crate::connection::Id;
use crate::pipes::{PAGE, PipeId};
use crate::world::World;

/// By which way the next bytes of a flow go, told from its reads and splices alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through memory; the last so many reads have filled the buffer.
    Copied { full_reads: u8 },
    /// Through a pipe, as long as there is one; the last so many splices were small.
    Spliced { small_splices: u8 },
}

impl Way {
    pub fn is_spliced(self) -> bool {
        matches!(self, Way::Spliced { .. })
    }
}

/// What the gateway knows of pipes.
#[derive(Debug, Default)]
pub(super) struct Supply {
    /// When it last failed to open one.
    failed_at: Option<Duration>,
    is_refused: bool,
    /// When a flow last wanted one.
    wanted_at: Duration,
    /// When one was last empty again.
    emptied_at: Duration,
    /// When a client last lacked a descriptor.
    made_way_at: Option<Duration>,
    /// Those that were unused when a client lacked a descriptor in this turn.
    unused: Vec<PipeId>,
    /// Sources whose bytes were given up with a pipe in this turn, so that the pair must be, too.
    cut_off: Vec<Id>,
}

impl Oracle {
    /// No pipe could be opened.
    pub fn pipe_failed(&mut self, now: Duration) {
        self.pipes.failed_at = Some(now);
    }

    /// A pipe is empty again.
    pub fn pipe_emptied(&mut self, now: Duration) {
        self.pipes.emptied_at = now;
    }

    /// The kernel does not splice here.
    pub fn splice_refused(&mut self) {
        self.pipes.is_refused = true;
        self.saw(Seen::SpliceRefused);
    }

    fn may_open_pipe(&self, now: Duration) -> bool {
        let is_rested = |at: Option<Duration>| at.is_none_or(|at| at + PIPE_PAUSE <= now);
        is_rested(self.pipes.failed_at) && !self.pipes.is_refused
    }
}

impl World {
    fn unused_pipes(&self) -> impl Iterator<Item = PipeId> {
        let pipes = self.pipes.iter().enumerate();
        pipes.filter(|(_, pipe)| pipe.is_open && pipe.bytes == 0).map(|(index, _)| index)
    }

    pub fn check_open_pipe(&self) {
        let now = self.context.turn_at;
        assert!(!self.oracle.pipes.is_refused, "a pipe where splicing is refused");
        assert!(self.oracle.may_open_pipe(now), "a pipe is asked for so soon after a failure");
        assert!(!self.oracle.is_paused(now), "a pipe gets the descriptors that clients wait for");
        assert_eq!(self.unused_pipes().count(), 0, "one more pipe although some are unused");
        let open = self.context.pipes_open;
        assert!(open < self.context.plan.limits.pipes_max, "{open} pipes, and one more");
    }

    /// The gateway is about to give a pipe up.
    pub fn check_close_pipe(&mut self, pipe: PipeId) {
        let it = &self.pipes[pipe];
        assert!(it.is_open, "{pipe}: a pipe is closed twice");
        let Some(source) = it.source.filter(|_| it.bytes > 0) else { return };
        self.oracle.saw(Seen::PipeClosedWithBytes);
        let sink = self.mate_of(source).expect("bytes of a pair");
        if sink.told.lost {
            self.oracle.saw(Seen::SinkLostWithPipe);
        } else {
            self.oracle.pipes.cut_off.push(source);
        }
    }

    /// The gateway is about to splice from a socket.
    pub fn check_splice_in(&mut self, id: Id, pipe: PipeId, bytes_max: usize) {
        self.check_read(id);
        self.oracle.pipes.wanted_at = self.context.turn_at;
        let it = &self.pipes[pipe];
        assert!(it.is_open, "{id}: a splice into a closed pipe");
        assert_eq!(it.bytes, 0, "{id}: a splice into a pipe that holds bytes: {it:?}");
        assert!(bytes_max > 0, "{id}: a splice of nothing");
        assert!(!self.oracle.pipes.is_refused, "{id}: a splice where they are refused");
        let source = &self.connections[id];
        let sink = self.mate_of(id).expect("checked as a read");
        assert!(sink.told.writable, "{id}: a pipe is filled for a sink that takes nothing");
        assert!(!source.told.lost, "{id}: a splice from a lost socket");
        assert!(!source.told.urgent, "{id}: a splice that urgent data stops");
        assert!(source.way.is_spliced(), "{id}: a splice of a flow that is no bulk");
    }

    /// The gateway is about to splice into a socket.
    pub fn check_splice_out(&mut self, pipe: PipeId, id: Id, bytes: usize) {
        let sink = &self.connections[id];
        let it = &self.pipes[pipe];
        assert!(it.is_open, "{id}: a splice out of a closed pipe");
        assert!(it.bytes > 0, "{id}: a splice out of an empty pipe");
        assert_eq!(bytes as u64, it.bytes, "{id}: the pipe holds another number of bytes");
        let mate = self.mate_of(id).expect("a splice before both connections stand");
        assert_eq!(mate.pipe, Some(pipe), "{id}: another flow's pipe");
        assert_eq!(it.from, sink.written, "{id}: not the next bytes: {it:?}");
        assert!(!sink.outbound.end_sent, "{id}: bytes behind the end");
        let mut seen = vec![Seen::BytesDelivered];
        if it.filled_in != self.oracle.turns {
            seen.push(Seen::SplicedOutLater);
            if mate.told.lost {
                seen.push(Seen::SourceLostWithPipe);
            } else if mate.inbound.end_arrived {
                seen.push(Seen::SourceEndedWithPipe);
            }
        }
        seen.into_iter().for_each(|it| self.oracle.saw(it));
    }

    /// So many bytes were spliced from it, so many were asked for, and so many more there are.
    pub fn has_spliced(&mut self, id: Id, bytes: u64, asked: u64, left: u64) {
        let limits = self.context.plan.limits.pair.splice;
        let nominal = self.context.plan.pipe_slots * PAGE;
        self.oracle.saw(Seen::Spliced);
        if bytes > nominal {
            self.oracle.saw(Seen::PipeOverfull);
        } else if left > 0 && bytes < nominal {
            self.oracle.saw(Seen::PipeFullOfSmallSegments);
        }
        let Way::Spliced { small_splices } = self.connections[id].way else { return };
        let is_small = bytes < asked && bytes < limits.bytes_min as u64;
        let small_splices = if is_small { small_splices + 1 } else { 0 };
        self.connections[id].way = Way::Spliced { small_splices };
        if small_splices == limits.small_max {
            self.copies_on(id);
            self.oracle.saw(Seen::BackToCopying);
        }
    }

    /// What comes next from it has to be read.
    pub fn copies_on(&mut self, id: Id) {
        self.connections[id].way = Way::Copied { full_reads: 0 };
    }

    /// The gateway is about to read: it may have to splice instead.
    pub fn check_copies(&mut self, id: Id) {
        let source = &self.connections[id];
        let sink = self.mate_of(id).expect("checked as a read");
        let is_stopped = source.told.urgent || source.told.lost || !sink.told.writable;
        if !source.way.is_spliced() || is_stopped {
            return;
        }
        let is_refused = self.oracle.pipes.is_refused;
        let has_unused = self.unused_pipes().next().is_some();
        // That of a client, too, is a reason to wait that long, though not one to insist on.
        let made_way_at = self.oracle.pipes.made_way_at;
        let is_rested = made_way_at.is_none_or(|at| at + PIPE_PAUSE <= self.context.turn_at);
        let may_open = is_rested && self.oracle.may_open_pipe(self.context.turn_at);
        let has_room = self.context.pipes_open < self.context.plan.limits.pipes_max;
        let could_splice = !is_refused && (has_unused || (may_open && has_room));
        assert!(!could_splice, "{id}: a bulk flow is copied: {source:?}");
        self.oracle.saw(Seen::CopiedForWantOfPipes);
        self.copies_on(id);
    }

    /// So many bytes were read, and so many were asked for.
    pub fn has_copied(&mut self, id: Id, bytes: u64, room: u64) {
        let after = self.context.plan.limits.pair.splice.after_reads;
        let way = &mut self.connections[id].way;
        *way = match *way {
            Way::Copied { full_reads } if bytes == room => match full_reads + 1 {
                full_reads if full_reads >= after => Way::Spliced { small_splices: 0 },
                full_reads => Way::Copied { full_reads },
            },
            _ => Way::Copied { full_reads: 0 },
        };
    }

    /// A read found nothing.
    pub fn has_copied_nothing(&mut self, id: Id) {
        if !self.connections[id].way.is_spliced() {
            self.copies_on(id);
        }
    }

    /// A client lacked a descriptor, of which every unused pipe has two.
    pub fn check_unused_pipes_go(&mut self) {
        let unused: Vec<PipeId> = self.unused_pipes().collect();
        self.oracle.pipes.unused.extend(unused);
        self.oracle.pipes.made_way_at = Some(self.context.turn_at);
    }

    /// The gateway is about to wait. Where nothing is bulk any more, no pipe is kept.
    pub(super) fn check_unused_pipes(&self) {
        let Supply { wanted_at, emptied_at, .. } = self.oracle.pipes;
        let until = (wanted_at + SPARE_PIPES_AGE).max(emptied_at) + TICK;
        let unused = self.unused_pipes().count();
        assert!(unused == 0 || self.context.turn_at < until, "{unused} pipes are kept for nobody");
    }

    /// Between two turns; so many pipes are lent to flows.
    pub(super) fn check_pipes(&mut self, lent: usize) {
        let open = self.context.pipes_open;
        let unused = self.unused_pipes().count();
        assert_eq!(lent, open - unused, "pipes lent, and pipes that hold bytes");
        assert!(unused <= SPARE_PIPES_MAX, "{unused} pipes are kept unused");
        assert!(!self.oracle.pipes.is_refused || open == 0, "{open} pipes, and no use for them");
        for source in std::mem::take(&mut self.oracle.pipes.cut_off) {
            let it = &self.connections[source];
            assert!(!it.is_open(), "{source}: its bytes were given up, and it was not: {it:?}");
        }
        for pipe in std::mem::take(&mut self.oracle.pipes.unused) {
            let is_open = self.pipes[pipe].is_open;
            assert!(!is_open, "{pipe}: a pipe keeps the descriptors that clients wait for");
            self.oracle.saw(Seen::PipeMadeWay);
        }
    }
}
