//! What events report of connections, and when: once for each change, or as often as Linux does;
//! late, twice, in parts, a few at a time.

use etcd_gateway::net::{Event, Readiness};

use super::Network;
use crate::connection::{Id, bits};
use crate::context::Context;
use crate::faults::Fault;
use crate::world::READABLE;

impl Network {
    /// Something changed on the connection: what the gateway does not know is to be reported.
    pub fn touch(&mut self, context: &mut Context, id: Id) {
        let connection = &self.connections[id];
        let is_news = context.plan.is_linux || connection.unreported() != Readiness::default();
        if !connection.is_open() || connection.report_due.is_some() || !is_news {
            return;
        }
        let due = context.now + context.lateness();
        self.connections[id].report_due = Some(due);
        self.changed.push(id);
    }

    /// Reports the changes that are due, in any order, until there are `most` events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>, most: usize) {
        let mut due: Vec<Id> = Vec::new();
        let now = context.now;
        let connections = &self.connections;
        self.changed.retain(|id| {
            let is_due = connections[*id].report_due.is_none_or(|due| due <= now);
            if is_due {
                due.push(*id);
            }
            !is_due
        });
        while !due.is_empty() {
            let index = context.random.below(due.len() as u64) as usize;
            let id = due.swap_remove(index);
            if events.len() >= most {
                self.changed.push(id);
                continue;
            }
            self.report_connection(context, id, events);
        }
    }

    fn report_connection(&mut self, context: &mut Context, id: Id, events: &mut Vec<Event>) {
        let connection = &mut self.connections[id];
        connection.report_due = None;
        if !connection.is_open() {
            return;
        }
        let unreported = connection.unreported();
        let mut readiness = if context.plan.is_linux { connection.readiness() } else { unreported };
        if readiness == Readiness::default() {
            return;
        }
        let reports_bytes_first = connection.reports_bytes_first && unreported.urgent;
        if context.strike(Fault::EventApart) {
            readiness = part_of(context, readiness, unreported);
        } else if reports_bytes_first {
            self.connections[id].reports_bytes_first = false;
            readiness = READABLE;
        }
        self.report_readiness(context, id, readiness, events);
        if context.strike(Fault::EventTwice) {
            self.report_readiness(context, id, readiness, events);
        }
        if self.connections[id].unreported() != Readiness::default() {
            self.touch(context, id);
        }
    }

    fn report_readiness(
        &mut self,
        context: &mut Context,
        id: Id,
        readiness: Readiness,
        events: &mut Vec<Event>,
    ) {
        let connection = &mut self.connections[id];
        connection.looks_in_vain = 0;
        let Readiness { readable, writable, urgent, closed, error } = readiness;
        let reported = &mut connection.reported;
        reported.readable |= readable || urgent || closed || error;
        reported.writable |= writable || error;
        reported.urgent |= urgent;
        reported.closed |= closed;
        reported.error |= error;
        if closed || error {
            reported.half_closed_at.get_or_insert(context.now);
        }
        let token = connection.token.expect("only sockets of the gateway are reported");
        events.push(Event::Socket(token, readiness));
        // The poll that reports it begins the turn.
        connection.said.add(context.turns + 1, readiness);
        context.note("event", id, u64::from(bits(readiness)));
    }

    /// An event without a cause.
    pub fn hint(
        &mut self,
        context: &mut Context,
        id: Id,
        hint: Readiness,
        events: &mut Vec<Event>,
    ) {
        if self.connections[id].is_open() && context.strike(Fault::EventHint) {
            self.report_readiness(context, id, hint, events);
        }
    }
}

/// One of the facts of an event. That the peer sends no more is reported last: from then on what
/// else is true must be known.
fn part_of(context: &mut Context, all: Readiness, unreported: Readiness) -> Readiness {
    let none = Readiness::default();
    let parts = [
        Readiness { readable: all.readable, ..none },
        Readiness { writable: all.writable, ..none },
        Readiness { urgent: all.urgent, ..none },
        Readiness { closed: all.closed && !unreported.urgent && !unreported.error, ..none },
        Readiness { error: all.error, ..none },
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| *part != none).collect();
    context.random.one_of(&parts)
}
