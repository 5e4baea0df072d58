//! Pipes of the kernel, and how an unkind but lawful one moves bytes through them.
//!
//! ```text
//!   socket ──splice_in──► slot, slot, slot, … ──splice_out──► socket
//! ```
//!
//! Each slot takes one segment, as the network card left it: one of small segments is full with a
//! few bytes in it, one of large ones holds more than its nominal size. Bytes are positions of the
//! wire they came from, here as everywhere, so that a pipe is no more than a stretch of one.

use etcd_gateway::net::{NetError, Read, Write};

use crate::agenda::Direction;
use crate::connection::Id;
use crate::context::DESCRIPTORS_PER_PIPE;
use crate::faults::Fault;
use crate::oracle::Seen;
use crate::world::World;

/// Names a pipe for the whole run.
pub type PipeId = usize;

/// What a slot nominally holds.
pub const PAGE: u64 = 4096;

/// As those of a write.
const SPLICE_NOTES: [&str; 3] = ["splice out", "splice out blocks", "splice out fails"];

#[derive(Debug)]
pub struct Pipe {
    pub is_open: bool,
    /// Whose bytes it holds, or held last.
    pub source: Option<Id>,
    /// Where they begin on the source's wire, and how many they are.
    pub from: u64,
    pub bytes: u64,
    /// The turn in which they came.
    pub filled_in: u64,
}

impl World {
    pub fn open_pipe(&mut self) -> Result<PipeId, NetError> {
        self.oracle.operation_begins();
        self.check_open_pipe();
        if self.context.descriptors() + DESCRIPTORS_PER_PIPE > self.context.plan.descriptors_max {
            return Err(self.no_pipe(NetError::Descriptors));
        }
        // A sandbox may refuse the pipe already.
        if self.context.plan.refuses_splice
            && self.context.has_actors
            && self.context.random.chance(300)
        {
            self.context.advance("pipe refused", self.pipes.len(), 0);
            self.oracle.splice_refused();
            return Err(NetError::NotSupported);
        }
        if self.context.strike(Fault::PipeShortage) {
            let error = self.context.random.one_of(&[
                NetError::Descriptors,
                NetError::Memory,
                NetError::Denied,
                NetError::Other(22),
            ]);
            return Err(self.no_pipe(error));
        }
        self.pipes.push(Pipe { is_open: true, source: None, from: 0, bytes: 0, filled_in: 0 });
        let pipe = self.pipes.len() - 1;
        self.context.pipes_open += 1;
        self.context.advance("open pipe", pipe, 0);
        Ok(pipe)
    }

    fn no_pipe(&mut self, error: NetError) -> NetError {
        self.context.advance("no pipe", self.pipes.len(), 0);
        self.oracle.pipe_failed(self.context.turn_at);
        error
    }

    pub fn close_pipe(&mut self, pipe: PipeId) {
        self.oracle.operation_begins();
        self.check_close_pipe(pipe);
        let it = &mut self.pipes[pipe];
        it.is_open = false;
        self.context.pipes_open -= 1;
        let bytes = std::mem::take(&mut it.bytes);
        if let Some(source) = it.source {
            self.connections[source].pipe = None;
        }
        self.context.advance("close pipe", pipe, bytes);
    }

    pub fn splice_in(&mut self, id: Id, pipe: PipeId, bytes_max: usize) -> Read {
        self.operate("splice_in", id);
        self.check_splice_in(id, pipe, bytes_max);
        if self.context.plan.refuses_splice {
            self.context.advance("splice refused", id, 0);
            self.oracle.splice_refused();
            self.copies_on(id);
            return Read::Failed(NetError::NotSupported);
        }
        let (blocks, is_part) =
            (self.context.strike(Fault::SpliceBlocks), self.context.strike(Fault::SplicePart));
        let share = self.context.random.bits();
        let connection = &mut self.connections[id];
        let ready = connection.inbound.spliceable();
        if ready == 0 || (blocks && !connection.is_dead()) {
            return self.splice_nothing(id, ready, blocks, is_part);
        }
        let room = self.context.plan.pipe_slots * connection.segment;
        let bytes = ready.min(room).min(bytes_max as u64);
        let bytes = if is_part { 1 + share % bytes } else { bytes };
        let from = connection.inbound.taken;
        connection.inbound.take(bytes);
        connection.pipe = Some(pipe);
        connection.progress_at = self.context.turn_at;
        let filled_in = self.oracle.turns;
        self.pipes[pipe] = Pipe { is_open: true, source: Some(id), from, bytes, filled_in };
        self.context.advance("splice in", id, bytes);
        self.has_read(id, bytes);
        self.has_spliced(id, bytes, bytes_max as u64, ready - bytes);
        self.touch(id);
        self.move_on(id, Direction::Inbound);
        Read::Data(bytes as usize)
    }

    /// There is nothing to splice, or not now: an error, an end, or an end as it looks from before
    /// an urgent mark.
    fn splice_nothing(&mut self, id: Id, ready: u64, blocks: bool, is_part: bool) -> Read {
        let now = self.context.turn_at;
        let connection = &mut self.connections[id];
        let is_dead = connection.is_dead();
        let is_empty = connection.inbound.waiting() == 0;
        if ready == 0 && (is_dead || connection.inbound.end_arrived) {
            // Told although bytes may wait behind the mark, which a read still gives.
            if let Some(error) = connection.death.as_mut().and_then(|death| death.error.take()) {
                connection.tell_lost(now);
                self.context.advance("splice fails", id, 0);
                return Read::Failed(error);
            }
            if is_empty && connection.told.lost && (blocks || is_part) {
                return if blocks { Read::WouldBlock } else { Read::Failed(NetError::Reset) };
            }
            self.context.advance("splice end", id, 0);
            self.copies_on(id);
            if !is_empty {
                self.oracle.saw(Seen::EndBeforeMark);
            }
            return Read::Eof;
        }
        // Before a mark that was told there are still bytes to read, and no event will follow.
        if ready > 0 || is_empty || !connection.told.urgent {
            connection.told.readable = false;
        }
        self.context.note("splice in blocks", id, 0);
        self.touch(id);
        Read::WouldBlock
    }

    pub fn splice_out(&mut self, pipe: PipeId, id: Id, bytes_max: usize) -> Write {
        self.operate("splice_out", id);
        self.check_splice_out(pipe, id, bytes_max);
        let faults = [Fault::SpliceBlocks, Fault::SplicePart];
        let sent = self.send_some(id, bytes_max, faults, SPLICE_NOTES);
        if let Write::Data(bytes) = sent {
            self.drain_pipe(pipe, bytes as u64);
            self.has_sent(id);
        }
        sent
    }

    /// So many bytes have left the pipe.
    fn drain_pipe(&mut self, pipe: PipeId, bytes: u64) {
        let it = &mut self.pipes[pipe];
        (it.from, it.bytes) = (it.from + bytes, it.bytes - bytes);
        if it.bytes == 0 {
            let source = it.source.take().expect("checked: it holds bytes of somebody");
            self.connections[source].pipe = None;
            self.oracle.pipe_emptied(self.context.turn_at);
        }
    }
}
