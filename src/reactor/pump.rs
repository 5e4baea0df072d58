//! Carries out a pair's steps; the only code that touches payload.
//!
//! Bytes are read into one scratch buffer that all pairs share and written on from there at once.
//! Only what the other side does not take is parked in a buffer of the pool, and a flow with
//! parked bytes does not read, so no flow ever holds more than one buffer and a quiet one none.

use super::Reactor;
use crate::config::{BUFFER_BYTES, FLOW_BUDGET_BYTES, TURN_BUDGET_BYTES};
use crate::net::{Net, NetError, Read, Write};
use crate::pair::Pair;
use crate::pair::buffer::{Buffer, Pool};
use crate::pair::ending::Cause;
use crate::pair::step::{Budget, Fault, Outcome, Side, Step};

impl<N: Net> Reactor<N> {
    /// Pumps every pair that has been put into the queue before this turn's end; those that then
    /// still have work are in the queue of the next turn.
    pub(super) fn pump_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        let share = TURN_BUDGET_BYTES / ready.len().max(1);
        let budget_bytes = share.clamp(BUFFER_BYTES, FLOW_BUDGET_BYTES);
        for key in ready.drain(..) {
            // A pair may have been reaped since it was queued, and its slot used again.
            if self.slots.get(key).is_some_and(|slot| slot.queued) {
                self.pump(key, budget_bytes);
            }
        }
        // The queue of the next turn, and of the two the one with memory already.
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    fn pump(&mut self, key: usize, budget_bytes: usize) {
        let (limits, now) = (&self.limits.pair, self.now);
        let slot = &mut self.slots[key];
        slot.queued = false;
        let mut budget = Budget::new(budget_bytes);
        let mut link = Link {
            net: &mut self.net,
            client: &mut slot.client,
            server: slot.server.as_mut(),
            parked: &mut slot.parked,
            scratch: &mut self.scratch,
            fresh: None,
            pool: &mut self.pool,
        };
        while let Some(step) = slot.pair.next(&budget, limits, now) {
            let outcome = link.perform(step);
            if let (Step::Read(source), Outcome::Moved { bytes, .. }) = (step, outcome) {
                budget.spend(source, bytes);
            }
            slot.pair.apply(step, outcome, limits, now);
            if let Step::Write(source) = step {
                link.keep_remainder(source, outcome, &mut slot.pair);
            }
        }
        link.drop_undeliverable(&slot.pair);
        debug_assert!(link.fresh.is_none(), "bytes left in the scratch buffer");
        if slot.pair.next(&Budget::new(budget_bytes), limits, now).is_some() {
            self.enqueue(key);
        }
        self.settle(key);
    }
}

/// The sockets and buffers of the pair that is being pumped.
struct Link<'a, N: Net> {
    net: &'a mut N,
    client: &'a mut N::Stream,
    server: Option<&'a mut N::Stream>,
    parked: &'a mut [Option<Buffer>; 2],
    scratch: &'a mut [u8],
    /// How many bytes of the scratch buffer wait to be written: those of the last read.
    fresh: Option<usize>,
    pool: &'a mut Pool,
}

impl<N: Net> Link<'_, N> {
    fn perform(&mut self, step: Step) -> Outcome {
        match step {
            Step::Read(side) => self.read(side),
            Step::Write(side) => self.write(side),
            Step::Shut(source) => {
                let (net, sink) = self.socket(source.other());
                net.shutdown_write(sink).map_or_else(failed, |()| Outcome::Done)
            }
            Step::TakeError(side) => {
                let (net, stream) = self.socket(side);
                net.take_error(stream).map_or(Outcome::NoError, failed)
            }
            Step::MeasureUnsent => Outcome::Unsent(Side::BOTH.map(|side| {
                let (net, stream) = self.socket(side);
                net.unsent(stream)
            })),
        }
    }

    fn socket(&mut self, side: Side) -> (&mut N, &mut N::Stream) {
        let stream = match side {
            Side::Client => &mut *self.client,
            Side::Server => self
                .server
                .as_deref_mut()
                .expect("a pair wants a step of the server side only once that connection stands"),
        };
        (self.net, stream)
    }

    fn read(&mut self, source: Side) -> Outcome {
        assert!(self.fresh.is_none(), "a read over bytes that were not written yet");
        let scratch = std::mem::take(&mut self.scratch);
        let (net, stream) = self.socket(source);
        let read = net.read(stream, scratch);
        let room = scratch.len();
        self.scratch = scratch;
        match read {
            Read::Data(bytes) => {
                self.fresh = Some(bytes);
                Outcome::Moved { bytes, short: bytes < room }
            }
            Read::Eof => Outcome::Eof,
            Read::WouldBlock => Outcome::WouldBlock,
            Read::Failed(error) => failed(error),
        }
    }

    fn write(&mut self, source: Side) -> Outcome {
        let parked = self.parked[source.index()].take();
        assert!(parked.is_some() != self.fresh.is_some(), "pending bytes are in one place");
        let scratch = std::mem::take(&mut self.scratch);
        let bytes = match (&parked, self.fresh) {
            (Some(buffer), _) => buffer.bytes(),
            (None, fresh) => &scratch[..fresh.unwrap_or(0)],
        };
        let (net, sink) = self.socket(source.other());
        let outcome = match net.write(sink, bytes) {
            Write::Data(count) => Outcome::Moved { bytes: count, short: count < bytes.len() },
            Write::WouldBlock => Outcome::WouldBlock,
            Write::Failed(error) => failed(error),
        };
        self.scratch = scratch;
        self.parked[source.index()] = parked;
        outcome
    }

    /// What was parked for a side that is lost now waits for nobody.
    fn drop_undeliverable(&mut self, pair: &Pair) {
        for source in Side::BOTH {
            if pair.flow(source).pending() == 0
                && let Some(buffer) = self.parked[source.index()].take()
            {
                self.pool.give_back(buffer);
            }
        }
    }

    /// After a write: what is still pending is parked, what is not needed any more given back.
    fn keep_remainder(&mut self, source: Side, outcome: Outcome, pair: &mut Pair) {
        let written = match outcome {
            Outcome::Moved { bytes, .. } => bytes,
            _ => 0,
        };
        let pending = pair.flow(source).pending();
        let parked = &mut self.parked[source.index()];
        match (self.fresh.take(), parked.take()) {
            (Some(_), _) if pending == 0 => {}
            (Some(fresh), _) => {
                assert_eq!(fresh - written, pending, "the flow counts other bytes than we hold");
                *parked = self.pool.lend(&self.scratch[written..fresh]);
                if parked.is_none() {
                    // The bytes cannot be kept, so neither can the connection.
                    pair.end(Cause::LocalShortage);
                }
            }
            (None, Some(buffer)) if pending == 0 => self.pool.give_back(buffer),
            (None, Some(mut buffer)) => {
                buffer.consume(written);
                assert_eq!(buffer.bytes().len(), pending, "the flow counts other bytes");
                *parked = Some(buffer);
            }
            (None, None) => {}
        }
    }
}

/// What the error means for the pair.
pub(super) fn failed(error: NetError) -> Outcome {
    Outcome::Failed(match error {
        NetError::Reset => Fault::Reset,
        NetError::TimedOut => Fault::TimedOut,
        NetError::HostUnreachable | NetError::NetworkUnreachable => Fault::Unreachable,
        _ => Fault::Other,
    })
}
