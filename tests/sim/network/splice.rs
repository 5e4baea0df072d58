//! What the gateway does to a connection by splice(2): bytes go from a socket into a pipe, and out
//! of a pipe into a socket, without passing through its memory.

use etcd_gateway::net::{NetError, Read, Write};

use super::Network;
use crate::agenda::Direction;
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::pipes::PipeId;

/// How the trace says that bytes of a pipe were sent, were not, and never will be.
const SPLICE_NOTES: [&str; 3] = ["splice out", "splice out blocks", "splice out fails"];

impl Network {
    /// Takes at most `bytes_max` bytes for the pipe, as many as its slots hold.
    pub fn splice_in(
        &mut self,
        context: &mut Context,
        id: Id,
        pipe: PipeId,
        bytes_max: usize,
    ) -> Read {
        if context.plan.refuses_splice {
            context.advance("splice refused", id, 0);
            return Read::Failed(NetError::NotSupported);
        }
        let (blocks, is_part) =
            (context.strike(Fault::SpliceBlocks), context.strike(Fault::SplicePart));
        let share = context.random.bits();
        let connection = &mut self.connections[id];
        let ready = connection.inbound.spliceable();
        if ready == 0 || (blocks && !connection.is_dead()) {
            return self.splice_nothing(context, id, ready, blocks, is_part);
        }
        let room = context.plan.pipe_slots * connection.segment;
        let bytes = ready.min(room).min(bytes_max as u64);
        let bytes = if is_part { 1 + share % bytes } else { bytes };
        connection.inbound.take(bytes);
        connection.pipe = Some(pipe);
        connection.progress_at = context.turn_at;
        context.advance("splice in", id, bytes);
        self.touch(context, id);
        self.move_on(context, id, Direction::Inbound);
        Read::Data(bytes as usize)
    }

    /// There is nothing to splice, or not now: an error, an end, or an end as it looks from before
    /// an urgent mark.
    fn splice_nothing(
        &mut self,
        context: &mut Context,
        id: Id,
        ready: u64,
        blocks: bool,
        is_part: bool,
    ) -> Read {
        let connection = &mut self.connections[id];
        let is_dead = connection.is_dead();
        let is_empty = connection.inbound.waiting() == 0;
        if ready == 0 && (is_dead || connection.inbound.end_arrived) {
            // Reported although bytes may wait behind the mark, which a read still gives.
            if let Some(error) = connection.death.as_mut().and_then(|death| death.error.take()) {
                connection.show_lost(context.turn_at);
                context.advance("splice fails", id, 0);
                return Read::Failed(error);
            }
            if is_empty && connection.reported.lost && (blocks || is_part) {
                return if blocks { Read::WouldBlock } else { Read::Failed(NetError::Reset) };
            }
            context.advance("splice end", id, 0);
            return Read::Eof;
        }
        // Before a mark that was reported there are still bytes to read, and no event will follow.
        if ready > 0 || is_empty || !connection.reported.urgent {
            connection.reported.readable = false;
        }
        context.note("splice in blocks", id, 0);
        self.touch(context, id);
        Read::WouldBlock
    }

    /// Puts the bytes of a pipe into the send queue, as many as it takes.
    pub fn splice_out(&mut self, context: &mut Context, id: Id, bytes_max: usize) -> Write {
        let faults = [Fault::SpliceBlocks, Fault::SplicePart];
        let sent = self.send_some(context, id, bytes_max, faults, SPLICE_NOTES);
        if let Write::Data(_) = sent {
            self.has_sent(context, id);
        }
        sent
    }
}
