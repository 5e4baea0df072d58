//! Pipes of the kernel, and what they hold.
//!
//! ```text
//!   socket ──splice_in──► slot, slot, slot, … ──splice_out──► socket
//! ```
//!
//! Each slot takes one segment, as the network card left it: one of small segments is full with a
//! few bytes in it, one of large ones holds more than its nominal size. Bytes are positions of the
//! wire they came from, here as everywhere, so that a pipe is no more than a stretch of one.

use etcd_gateway::net::NetError;

use crate::connection::Id;
use crate::context::{Context, DESCRIPTORS_PER_PIPE};
use crate::faults::Fault;

/// Names a pipe for the whole run.
pub type PipeId = usize;

/// The nominal size of a slot.
pub const PAGE: u64 = 4096;

#[derive(Debug)]
pub struct Pipe {
    pub is_open: bool,
    /// The connection whose bytes it holds, or held last.
    pub source: Option<Id>,
    /// Where they begin on the source's wire, and how many they are.
    pub from: u64,
    pub bytes: u64,
    /// The turn in which they came.
    pub filled_in: u64,
}

#[derive(Debug, Default)]
pub struct Pipes {
    pub all: Vec<Pipe>,
}

impl Pipes {
    pub fn open(&mut self, context: &mut Context) -> Result<PipeId, NetError> {
        let pipe = self.all.len();
        if context.descriptors() + DESCRIPTORS_PER_PIPE > context.plan.descriptors_max {
            context.advance("no pipe", pipe, 0);
            return Err(NetError::Descriptors);
        }
        // A sandbox may refuse the pipe already.
        if context.plan.refuses_splice && context.has_actors && context.random.chance(300) {
            context.advance("pipe refused", pipe, 0);
            return Err(NetError::NotSupported);
        }
        if context.strike(Fault::PipeShortage) {
            let error = context.random.one_of(&[
                NetError::Descriptors,
                NetError::Memory,
                NetError::Denied,
                NetError::Other(22),
            ]);
            context.advance("no pipe", pipe, 0);
            return Err(error);
        }
        self.all.push(Pipe { is_open: true, source: None, from: 0, bytes: 0, filled_in: 0 });
        context.pipes_open += 1;
        context.advance("open pipe", pipe, 0);
        Ok(pipe)
    }

    /// Gives the pipe up, and what it still holds. Returns the connection whose bytes it held last.
    pub fn close(&mut self, context: &mut Context, pipe: PipeId) -> Option<Id> {
        let closed = &mut self.all[pipe];
        closed.is_open = false;
        let bytes = std::mem::take(&mut closed.bytes);
        context.pipes_open -= 1;
        context.advance("close pipe", pipe, bytes);
        closed.source
    }

    /// Bytes of the connection come in, which begin there on its wire.
    pub fn fill(&mut self, context: &Context, pipe: PipeId, source: Id, from: u64, bytes: u64) {
        let filled_in = context.turns;
        self.all[pipe] = Pipe { is_open: true, source: Some(source), from, bytes, filled_in };
    }

    /// Bytes go out. Returns the connection they came from once none are left.
    pub fn drain(&mut self, pipe: PipeId, bytes: u64) -> Option<Id> {
        let drained = &mut self.all[pipe];
        (drained.from, drained.bytes) = (drained.from + bytes, drained.bytes - bytes);
        let source = drained.source.filter(|_| drained.bytes == 0);
        if drained.bytes == 0 {
            drained.source = None;
        }
        source
    }

    /// Those that are open and hold nothing.
    pub fn unused(&self) -> impl Iterator<Item = PipeId> {
        let all = self.all.iter().enumerate();
        all.filter(|(_, pipe)| pipe.is_open && pipe.bytes == 0).map(|(index, _)| index)
    }
}
