//! One direction of a pair: what to do next with its bytes. Pure; counts bytes, never sees them.
//!
//! ```text
//!   source ──read──► pending ──write──► sink
//!
//!   Open ──end of file──► Ended ──last byte written, FIN passed on──► Finished
//!     │                     │
//!     └──── sink is lost ───┴──► Broken
//! ```
//!
//! A flow that holds pending bytes does not read: that is the backpressure, and why one fixed
//! buffer is enough. It reads only when the sink can take bytes, so that what is read can usually
//! be written straight from the scratch buffer.

/// What a flow wants done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowStep {
    /// Read from the source.
    Read,
    /// Write pending bytes to the sink.
    Write,
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
    /// The sink is lost. Nothing is pending, nothing is read any more.
    Broken,
}

/// One direction of a pair.
///
/// Always holds: `delivered + pending` = bytes read from the source and not discarded;
/// `Finished` and `Broken` have nothing pending.
#[derive(Clone, Debug)]
pub struct Flow {
    state: FlowState,
    pending: usize,
    delivered: u64,
}

impl Flow {
    /// A flow that has carried nothing yet.
    pub fn new() -> Flow {
        Flow { state: FlowState::Open, pending: 0, delivered: 0 }
    }

    /// How far it has come.
    pub fn state(&self) -> FlowState {
        self.state
    }

    /// Bytes read from the source and not yet written to the sink.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Bytes written to the sink so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Whether the source's end has been seen and every byte before it was written.
    pub fn is_drained(&self) -> bool {
        self.pending == 0 && matches!(self.state, FlowState::Ended | FlowState::Finished)
    }

    /// What to do next, given what is known of the two sockets and whether the flow may read.
    pub fn next(
        &self,
        source_readable: bool,
        sink_writable: bool,
        may_read: bool,
    ) -> Option<FlowStep> {
        match self.state {
            FlowState::Open | FlowState::Ended if self.pending > 0 => {
                sink_writable.then_some(FlowStep::Write)
            }
            FlowState::Open if source_readable && sink_writable && may_read => Some(FlowStep::Read),
            FlowState::Ended => Some(FlowStep::Shut),
            FlowState::Open | FlowState::Finished | FlowState::Broken => None,
        }
    }

    /// So many bytes were read, at least one.
    pub fn has_read(&mut self, bytes: usize) {
        assert_eq!(self.state, FlowState::Open, "read after the end");
        assert_eq!(self.pending, 0, "read while bytes were pending");
        assert!(bytes > 0, "a read of nothing is an end of file, not data");
        self.pending = bytes;
    }

    /// So many of the pending bytes were written, at least one.
    pub fn has_written(&mut self, bytes: usize) {
        assert!(bytes > 0, "a write of nothing is no progress");
        assert!(bytes <= self.pending, "wrote more than was read");
        self.pending -= bytes;
        self.delivered += bytes as u64;
        self.check();
    }

    /// The source sends no more: its end of file was read, or it is lost.
    pub fn has_ended(&mut self) {
        assert_eq!(self.state, FlowState::Open, "ended twice");
        self.state = FlowState::Ended;
    }

    /// The end was passed on.
    pub fn has_shut(&mut self) {
        assert!(self.is_drained(), "an end before the last byte");
        self.state = FlowState::Finished;
        self.check();
    }

    /// The sink is lost: what is pending cannot be delivered any more.
    pub fn break_off(&mut self) {
        self.state = FlowState::Broken;
        self.pending = 0;
        self.check();
    }

    fn check(&self) {
        if matches!(self.state, FlowState::Finished | FlowState::Broken) {
            debug_assert_eq!(self.pending, 0, "bytes pending in a flow that is over");
        }
    }
}

impl Default for Flow {
    fn default() -> Flow {
        Flow::new()
    }
}
