//! Connections of health checks, each to the server behind one endpoint: what the gateway does to
//! them, what that server and the network do, and what events report. Requests and answers are
//! bytes of HTTP here, unlike those of pairs; what is said is in `members.rs`.

use std::time::Duration;

use etcd_gateway::net::{Dial, Event, NetError, Read, Readiness, Write};

use crate::agenda::Happening;
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::hosts::{Outage, Place};
use crate::members::{Answer, Asked, Members, read_request};
use crate::reports::{self, Reported, Reports, StreamState};

/// Connections of checks have ids from here on, below those of streams to name servers.
pub const VISITS: Id = 1 << (Id::BITS - 2);

const MICROSECOND: Duration = Duration::from_micros(1);

#[derive(Debug)]
pub struct Visit {
    pub token: usize,
    pub endpoint: usize,
    pub is_open: bool,
    pub is_established: bool,
    /// The gateway knows that it is.
    pub is_known: bool,
    pub death: Option<NetError>,
    /// Bytes of requests so far, and of the one that is not answered yet.
    pub written: u64,
    request: Vec<u8>,
    /// What the server was asked, until its answer was read.
    pub asked: Option<Asked>,
    /// The answer to that, or the last one.
    pub answer: Option<Answer>,
    arrived: usize,
    pub taken: usize,
    /// The connection ends once so much of the answer has arrived; whether by a reset.
    breaks_at: Option<(usize, bool)>,
    pub has_ended: bool,
    /// The server is gone, and no packet says so.
    is_mute: bool,
    /// The last write did not take all, and an event is to say when to go on.
    pub is_blocked: bool,
    reported_readable: bool,
    reported_writable: bool,
}

impl Visit {
    fn new(token: usize, endpoint: usize) -> Visit {
        Visit {
            token,
            endpoint,
            is_open: true,
            is_established: false,
            is_known: false,
            death: None,
            written: 0,
            request: Vec::new(),
            asked: None,
            answer: None,
            arrived: 0,
            taken: 0,
            breaks_at: None,
            has_ended: false,
            is_mute: false,
            is_blocked: false,
            reported_readable: false,
            reported_writable: false,
        }
    }

    /// Whether the answer was read to its end.
    pub fn is_answered(&self) -> bool {
        let whole = self.answer.as_ref().filter(|_| self.asked.is_some());
        whole.is_some_and(|answer| {
            self.taken == answer.bytes.len() && !answer.is_until_end && self.taken > 0
        })
    }
}

impl Reported for Visit {
    const EVENT: &'static str = "event of a visit";

    fn token(&self) -> usize {
        self.token
    }

    fn is_open(&self) -> bool {
        self.is_open
    }

    fn unreported(&self) -> Readiness {
        StreamState {
            is_dead: self.death.is_some(),
            has_ended: self.has_ended,
            has_bytes: self.arrived > self.taken,
            is_established: self.is_established,
            reported_readable: self.reported_readable,
            reported_writable: self.reported_writable,
        }
        .unreported()
    }

    fn on_reported(&mut self, readiness: Readiness) {
        self.reported_readable |= readiness.readable;
        self.reported_writable |= readiness.writable;
    }
}

#[derive(Debug, Default)]
pub struct Visits {
    pub all: Vec<Visit>,
    /// When each request was written to its end, and to which endpoint.
    pub requests: Vec<(Duration, usize)>,
    reports: Reports,
}

impl Visits {
    pub fn of(&self, id: Id) -> &Visit {
        let visit = &self.all[id - VISITS];
        assert!(visit.is_open, "{id}: an operation on a socket that was given up");
        visit
    }

    fn of_mut(&mut self, id: Id) -> &mut Visit {
        let visit = &mut self.all[id - VISITS];
        assert!(visit.is_open, "{id}: an operation on a socket that was given up");
        visit
    }

    /// Those that the gateway holds.
    pub fn open_ones(&self) -> impl Iterator<Item = &Visit> {
        self.all.iter().filter(|visit| visit.is_open)
    }

    /// The gateway begins a connection.
    pub fn dial(&mut self, context: &mut Context, endpoint: usize, token: usize) -> Id {
        self.all.push(Visit::new(token, endpoint));
        context.sockets_open += 1;
        let index = self.all.len() - 1;
        context.advance("visit", endpoint, index as u64);
        let latency = context.name_latency();
        if !context.strike(Fault::DialSilent) {
            context.plan_in(2 * latency, Happening::Visit(index));
        }
        VISITS + index
    }

