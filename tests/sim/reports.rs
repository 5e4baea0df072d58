//! Reports of what is new at sockets of one kind, each by an event that may be late: which socket
//! has one under way, and when it is due. What is new is the socket's own matter.

use std::time::Duration;

use etcd_gateway::net::{Event, Readiness};

use crate::connection::bits;
use crate::context::Context;
use crate::faults::Fault;

/// A socket of which events report.
pub trait Reported {
    /// An event of it in the trace.
    const EVENT: &'static str;

    fn token(&self) -> usize;

    fn is_open(&self) -> bool;

    /// What is true of it, and was not reported.
    fn unreported(&self) -> Readiness;

    fn on_reported(&mut self, readiness: Readiness);
}

/// What is true of a stream, and what was reported of it.
#[derive(Clone, Copy, Debug)]
pub struct StreamState {
    pub is_dead: bool,
    pub has_ended: bool,
    /// Bytes have arrived that were not taken.
    pub has_bytes: bool,
    pub is_established: bool,
    pub reported_readable: bool,
    pub reported_writable: bool,
}

impl StreamState {
    /// What is true of it, and was not reported.
    pub fn unreported(self) -> Readiness {
        let StreamState { is_dead, has_ended, has_bytes, .. } = self;
        let is_over = is_dead || has_ended;
        Readiness {
            readable: (is_over || has_bytes) && !self.reported_readable,
            writable: (is_dead || self.is_established) && !self.reported_writable,
            closed: is_over && !self.reported_readable,
            error: is_dead && !self.reported_readable,
            urgent: false,
        }
    }
}

/// The reports that are under way, each with its socket and when it is due.
#[derive(Debug, Default)]
pub struct Reports {
    due: Vec<(usize, Duration)>,
}

impl Reports {
    /// There may be something to report of the socket at this position.
    pub fn touch(&mut self, context: &mut Context, sockets: &[impl Reported], index: usize) {
        let touched = &sockets[index];
        let is_news = touched.unreported() != Readiness::default();
        if touched.is_open() && is_news && self.due.iter().all(|(planned, _)| *planned != index) {
            self.due.push((index, context.now + context.lateness()));
        }
    }

    /// Reports what is due, until there are `most` events.
    pub fn report<T: Reported>(
        &mut self,
        context: &mut Context,
        sockets: &mut [T],
        events: &mut Vec<Event>,
        most: usize,
    ) {
        for (index, due) in std::mem::take(&mut self.due) {
            if due > context.now || events.len() >= most {
                self.due.push((index, due));
                continue;
            }
            let socket = &mut sockets[index];
            let readiness = socket.unreported();
            if !socket.is_open() || readiness == Readiness::default() {
                continue;
            }
            socket.on_reported(readiness);
            context.note(T::EVENT, index, u64::from(bits(readiness)));
            events.push(Event::Socket(socket.token(), readiness));
            if context.strike(Fault::EventTwice) {
                events.push(Event::Socket(socket.token(), readiness));
            }
        }
    }
}

/// An event without a cause; to a socket that is closed it is a stale one.
pub fn hint(
    context: &mut Context,
    sockets: &[impl Reported],
    hint: Readiness,
    events: &mut Vec<Event>,
) {
    if sockets.is_empty() || !context.strike(Fault::EventHint) {
        return;
    }
    let from = sockets.len().saturating_sub(5) as u64;
    let index = from + context.random.below(sockets.len() as u64 - from);
    events.push(Event::Socket(sockets[index as usize].token(), hint));
}
