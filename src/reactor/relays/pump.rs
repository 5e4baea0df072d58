//! The pump: carries out a pair's steps. No other code touches payload.
//!
//! Bytes are read into one scratch buffer that all pairs share and written from there at once. Only
//! the rest that the other side does not take is parked in a buffer of the pool. Bulk data does not
//! enter the memory of this process: it is spliced through a pipe, which goes back to its pool as
//! soon as it is empty. A flow with parked bytes does not read, so a flow never has more than one
//! buffer or pipe, and an idle one has neither.

use std::time::Instant;

use super::Relays;
use super::accounts::Accounts;
use super::pipes::Pipes;
use crate::arena::Key;
use crate::config::{FLOW_BUDGET_BYTES, FLOW_SHARE_BYTES_MIN, TURN_BUDGET_BYTES};
use crate::net::{Close, Net, NetError, Read, Write};
use crate::reactor::context::Context;
use crate::reactor::faults::connection_fault;
use crate::relay::Pair;
use crate::relay::buffer::{Buffer, Pool};
use crate::relay::ending::Cause;
use crate::relay::step::{Budget, Outcome, Side, Step};

impl<N: Net> Relays<N> {
    /// Pumps every pair that has been put into the queue before this turn's end; those that then
    /// still have work are in the queue of the next turn.
    pub(in crate::reactor) fn pump_ready(&mut self, context: &mut Context<N>) {
        let mut ready = std::mem::take(&mut self.ready);
        let share = TURN_BUDGET_BYTES / ready.len().max(1);
        let budget_bytes = share.clamp(FLOW_SHARE_BYTES_MIN, FLOW_BUDGET_BYTES);
        for key in ready.drain(..) {
            self.pump(context, key, budget_bytes);
        }
        // The queue of the next turn, in the vector that has memory already.
        ready.append(&mut self.ready);
        self.ready = ready;
    }

    fn pump(&mut self, context: &mut Context<N>, key: Key, budget_bytes: usize) {
        let (limits, now) = (&self.limits.pair, context.now);
        let now_ms = context.wheel.now_ms() as u32;
        // A pair may have been reaped since it was queued.
        let Some(slot) = self.slots.get_mut(key).filter(|slot| slot.queued) else { return };
        slot.queued = false;
        let mut budget = Budget::new(budget_bytes);
        let mut link = Link {
            net: &mut context.net,
            sockets: Sockets { client: &mut slot.client, server: slot.server.as_mut() },
            parked: &mut slot.parked,
            scratch: &mut context.scratch,
            fresh: None,
            buffers: &mut self.buffers,
            pipes: &mut self.pipes,
            now,
        };
        let mut next = None;
        while let Some(step) = next.take().or_else(|| slot.pair.next(&budget, limits, now)) {
            let outcome = link.perform(step, &budget, &slot.pair);
            if let (Step::Read(source) | Step::SpliceIn(source), Outcome::Moved { bytes, .. }) =
                (step, outcome)
            {
                budget.spend(source, bytes);
            }
            slot.pair.apply(step, outcome, limits, now);
            match step {
                Step::Write(source) => link.park_remainder(source, outcome, &mut slot.pair),
                Step::SpliceOut(source) => link.give_back_if_empty(source, outcome, &slot.pair),
                _ => {}
            }
            if let (Step::Read(source), Outcome::Moved { .. }) = (step, outcome) {
                // The next step is known: these bytes have to be written first.
                next = Some(Step::Write(source));
            }
        }
        let [client, server] =
            budget.bytes.map(|left| slot.framing.has_content(budget_bytes - left));
        slot.answers.note(client, server, now_ms);
        link.drop_undeliverable(&slot.pair);
        debug_assert!(link.fresh.is_none(), "bytes left in the scratch buffer");
        // The pair has no further step, unless the budget forbids one.
        if budget.is_spent() && slot.pair.next(&Budget::new(budget_bytes), limits, now).is_some() {
            slot.enqueue(key, &mut self.ready);
        }
        if server && slot.awaits_first_byte {
            slot.awaits_first_byte = false;
            note_first_byte(&mut self.accounts, context, key);
        }
        if client && !slot.awaits_answer {
            slot.awaits_answer = true;
            slot.awaits_first_byte = match &mut self.accounts {
                Some(accounts) => accounts.of(key).note_asked(now),
                None => false,
            };
            self.unanswered.add(context, key);
        }
        slot.sync(key, &mut self.doomed, &self.limits.pair, context);
    }
}

