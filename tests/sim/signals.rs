//! The signals that the process gets: requests to end, and to read its configuration again.

use etcd_gateway::net::{Event, Signal};

use crate::context::Context;

#[derive(Debug, Default)]
pub struct Signals {
    terminations_pending: usize,
    reloads_pending: usize,
    /// Requests to end that the gateway has received.
    pub terminations: usize,
}

impl Signals {
    /// The process is asked to end.
    pub fn terminate(&mut self, context: &mut Context) {
        context.note("terminate", 0, 0);
        self.terminations_pending += 1;
    }

    /// The process is asked to read its configuration again.
    pub fn reload(&mut self) {
        self.reloads_pending += 1;
    }

    /// Reports all of them, requests to end at any place among the events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>) {
        let reloads = std::mem::take(&mut self.reloads_pending);
        events.extend((0..reloads).map(|_| Event::Signal(Signal::HangUp)));
        for _ in 0..std::mem::take(&mut self.terminations_pending) {
            self.terminations += 1;
            let index = context.random.below(events.len() as u64 + 1) as usize;
            events.insert(index, Event::Signal(Signal::Terminate));
        }
    }
}
