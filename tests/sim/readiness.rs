//! What the gateway is told of its sockets, and when: once for each change, or as often as Linux
//! does; late, twice, in parts, few at a time, mixed with hints that mean nothing.

use etcd_gateway::net::{Event, Readiness};

use crate::connection::{Id, bits};
use crate::faults::Fault;
use crate::world::World;

const READABLE: Readiness =
    Readiness { readable: true, writable: false, urgent: false, closed: false, error: false };
/// Tokens of the gateway's that no run has: of a probe and of a listener.
const UNUSED: [usize; 2] = [1000 << 3 | 3, 1000 << 3];

impl World {
    /// Something changed on the connection: whatever the gateway does not know is to be told.
    pub fn touch(&mut self, id: Id) {
        let connection = &self.connections[id];
        let is_news = self.context.plan.is_linux || connection.untold() != Readiness::default();
        if !connection.is_open() || connection.news_due.is_some() || !is_news {
            return;
        }
        let due = self.context.now + self.context.lateness();
        self.connections[id].news_due = Some(due);
        self.news.push(id);
    }

    pub fn touch_listener(&mut self, index: usize) {
        let listener = &self.listeners[index];
        let is_news =
            !listener.backlog.is_empty() && (self.context.plan.is_linux || !listener.is_told);
        let is_planned = self.listener_news.iter().any(|(planned, _)| *planned == index);
        if listener.is_open && is_news && !is_planned {
            let due = self.context.now + self.context.lateness();
            self.listener_news.push((index, due));
        }
    }

    /// Hands out what there is to tell.
    pub fn tell(&mut self, events: &mut Vec<Event>) {
        let most = if self.context.strike(Fault::PollFew) { 1 } else { usize::MAX };
        self.tell_listeners(events, most);
        let mut due: Vec<Id> = Vec::new();
        let now = self.context.now;
        let connections = &self.connections;
        self.news.retain(|id| {
            let is_due = connections[*id].news_due.is_none_or(|due| due <= now);
            if is_due {
                due.push(*id);
            }
            !is_due
        });
        while !due.is_empty() {
            let index = self.context.random.below(due.len() as u64) as usize;
            let id = due.swap_remove(index);
            if events.len() >= most {
                self.news.push(id);
                continue;
            }
            self.tell_connection(id, events);
        }
        self.tell_exchanges(events, most);
        let reloads = std::mem::take(&mut self.reloads_untold);
        events.extend((0..reloads).map(|_| Event::Reload));
        for _ in 0..std::mem::take(&mut self.terminations_untold) {
            self.oracle.terminations += 1;
            let index = self.context.random.below(events.len() as u64 + 1) as usize;
            events.insert(index, Event::Terminate);
        }
        if !events.is_empty() {
            self.tell_nonsense(events);
        }
    }

    fn tell_listeners(&mut self, events: &mut Vec<Event>, most: usize) {
        let now = self.context.now;
        while events.len() < most
            && let Some(position) = self.listener_news.iter().position(|(_, due)| *due <= now)
        {
            let (index, _) = self.listener_news.swap_remove(position);
            let copies = 1 + usize::from(self.context.strike(Fault::EventTwice));
            for _ in 0..copies {
                self.tell_listener(index, events);
            }
        }
    }

    fn tell_exchanges(&mut self, events: &mut Vec<Event>, most: usize) {
        let now = self.context.now;
        let exchanges = &self.exchanges;
        let is_due = |index: &usize| exchanges[*index].news_due.is_none_or(|due| due <= now);
        let (due, later) = std::mem::take(&mut self.exchange_news).into_iter().partition(is_due);
        self.exchange_news = later;
        let due: Vec<usize> = due;
        for exchange in due {
            if events.len() >= most {
                self.exchange_news.push(exchange);
                continue;
            }
            let Some((token, readiness)) = self.tell_exchange(exchange) else { continue };
            self.context.note("event of an answer", exchange, u64::from(bits(readiness)));
            events.push(Event::Socket(token, readiness));
            if self.context.strike(Fault::EventTwice) {
                events.push(Event::Socket(token, readiness));
            }
        }
    }

    fn tell_listener(&mut self, index: usize, events: &mut Vec<Event>) {
        let listener = &mut self.listeners[index];
        if listener.is_open {
            listener.is_told = true;
            events.push(Event::Socket(listener.token, READABLE));
        }
    }

