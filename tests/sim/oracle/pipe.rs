//! Pipes: opened for a flow that needs one, filled when empty, emptied into the right sink, and
//! given back then; and which flows are spliced at all.

use std::time::Duration;

use etcd_gateway::config::{PIPE_PAUSE, SPARE_PIPES_AGE, SPARE_PIPES_MAX};
use etcd_gateway::net::{NetError, Read};

use super::{Books, Seen, TICK};
use crate::connection::Id;
use crate::pipes::{PAGE, PipeId};
use crate::world::World;

/// By which way the next bytes of a flow go, told from its reads and splices alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through memory; how many reads at the end have filled the buffer.
    Copied { full_reads: u8 },
    /// Through a pipe, as long as there is one; how many splices at the end were small.
    Spliced { small_splices: u8 },
}

impl Way {
    pub fn is_spliced(self) -> bool {
        matches!(self, Way::Spliced { .. })
    }
}

/// What the gateway knows of pipes.
#[derive(Debug, Default)]
pub struct PipeBooks {
    /// When it last failed to open one.
    failed_at: Option<Duration>,
    is_refused: bool,
    /// When a flow last wanted one.
    wanted_at: Duration,
    /// When one was last empty again.
    emptied_at: Duration,
    /// When a client last lacked a descriptor.
    released_at: Option<Duration>,
    /// Those that were unused when a client lacked a descriptor in this turn.
    unused: Vec<PipeId>,
    /// Sources whose bytes were given up with a pipe in this turn, so that the pair must be, too.
    cut_off: Vec<Id>,
}

impl PipeBooks {
    fn may_open(&self, now: Duration) -> bool {
        let is_rested = self.failed_at.is_none_or(|at| at + PIPE_PAUSE <= now);
        is_rested && !self.is_refused
    }
}

impl PipeBooks {
    /// The gateway is about to open a pipe.
    pub fn check_open(&self, books: &Books, world: &World) {
        let now = world.context.turn_at;
        assert!(!self.is_refused, "a pipe where splicing is refused");
        assert!(self.may_open(now), "a pipe is asked for so soon after a failure");
        assert!(!books.is_paused(world), "a pipe gets the descriptors that clients wait for");
        assert_eq!(world.pipes.unused().count(), 0, "one more pipe although some are unused");
        let open = world.context.pipes_open;
        assert!(open < world.context.plan.limits.pipes_max, "{open} pipes, and one more");
    }

    /// The gateway could not open a pipe.
    pub fn open_failed(&mut self, books: &mut Books, world: &World, error: NetError) {
        match error {
            NetError::NotSupported => self.splice_refused(books),
            _ => self.failed_at = Some(world.context.turn_at),
        }
    }

    /// The kernel does not splice here.
    fn splice_refused(&mut self, books: &mut Books) {
        self.is_refused = true;
        books.saw(Seen::SpliceRefused);
    }

    /// The gateway is about to give a pipe up.
    pub fn check_close(&mut self, books: &mut Books, world: &World, pipe: PipeId) {
        let held = &world.pipes.all[pipe];
        assert!(held.is_open, "{pipe}: a pipe is closed twice");
        let Some(source) = held.source.filter(|_| held.bytes > 0) else { return };
        books.record.saw(Seen::PipeClosedWithBytes);
        let sink = books.accounts.mate_of(world, source).expect("bytes of a pair");
        if sink.reported.lost {
            books.record.saw(Seen::SinkLostWithPipe);
        } else {
            self.cut_off.push(source);
        }
    }

