//! The gateway's listening sockets: backlogs, and the events that report them.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_gateway::net::{Event, NetError};

use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::world::READABLE;

#[derive(Debug, Default)]
pub struct Listener {
    pub token: usize,
    pub is_open: bool,
    /// How often it was opened.
    pub openings: u32,
    pub backlog: VecDeque<Id>,
    pub accepted: usize,
    /// An event reported a client that waits, and the gateway has not seen an empty backlog since.
    pub is_reported: bool,
    /// When accepting last blocked.
    pub blocked_at: Option<Duration>,
}

#[derive(Debug, Default)]
pub struct Listeners {
    pub all: Vec<Listener>,
    /// Those with a client to report, and from when on.
    changed: Vec<(usize, Duration)>,
}

/// A look into a backlog that found a client.
pub struct Taken {
    pub id: Id,
    /// The client has gone already.
    pub is_aborted: bool,
}

impl Listeners {
    pub fn open(
        &mut self,
        context: &Context,
        index: usize,
        port: u16,
        token: usize,
    ) -> Result<(), NetError> {
        if let Some((late, error, comes_at)) = context.plan.late_port
            && late == port
            && context.now < comes_at
        {
            return Err(error);
        }
        while self.all.len() <= index {
            self.all.push(Listener::default());
        }
        let openings = self.all[index].openings + 1;
        self.all[index] = Listener { token, is_open: true, openings, ..Listener::default() };
        Ok(())
    }

    /// A client waits.
    pub fn queue(&mut self, context: &mut Context, index: usize, id: Id) {
        self.all[index].backlog.push_back(id);
        self.touch(context, index);
    }

    fn touch(&mut self, context: &mut Context, index: usize) {
        let listener = &self.all[index];
        let is_news =
            !listener.backlog.is_empty() && (context.plan.is_linux || !listener.is_reported);
        let is_planned = self.changed.iter().any(|(planned, _)| *planned == index);
        if listener.is_open && is_news && !is_planned {
            let due = context.now + context.lateness();
            self.changed.push((index, due));
        }
    }

    /// The next client; `None` where accepting blocks. An error leaves the backlog as it is.
    pub fn accept(
        &mut self,
        context: &mut Context,
        index: usize,
    ) -> Result<Option<Taken>, NetError> {
        if !context.has_descriptor() {
            return Err(NetError::Descriptors);
        }
        if context.strike(Fault::AcceptShortage) {
            return Err(context.random.one_of(&[
                NetError::Descriptors,
                NetError::Memory,
                NetError::Denied,
                NetError::Other(22),
            ]));
        }
        let blocks = context.strike(Fault::AcceptBlocks);
        let is_aborted = context.strike(Fault::AcceptAborted);
        let listener = &mut self.all[index];
        if listener.backlog.is_empty() || blocks {
            listener.blocked_at = Some(context.turn_at);
            listener.is_reported = false;
            self.touch(context, index);
            return Ok(None);
        }
        let id = listener.backlog.pop_front().expect("it is not empty");
        context.progress += 1;
        listener.accepted += usize::from(!is_aborted);
        Ok(Some(Taken { id, is_aborted }))
    }

    /// Stops listening. Gives the clients that still wait.
    pub fn close(&mut self, index: usize) -> VecDeque<Id> {
        let listener = &mut self.all[index];
        listener.is_open = false;
        std::mem::take(&mut listener.backlog)
    }

    /// Reports the backlogs that are due, until there are `most` events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>, most: usize) {
        while events.len() < most
            && let Some(position) = self.changed.iter().position(|(_, due)| *due <= context.now)
        {
            let (index, _) = self.changed.swap_remove(position);
            let copies = 1 + usize::from(context.strike(Fault::EventTwice));
            (0..copies).for_each(|_| self.report_listener(index, events));
        }
    }

    fn report_listener(&mut self, index: usize, events: &mut Vec<Event>) {
        let listener = &mut self.all[index];
        if listener.is_open {
            listener.is_reported = true;
            events.push(Event::Socket(listener.token, READABLE));
        }
    }

    /// An event without a cause.
    pub fn hint(&mut self, context: &mut Context, index: usize, events: &mut Vec<Event>) {
        if context.strike(Fault::EventHint) {
            self.report_listener(index, events);
        }
    }
}