    fn tell_connection(&mut self, id: Id, events: &mut Vec<Event>) {
        let connection = &mut self.connections[id];
        connection.news_due = None;
        if !connection.is_open() {
            return;
        }
        let untold = connection.untold();
        let mut readiness =
            if self.context.plan.is_linux { connection.readiness() } else { untold };
        if readiness == Readiness::default() {
            return;
        }
        let tells_bytes_first = connection.tells_bytes_first && untold.urgent;
        if self.context.strike(Fault::EventApart) {
            readiness = self.part_of(readiness, untold);
        } else if tells_bytes_first {
            self.connections[id].tells_bytes_first = false;
            readiness = READABLE;
        }
        self.tell_readiness(id, readiness, events);
        if self.context.strike(Fault::EventTwice) {
            self.tell_readiness(id, readiness, events);
        }
        if self.connections[id].untold() != Readiness::default() {
            self.touch(id);
        }
    }

    /// One of the things that the event says. That nothing more comes is told last: from then on
    /// what else is true must be known.
    fn part_of(&mut self, all: Readiness, untold: Readiness) -> Readiness {
        let none = Readiness::default();
        let parts = [
            Readiness { readable: all.readable, ..none },
            Readiness { writable: all.writable, ..none },
            Readiness { urgent: all.urgent, ..none },
            Readiness { closed: all.closed && !untold.urgent && !untold.error, ..none },
            Readiness { error: all.error, ..none },
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| *part != none).collect();
        self.context.random.one_of(&parts)
    }

    fn tell_readiness(&mut self, id: Id, readiness: Readiness, events: &mut Vec<Event>) {
        let now = self.context.now;
        let connection = &mut self.connections[id];
        connection.looks_in_vain = 0;
        let Readiness { readable, writable, urgent, closed, error } = readiness;
        let told = &mut connection.told;
        told.readable |= readable || urgent || closed || error;
        told.writable |= writable || error;
        told.urgent |= urgent;
        told.closed |= closed;
        told.error |= error;
        if closed || error {
            told.half_closed_at.get_or_insert(now);
        }
        let token = connection.token.expect("only sockets of the gateway are told of");
        events.push(Event::Socket(token, readiness));
        // The poll that tells it begins the turn.
        connection.said.add(self.oracle.turns + 1, readiness);
        self.context.note("event", id, u64::from(bits(readiness)));
    }

    /// Hints without a cause, and events for sockets that are gone or never were.
    fn tell_nonsense(&mut self, events: &mut Vec<Event>) {
        if self.connections.is_empty() {
            return;
        }
        let id = self.context.random.below(self.connections.len() as u64) as usize;
        let writable = Readiness { writable: true, ..Readiness::default() };
        let both = Readiness { writable: true, ..READABLE };
        let hint = self.context.random.one_of(&[READABLE, writable, both]);
        if self.connections[id].is_open() && self.context.strike(Fault::EventHint) {
            self.tell_readiness(id, hint, events);
        }
        let listener = self.context.random.below(self.listeners.len() as u64) as usize;
        if self.context.strike(Fault::EventHint) {
            self.tell_listener(listener, events);
        }
        if !self.exchanges.is_empty() && self.context.strike(Fault::EventHint) {
            // To one that is closed it is a stale one.
            let from = self.exchanges.len().saturating_sub(5) as u64;
            let index = from + self.context.random.below(self.exchanges.len() as u64 - from);
            let token = self.exchanges[index as usize].token;
            events.push(Event::Socket(token, both));
        }
        // Asked for what it does not have, it goes on.
        if self.context.strike(Fault::EventHint) {
            events.push(Event::Reload);
        }
        if self.context.strike(Fault::EventStale) {
            let lie = Readiness { closed: true, error: true, ..hint };
            let connection = &self.connections[id];
            let closed = connection.token.filter(|_| connection.closed.is_some());
            let listener = &self.listeners[listener];
            let gone = Some(listener.token).filter(|_| !listener.is_open);
            let mut tokens: Vec<usize> = [closed, gone].into_iter().flatten().collect();
            tokens.extend(UNUSED);
            let token = self.context.random.one_of(&tokens);
            events.push(Event::Socket(token, lie));
        }
    }
}