    /// The gateway is about to splice from a socket.
    pub fn check_splice_in(
        &mut self,
        books: &mut Books,
        world: &World,
        id: Id,
        pipe: PipeId,
        bytes_max: usize,
    ) {
        books.check_read(world, id);
        self.wanted_at = world.context.turn_at;
        let held = &world.pipes.all[pipe];
        assert!(held.is_open, "{id}: a splice into a closed pipe");
        assert_eq!(held.bytes, 0, "{id}: a splice into a pipe that holds bytes: {held:?}");
        assert!(bytes_max > 0, "{id}: a splice of nothing");
        assert!(!self.is_refused, "{id}: a splice where they are refused");
        let source = &world.network.connections[id];
        let sink = books.accounts.mate_of(world, id).expect("checked as a read");
        assert!(sink.reported.writable, "{id}: a pipe is filled for a sink that takes nothing");
        assert!(!source.reported.lost, "{id}: a splice from a lost socket");
        assert!(!source.reported.urgent, "{id}: a splice that urgent data stops");
        assert!(books.account(id).way.is_spliced(), "{id}: a splice of a flow that is not bulk");
    }

    /// The gateway is about to splice into a socket.
    pub fn check_splice_out(
        &mut self,
        books: &mut Books,
        world: &World,
        pipe: PipeId,
        id: Id,
        bytes: usize,
    ) {
        let sink = &world.network.connections[id];
        let held = &world.pipes.all[pipe];
        assert!(held.is_open, "{id}: a splice out of a closed pipe");
        assert!(held.bytes > 0, "{id}: a splice out of an empty pipe");
        assert_eq!(bytes as u64, held.bytes, "{id}: the pipe holds another number of bytes");
        let mate = books
            .accounts
            .mate_of(world, id)
            .expect("a splice before both connections are established");
        assert_eq!(mate.pipe, Some(pipe), "{id}: another flow's pipe");
        assert_eq!(held.from, sink.written, "{id}: not the next bytes: {held:?}");
        assert!(!sink.outbound.end_sent, "{id}: bytes behind the end");
        let mut seen = vec![Seen::BytesDelivered];
        if held.filled_in != world.context.turns {
            seen.push(Seen::SplicedOutLater);
            if mate.reported.lost {
                seen.push(Seen::SourceLostWithPipe);
            } else if mate.inbound.end_arrived {
                seen.push(Seen::SourceEndedWithPipe);
            }
        }
        seen.into_iter().for_each(|seen| books.record.saw(seen));
    }

    /// The gateway has spliced from a socket, with `asked` bytes asked for.
    pub fn has_spliced(
        &mut self,
        books: &mut Books,
        world: &World,
        id: Id,
        outcome: Read,
        asked: usize,
    ) {
        let inbound = &world.network.connections[id].inbound;
        match outcome {
            Read::Data(bytes) => {
                books.count_read(world, id, bytes as u64);
                books.note_splice(world, id, bytes as u64, asked as u64, inbound.spliceable());
            }
            Read::Eof => {
                books.accounts.of_mut(id).copies_on();
                if inbound.waiting() > 0 {
                    books.saw(Seen::EndBeforeMark);
                }
            }
            Read::Failed(NetError::NotSupported) => {
                self.splice_refused(books);
                books.accounts.of_mut(id).copies_on();
            }
            Read::WouldBlock | Read::Failed(_) => {}
        }
    }

    /// The gateway has spliced from a pipe.
    pub fn has_spliced_out(&mut self, world: &World, pipe: PipeId) {
        if world.pipes.all[pipe].bytes == 0 {
            self.emptied_at = world.context.turn_at;
        }
    }

    /// The gateway is about to read: it may have to splice instead.
    pub fn check_copies(&mut self, books: &mut Books, world: &World, id: Id) {
        let source = &world.network.connections[id];
        let sink = books.accounts.mate_of(world, id).expect("checked as a read");
        let is_stopped = source.reported.urgent || source.reported.lost || !sink.reported.writable;
        if !books.account(id).way.is_spliced() || is_stopped {
            return;
        }
        let is_refused = self.is_refused;
        let has_unused = world.pipes.unused().next().is_some();
        // That of a client, too, is a reason to wait that long, though not one to insist on.
        let released_at = self.released_at;
        let is_rested = released_at.is_none_or(|at| at + PIPE_PAUSE <= world.context.turn_at);
        let may_open = is_rested && self.may_open(world.context.turn_at);
        let has_room = world.context.pipes_open < world.context.plan.limits.pipes_max;
        let could_splice = !is_refused && (has_unused || (may_open && has_room));
        assert!(!could_splice, "{id}: a bulk flow is copied: {source:?}");
        books.record.saw(Seen::CopiedForWantOfPipes);
        books.accounts.of_mut(id).copies_on();
    }