/// Notes the server's first bytes, once for each pair.
#[cold]
fn note_first_byte<N: Net>(
    accounts: &mut Option<Box<Accounts>>,
    context: &mut Context<N>,
    key: Key,
) {
    let Some(accounts) = accounts else { return };
    let took = accounts.of(key).note_answered(context.now);
    if let (Some(took), Some(observer)) = (took, &mut context.observer) {
        observer.timings.first_bytes.add(took);
    }
}

/// The place of the bytes that a flow has read and could not write yet.
pub(super) enum Parked<P> {
    /// There are no such bytes.
    Nothing,
    Buffer(Buffer),
    /// In a pipe of the kernel.
    Pipe(P),
}

impl<P> Parked<P> {
    fn take(&mut self) -> Parked<P> {
        std::mem::replace(self, Parked::Nothing)
    }

    /// Gives the buffer or pipe back. Bytes in it are dropped.
    pub(super) fn release<N: Net<Pipe = P>>(
        self,
        net: &mut N,
        buffers: &mut Pool,
        pipes: &mut Pipes<P>,
    ) {
        match self {
            Parked::Nothing => {}
            Parked::Buffer(buffer) => buffers.give_back(buffer),
            Parked::Pipe(pipe) => pipes.discard(net, pipe),
        }
    }
}

/// The sockets, buffers and pipes of the pair that is being pumped.
struct Link<'a, N: Net> {
    net: &'a mut N,
    sockets: Sockets<'a, N>,
    parked: &'a mut [Parked<N::Pipe>; 2],
    scratch: &'a mut [u8],
    /// The number of bytes in the scratch buffer that are still to be written: those of the last
    /// read.
    fresh: Option<usize>,
    buffers: &'a mut Pool,
    pipes: &'a mut Pipes<N::Pipe>,
    now: Instant,
}

/// The sockets of the pair that is being pumped.
struct Sockets<'a, N: Net> {
    client: &'a mut N::Stream,
    server: Option<&'a mut N::Stream>,
}

impl<N: Net> Sockets<'_, N> {
    fn of(&mut self, side: Side) -> &mut N::Stream {
        match side {
            Side::Client => self.client,
            Side::Server => self
                .server
                .as_deref_mut()
                .expect("a pair has a step of the server side only once it is established"),
        }
    }
}