    pub fn dial_result(&mut self, context: &mut Context, id: Id) -> Dial {
        let visit = self.of_mut(id);
        assert!(!visit.is_known, "asked again how a dial went that is established");
        let outcome = match visit.death {
            Some(error) => Dial::Failed(error),
            None if visit.is_established => Dial::Connected,
            None => Dial::Pending,
        };
        visit.is_known = outcome == Dial::Connected;
        if outcome == Dial::Pending {
            (visit.reported_readable, visit.reported_writable) = (false, false);
        }
        context.progress += 1;
        outcome
    }

    /// The gateway writes a part of a request.
    pub fn write(&mut self, context: &mut Context, id: Id, bytes: &[u8]) -> Write {
        let trickles = context.strike(Fault::CheckTrickles);
        let blocks = trickles && context.random.chance(300);
        let share = context.random.bits() as usize;
        let visit = self.of_mut(id);
        assert!(visit.is_known, "{id}: a write before the connection is established");
        assert!(!bytes.is_empty(), "{id}: a write of nothing");
        if let Some(error) = visit.death {
            context.advance("request fails", id - VISITS, 0);
            return Write::Failed(error);
        }
        visit.is_blocked = true;
        if blocks {
            visit.reported_writable = false;
            self.touch(context, id - VISITS);
            return Write::WouldBlock;
        }
        let count = if trickles { 1 + share % bytes.len() } else { bytes.len() };
        assert!(visit.asked.is_none(), "{id}: a request before the answer to the one before");
        visit.request.extend(&bytes[..count]);
        visit.written += count as u64;
        visit.is_blocked = count < bytes.len();
        visit.reported_writable &= !visit.is_blocked;
        context.advance("request", id - VISITS, count as u64);
        let visit = self.of_mut(id);
        if let Some(asked) = read_request(&visit.request) {
            visit.request.clear();
            visit.asked = Some(asked);
            let endpoint = visit.endpoint;
            self.requests.push((context.turn_at, endpoint));
            let visit = self.of_mut(id);
            (visit.answer, visit.arrived, visit.taken) = (None, 0, 0);
            let latency = context.name_latency();
            context.plan_in(latency, Happening::Asked(id - VISITS));
        }
        self.touch(context, id - VISITS);
        Write::Data(count)
    }

    /// The gateway reads a part of an answer.
    pub fn read(&mut self, context: &mut Context, id: Id, buffer: &mut [u8]) -> Read {
        let trickles = context.strike(Fault::CheckTrickles);
        let share = context.random.bits() as usize;
        let visit = self.of_mut(id);
        assert!(visit.is_known, "{id}: a read before the connection is established");
        let waiting = visit.arrived - visit.taken;
        if waiting == 0 {
            return match (visit.death, visit.has_ended) {
                (Some(error), _) => Read::Failed(error),
                (None, true) => Read::Eof,
                (None, false) => {
                    visit.reported_readable = false;
                    Read::WouldBlock
                }
            };
        }
        let most = waiting.min(buffer.len());
        let count = if trickles { 1 + share % most } else { most };
        let answer = visit.answer.as_ref().expect("bytes of an answer");
        buffer[..count].copy_from_slice(&answer.bytes[visit.taken..visit.taken + count]);
        visit.taken += count;
        context.advance("answer read", id - VISITS, count as u64);
        self.touch(context, id - VISITS);
        Read::Data(count)
    }

    /// The answer was read, and the next request may come.
    pub fn answer_is_over(&mut self, id: Id) {
        self.all[id - VISITS].asked = None;
    }

    pub fn close(&mut self, context: &mut Context, id: Id) {
        context.advance("end of a visit", id - VISITS, 0);
        self.of_mut(id).is_open = false;
        context.sockets_open -= 1;
    }

    /// The dial is decided, by the state of its host at this moment.
    pub fn decide(&mut self, context: &mut Context, index: usize, place: Place) {
        let fails = context.strike(Fault::DialFailsLater);
        let error = context.random.one_of(&[NetError::Reset, NetError::TimedOut]);
        let visit = &mut self.all[index];
        if !visit.is_open {
            return;
        }
        match place {
            _ if fails => visit.death = Some(error),
            Place::Up => visit.is_established = true,
            Place::Refuses => visit.death = Some(NetError::Refused),
            Place::Unreachable => visit.death = Some(NetError::HostUnreachable),
            Place::NoRoute => visit.death = Some(NetError::NetworkUnreachable),
            Place::Silent => {
                return context.plan_in(Duration::from_millis(100), Happening::Visit(index));
            }
        }
        visit.reported_readable = false;
        self.touch(context, index);
    }

    /// The server of an endpoint goes on, and finds what it was asked meanwhile.
    pub fn thaw(&mut self, context: &mut Context, endpoint: usize) {
        for (index, visit) in self.all.iter().enumerate() {
            if visit.is_open && visit.endpoint == endpoint && visit.asked.is_some() {
                context.plan_in(MICROSECOND, Happening::Asked(index));
            }
        }
    }