    /// A client lacked a descriptor, of which every unused pipe has two.
    pub(super) fn check_unused_go(&mut self, world: &World) {
        let unused: Vec<PipeId> = world.pipes.unused().collect();
        self.unused.extend(unused);
        self.released_at = Some(world.context.turn_at);
    }

    /// The gateway is about to wait. Where no flow is bulk, no pipe is kept.
    pub(super) fn check_unused(&self, world: &World) {
        let until = (self.wanted_at + SPARE_PIPES_AGE).max(self.emptied_at) + TICK;
        let unused = world.pipes.unused().count();
        assert!(
            unused == 0 || world.context.turn_at < until,
            "{unused} pipes are kept for no flow"
        );
    }

    /// Between two turns; `lent` pipes are lent to flows.
    pub(super) fn check_all(&mut self, books: &mut Books, world: &World, lent: usize) {
        let open = world.context.pipes_open;
        let unused = world.pipes.unused().count();
        assert_eq!(lent, open - unused, "pipes lent, and pipes that hold bytes");
        assert!(unused <= SPARE_PIPES_MAX, "{unused} pipes are kept unused");
        assert!(!self.is_refused || open == 0, "{open} pipes, and no use for them");
        for source in std::mem::take(&mut self.cut_off) {
            let end = &world.network.connections[source];
            assert!(!end.is_open(), "{source}: its bytes were given up, and it was not: {end:?}");
        }
        for pipe in std::mem::take(&mut self.unused) {
            let is_open = world.pipes.all[pipe].is_open;
            assert!(!is_open, "{pipe}: a pipe keeps the descriptors that clients wait for");
            books.record.saw(Seen::PipeReleased);
        }
    }
}

impl Books {
    /// `bytes` were spliced, of the `asked` ones, and `left` are in the pipe.
    pub(super) fn note_splice(&mut self, world: &World, id: Id, bytes: u64, asked: u64, left: u64) {
        let limits = world.context.plan.limits.pair.splice;
        let nominal = world.context.plan.pipe_slots * PAGE;
        self.record.saw(Seen::Spliced);
        if bytes > nominal {
            self.record.saw(Seen::PipeOverfull);
        } else if left > 0 && bytes < nominal {
            self.record.saw(Seen::PipeFullOfSmallSegments);
        }
        let account = self.accounts.of_mut(id);
        let Way::Spliced { small_splices } = account.way else { return };
        let is_small = bytes < asked && bytes < limits.bytes_min as u64;
        let small_splices = if is_small { small_splices + 1 } else { 0 };
        account.way = Way::Spliced { small_splices };
        if small_splices == limits.small_max {
            account.copies_on();
            self.record.saw(Seen::BackToCopying);
        }
    }

    /// `bytes` were read into the `room` for them.
    pub(super) fn has_copied(&mut self, world: &World, id: Id, bytes: u64, room: u64) {
        let after = world.context.plan.limits.pair.splice.after_reads;
        let way = &mut self.accounts.of_mut(id).way;
        *way = match *way {
            Way::Copied { full_reads } if bytes == room => match full_reads + 1 {
                full_reads if full_reads >= after => Way::Spliced { small_splices: 0 },
                full_reads => Way::Copied { full_reads },
            },
            _ => Way::Copied { full_reads: 0 },
        };
    }

    /// A read found nothing.
    pub(super) fn has_copied_nothing(&mut self, id: Id) {
        if !self.account(id).way.is_spliced() {
            self.accounts.of_mut(id).copies_on();
        }
    }
}