impl<N: Net> Link<'_, N> {
    fn perform(&mut self, step: Step, budget: &Budget, pair: &Pair) -> Outcome {
        match step {
            Step::Read(side) => self.read(side, at_once(budget, side)),
            Step::Write(side) => self.write(side),
            Step::SpliceIn(side) => self.splice_in(side, at_once(budget, side)),
            Step::SpliceOut(side) => self.splice_out(side, pair.flow(side).pending()),
            Step::Shut(source) => {
                let sink = self.sockets.of(source.other());
                self.net.shutdown_write(sink).map_or_else(failed, |()| Outcome::Done)
            }
            Step::TakeError(side) => {
                self.net.take_error(self.sockets.of(side)).map_or(Outcome::NoError, failed)
            }
            Step::MeasureUnsent => {
                Outcome::Unsent(Side::BOTH.map(|side| self.net.unsent(self.sockets.of(side))))
            }
            Step::SetDeferredOptions => {
                self.net.set_deferred_options(self.sockets.of(Side::Server));
                for side in Side::BOTH {
                    self.net.set_close(self.sockets.of(side), Close::Reset);
                }
                Outcome::Done
            }
        }
    }

    fn read(&mut self, source: Side, bytes_max: usize) -> Outcome {
        assert!(self.fresh.is_none(), "a read over bytes that were not written yet");
        let room = bytes_max.min(self.scratch.len());
        let read = self.net.read(self.sockets.of(source), &mut self.scratch[..room]);
        if let Read::Data(bytes) = read {
            self.fresh = Some(bytes);
        }
        has_read(read, room)
    }

    fn write(&mut self, source: Side) -> Outcome {
        let bytes = match (&self.parked[source.index()], self.fresh) {
            (Parked::Buffer(buffer), None) => buffer.bytes(),
            (Parked::Nothing, Some(fresh)) => &self.scratch[..fresh],
            _ => panic!("pending bytes are in one place"),
        };
        has_written(self.net.write(self.sockets.of(source.other()), bytes), bytes.len())
    }

    fn splice_in(&mut self, source: Side, bytes_max: usize) -> Outcome {
        assert!(
            matches!(self.parked[source.index()], Parked::Nothing),
            "a splice behind other bytes"
        );
        let Some(mut pipe) = self.pipes.lend(self.net, self.now) else { return Outcome::NoPipe };
        let read = self.net.splice_in(self.sockets.of(source), &mut pipe, bytes_max);
        if let Read::Data(_) = read {
            self.parked[source.index()] = Parked::Pipe(pipe);
        } else {
            self.pipes.give_back(self.net, pipe);
        }
        if read == Read::Failed(NetError::NotSupported) {
            self.pipes.refuse(self.net);
            return Outcome::NoPipe;
        }
        has_read(read, bytes_max)
    }

    fn splice_out(&mut self, source: Side, bytes: usize) -> Outcome {
        let Parked::Pipe(pipe) = &mut self.parked[source.index()] else {
            panic!("a splice out of no pipe");
        };
        has_written(self.net.splice_out(pipe, self.sockets.of(source.other()), bytes), bytes)
    }

    /// Gives back the buffer or pipe with bytes for a side that is lost by now.
    fn drop_undeliverable(&mut self, pair: &Pair) {
        for source in Side::BOTH {
            let parked = &mut self.parked[source.index()];
            if pair.flow(source).pending() == 0 && !matches!(parked, Parked::Nothing) {
                parked.take().release(self.net, self.buffers, self.pipes);
            }
        }
    }

    /// Gives back the pipe after a splice that has emptied it. A pipe with bytes for a lost side is
    /// left to `drop_undeliverable`.
    fn give_back_if_empty(&mut self, source: Side, outcome: Outcome, pair: &Pair) {
        let is_written = matches!(outcome, Outcome::Moved { .. });
        if is_written
            && pair.flow(source).pending() == 0
            && let Parked::Pipe(pipe) = self.parked[source.index()].take()
        {
            self.pipes.give_back(self.net, pipe);
        }
    }

    /// Parks the bytes that are still pending after a write; gives back a buffer that is empty.
    fn park_remainder(&mut self, source: Side, outcome: Outcome, pair: &mut Pair) {
        let written = match outcome {
            Outcome::Moved { bytes, .. } => bytes,
            _ => 0,
        };
        let pending = pair.flow(source).pending();
        let parked = &mut self.parked[source.index()];
        match self.fresh.take() {
            Some(_) if pending == 0 => {}
            Some(fresh) => {
                assert_eq!(fresh - written, pending, "the flow counts other bytes than we hold");
                match self.buffers.lend(&self.scratch[written..fresh]) {
                    Some(buffer) => *parked = Parked::Buffer(buffer),
                    // The bytes cannot be kept, so neither can the connection.
                    None => pair.end(Cause::LocalShortage),
                }
            }
            None if pending == 0 => parked.take().release(self.net, self.buffers, self.pipes),
            None => {
                let Parked::Buffer(buffer) = parked else { panic!("a write out of no buffer") };
                buffer.consume(written);
                assert_eq!(buffer.bytes().len(), pending, "the flow counts other bytes");
            }
        }
    }
}

/// The number of bytes to ask for at once: the rest of the budget, but not less than
/// [`FLOW_SHARE_BYTES_MIN`], which exceeds the budget a little rather than reading a few bytes.
fn at_once(budget: &Budget, source: Side) -> usize {
    budget.bytes[source.index()].max(FLOW_SHARE_BYTES_MIN)
}

fn has_read(read: Read, room: usize) -> Outcome {
    match read {
        Read::Data(bytes) => Outcome::Moved { bytes, short: bytes < room },
        Read::Eof => Outcome::Eof,
        Read::WouldBlock => Outcome::WouldBlock,
        Read::Failed(error) => failed(error),
    }
}

fn has_written(write: Write, asked: usize) -> Outcome {
    match write {
        Write::Data(bytes) => Outcome::Moved { bytes, short: bytes < asked },
        Write::WouldBlock => Outcome::WouldBlock,
        Write::Failed(error) => failed(error),
    }
}

pub(super) fn failed(error: NetError) -> Outcome {
    Outcome::Failed(connection_fault(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_budget_is_not_read_in_crumbs() {
        let mut budget = Budget::new(FLOW_BUDGET_BYTES);
        assert_eq!(at_once(&budget, Side::Client), FLOW_BUDGET_BYTES);
        budget.spend(Side::Client, FLOW_BUDGET_BYTES - 1);
        assert_eq!(at_once(&budget, Side::Client), FLOW_SHARE_BYTES_MIN);
        assert_eq!(at_once(&budget, Side::Server), FLOW_BUDGET_BYTES);
    }
}