    /// A request has arrived, or its server goes on and finds it.
    pub fn asked(&mut self, context: &mut Context, members: &Members, index: usize) {
        let visit = &self.all[index];
        let is_over = !visit.is_open || visit.is_mute || visit.death.is_some() || visit.has_ended;
        let Some(asked) = visit.asked.filter(|_| !is_over && visit.answer.is_none()) else {
            return;
        };
        let Some(answer) = members.answer(context, visit.endpoint, asked) else {
            return context.note("no answer", index, 0);
        };
        let length = answer.bytes.len();
        let breaks = context.strike(Fault::CheckBreaks);
        // What would look whole is told from what is by a reset alone.
        let by_reset = answer.is_until_end || context.random.chance(500);
        let at = if length > 0 && breaks { context.random.below(length as u64) } else { 0 };
        let cut = context.strike(Fault::CheckIsCut);
        let late = context.strike(Fault::CheckLate);
        let timeout = context.plan.limits.check_timeout;
        let lateness = if late { context.random.up_to(2 * timeout) } else { Duration::ZERO };
        let latency = context.name_latency();
        let visit = &mut self.all[index];
        visit.breaks_at = match breaks {
            true => Some((at as usize, by_reset)),
            false => answer.ends.then_some((length, false)),
        };
        visit.answer = Some(answer);
        context.plan_in(latency + lateness, Happening::Visit(index));
        if cut {
            let most = 2 * context.plan.limits.checks.interval;
            let at = context.random.up_to(most);
            context.plan_in(at, Happening::Hang(index));
        }
    }

    /// Bytes of an answer arrive, and perhaps the end.
    pub fn arrive(&mut self, context: &mut Context, index: usize) {
        let trickles = context.strike(Fault::CheckTrickles);
        let share = context.random.bits() as usize;
        let visit = &mut self.all[index];
        if !visit.is_open || visit.is_mute || visit.has_ended || visit.death.is_some() {
            return;
        }
        let length = visit.answer.as_ref().map_or(0, |answer| answer.bytes.len());
        let until = visit.breaks_at.map_or(length, |(at, _)| at);
        let left = until - visit.arrived;
        visit.arrived += if trickles && left > 1 { 1 + share % left } else { left };
        context.note("answer arrives", index, visit.arrived as u64);
        if visit.arrived < until {
            context.plan_in(MICROSECOND, Happening::Visit(index));
        } else if let Some((_, by_reset)) = visit.breaks_at {
            match by_reset {
                true => visit.death = Some(NetError::Reset),
                false => visit.has_ended = true,
            }
        }
        visit.reported_readable = false;
        self.touch(context, index);
    }

    /// The server ends a connection, whatever it was doing.
    pub fn hang_up(&mut self, context: &mut Context, index: usize) {
        let by_reset = context.random.chance(300);
        let visit = &mut self.all[index];
        let is_over = visit.is_mute || visit.has_ended || visit.death.is_some();
        if !visit.is_open || !visit.is_established || is_over {
            return;
        }
        // What would look whole is told from what is by a reset alone.
        let is_until_end = visit.answer.as_ref().is_some_and(|answer| answer.is_until_end);
        match by_reset || is_until_end {
            true => visit.death = Some(NetError::Reset),
            false => visit.has_ended = true,
        }
        context.note("hangs up", index, u64::from(by_reset));
        visit.reported_readable = false;
        self.touch(context, index);
    }

    /// The endpoint goes down.
    pub fn lose_endpoint(&mut self, context: &mut Context, endpoint: usize, outage: Outage) {
        for index in 0..self.all.len() {
            let visit = &mut self.all[index];
            let is_there = visit.is_open && visit.is_established && visit.endpoint == endpoint;
            match outage {
                Outage::Resets if is_there && visit.death.is_none() => {
                    visit.death = Some(NetError::Reset);
                    visit.reported_readable = false;
                    self.touch(context, index);
                }
                Outage::BreaksOff if is_there => visit.is_mute = true,
                _ => {}
            }
        }
    }

    /// There may be something to report.
    fn touch(&mut self, context: &mut Context, index: usize) {
        self.reports.touch(context, &self.all, index);
    }

    /// Reports the changes that are due, until there are `most` events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>, most: usize) {
        self.reports.report(context, &mut self.all, events, most);
    }

    /// An event without a cause.
    pub fn hint(&self, context: &mut Context, hint: Readiness, events: &mut Vec<Event>) {
        reports::hint(context, &self.all, hint, events);
    }
}
