//! Connections over which the gateway asks members of etcd which endpoints there are: what it does
//! to them, what the member and the network do, and what events report. What is said is a matter of
//! `cluster.rs` and `keys.rs`.

use std::time::Duration;

use etcd_gateway::net::{Dial, Event, NetError, Read, Readiness, Write};

use crate::agenda::Happening;
use crate::cluster::Cluster;
use crate::connection::Id;
use crate::context::Context;
use crate::faults::Fault;
use crate::followed::Source;
use crate::hosts::{Outage, Place};
use crate::inquiry::{Asked, Said, read_request};
use crate::line::{Heard, Line, Watch};
use crate::reports::{self, Reports};

/// Connections of lines have ids from here on, below those of checks.
pub const LINES: Id = 1 << (Id::BITS - 3);

const MICROSECOND: Duration = Duration::from_micros(1);

#[derive(Debug, Default)]
pub struct Lines {
    pub all: Vec<Line>,
    reports: Reports,
}

impl Lines {
    pub fn of(&self, id: Id) -> &Line {
        let line = &self.all[id - LINES];
        assert!(line.is_open, "{id}: an operation on a socket that was given up");
        line
    }

    fn of_mut(&mut self, id: Id) -> &mut Line {
        let line = &mut self.all[id - LINES];
        assert!(line.is_open, "{id}: an operation on a socket that was given up");
        line
    }

    /// Those that the gateway holds.
    pub fn open_ones(&self) -> impl Iterator<Item = &Line> {
        self.all.iter().filter(|line| line.is_open)
    }

    /// The gateway begins a connection.
    pub fn dial(&mut self, context: &mut Context, member: usize, token: usize) -> Id {
        self.all.push(Line::new(token, member, context.now));
        context.sockets_open += 1;
        let index = self.all.len() - 1;
        context.advance("line", member, index as u64);
        let latency = context.name_latency();
        if !context.strike(Fault::DialSilent) {
            context.plan_in(2 * latency, Happening::Line(index));
        }
        LINES + index
    }

    pub fn dial_result(&mut self, context: &mut Context, id: Id) -> Dial {
        let line = self.of_mut(id);
        assert!(!line.is_known, "asked again how a dial went that is established");
        let outcome = match line.death {
            Some(error) => Dial::Failed(error),
            None if line.is_established => Dial::Connected,
            None => Dial::Pending,
        };
        line.is_known = outcome == Dial::Connected;
        if outcome == Dial::Pending {
            (line.reported_readable, line.reported_writable) = (false, false);
        }
        context.progress += 1;
        outcome
    }

    /// The gateway writes a part of a request. What it asks, once that is whole.
    pub fn write(&mut self, context: &mut Context, id: Id, bytes: &[u8]) -> (Write, Option<Asked>) {
        let trickles = context.strike(Fault::LineTrickles);
        let blocks = trickles && context.random.chance(300);
        let share = context.random.bits() as usize;
        let index = id - LINES;
        let line = self.of_mut(id);
        assert!(line.is_known, "{id}: a write before the connection is established");
        assert!(!bytes.is_empty(), "{id}: a write of nothing");
        line.questioned_at.get_or_insert(context.now);
        if let Some(error) = line.death {
            context.advance("question fails", index, 0);
            return (Write::Failed(error), None);
        }
        line.is_blocked = true;
        if blocks {
            line.reported_writable = false;
            self.touch(context, index);
            return (Write::WouldBlock, None);
        }
        let count = if trickles { 1 + share % bytes.len() } else { bytes.len() };
        assert!(line.asked.is_none(), "{id}: a question before the answer to the one before");
        line.request.extend(&bytes[..count]);
        line.written += count as u64;
        line.is_blocked = count < bytes.len();
        line.reported_writable &= !line.is_blocked;
        context.advance("asks", index, count as u64);
        let asked = read_request(&line.request);
        if asked.is_some() {
            line.request.clear();
            line.questions += 1;
            (line.asked, line.is_answered) = (asked, false);
            let latency = context.name_latency();
            context.plan_in(latency, Happening::LineAsked(index));
        }
        self.touch(context, index);
        (Write::Data(count), asked)
    }

    /// The gateway reads a part of what the member says. What that means.
    pub fn read(&mut self, context: &mut Context, id: Id, buffer: &mut [u8]) -> (Read, Vec<Heard>) {
        let trickles = context.strike(Fault::LineTrickles);
        let share = context.random.bits() as usize;
        let line = self.of_mut(id);
        assert!(line.is_known, "{id}: a read before the connection is established");
        let waiting = line.arrived - line.taken;
        if waiting == 0 {
            return match (line.death, line.has_ended) {
                (Some(error), _) => (Read::Failed(error), Vec::new()),
                (None, true) => (Read::Eof, line.take_heard(true)),
                (None, false) => {
                    line.reported_readable = false;
                    (Read::WouldBlock, Vec::new())
                }
            };
        }
        let most = waiting.min(buffer.len());
        let count = if trickles { 1 + share % most } else { most };
        buffer[..count].copy_from_slice(&line.said[line.taken..line.taken + count]);
        line.taken += count;
        let heard = line.take_heard(false);
        if line.is_answered && line.watch.is_none() && line.taken == line.said.len() {
            (line.asked, line.questioned_at) = (None, None);
        }
        context.advance("hears", id - LINES, count as u64);
        self.touch(context, id - LINES);
        (Read::Data(count), heard)
    }

    pub fn close(&mut self, context: &mut Context, id: Id) {
        context.advance("end of a line", id - LINES, 0);
        self.of_mut(id).is_open = false;
        context.sockets_open -= 1;
    }

    /// The dial is decided, by the state of its host at this moment.
    pub fn decide(&mut self, context: &mut Context, index: usize, place: Place) {
        let fails = context.strike(Fault::DialFailsLater);
        let error = context.random.one_of(&[NetError::Reset, NetError::TimedOut]);
        let line = &mut self.all[index];
        if !line.is_open || line.death.is_some() {
            return;
        }
        match place {
            _ if fails => line.death = Some(error),
            Place::Up => line.is_established = true,
            Place::Refuses => line.death = Some(NetError::Refused),
            Place::Unreachable => line.death = Some(NetError::HostUnreachable),
            Place::NoRoute => line.death = Some(NetError::NetworkUnreachable),
            Place::Silent => {
                return context.plan_in(Duration::from_millis(100), Happening::Line(index));
            }
        }
        line.reported_readable = false;
        self.touch(context, index);
    }

    /// A request has arrived, or its member goes on and finds it, or knows the answer by now.
    pub fn asked(&mut self, context: &mut Context, cluster: &Cluster, index: usize) {
        let line = &self.all[index];
        let member = line.member;
        let is_frozen = cluster.members[member].is_frozen;
        let Some(asked) = line.asked.filter(|_| line.hears() && !line.is_answered && !is_frozen)
        else {
            return;
        };
        let reply = match cluster.reply(context, member, asked) {
            Ok(reply) => reply,
            Err(delay) => return context.plan_in(delay, Happening::LineAsked(index)),
        };
        let breaks = context.strike(Fault::LineBreaks);
        let by_reset = reply.is_until_end || context.random.chance(500);
        let at = context.random.below(reply.bytes.len() as u64) as usize;
        let cut = context.strike(Fault::LineIsCut);
        let late = context.strike(Fault::LineLate);
        let limit = context.plan.followed.as_ref().map_or(Duration::ZERO, |one| one.time_limit);
        let lateness = if late { context.random.up_to(2 * limit) } else { Duration::ZERO };
        let latency = context.name_latency();
        let line = &mut self.all[index];
        line.is_answered = true;
        if breaks {
            line.breaks_at = Some((line.said.len() + at, by_reset));
        }
        let is_watched = matches!(reply.said, Said::Created);
        if let Asked::Watch { from } = asked {
            line.watch = Some(Watch { next: from, is_over: !is_watched });
        }
        line.say(reply);
        context.plan_in(latency + lateness, Happening::Line(index));
        if is_watched {
            context.plan_in(latency + lateness, Happening::News(index));
        }
        if cut {
            let at = context.random.up_to(2 * limit);
            context.plan_in(at, Happening::LineHang(index));
        }
    }

    /// A member tells over a watch what is new.
    pub fn tell(&mut self, context: &mut Context, cluster: &Cluster, index: usize) {
        let line = &self.all[index];
        let is_frozen = cluster.members[line.member].is_frozen;
        let Some(watch) = line.watch.filter(|one| !one.is_over && line.hears() && !is_frozen)
        else {
            return;
        };
        if context.strike(Fault::WatchLags) {
            let delay = context.random.up_to(Duration::from_millis(300));
            return context.plan_in(delay, Happening::News(index));
        }
        let (replies, watch) = cluster.news(context, line.member, watch);
        let line = &mut self.all[index];
        line.watch = Some(watch);
        if replies.is_empty() {
            return;
        }
        replies.into_iter().for_each(|reply| line.say(reply));
        let latency = context.name_latency();
        context.plan_in(latency, Happening::Line(index));
    }

    /// Bytes of a member arrive, and perhaps the end.
    pub fn arrive(&mut self, context: &mut Context, index: usize) {
        let trickles = context.strike(Fault::LineTrickles);
        let share = context.random.bits() as usize;
        let line = &mut self.all[index];
        if !line.hears() {
            return;
        }
        let until = line.breaks_at.map_or(line.said.len(), |(at, _)| at.min(line.said.len()));
        let left = until - line.arrived;
        line.arrived += if trickles && left > 1 { 1 + share % left } else { left };
        context.note("said", index, line.arrived as u64);
        if line.arrived < until {
            context.plan_in(MICROSECOND, Happening::Line(index));
        } else if let Some((_, by_reset)) = line.breaks_at.filter(|(at, _)| *at == line.arrived) {
            match by_reset {
                true => line.death = Some(NetError::Reset),
                false => line.has_ended = true,
            }
        }
        line.reported_readable = false;
        self.touch(context, index);
    }

    /// The member ends a connection, whatever it was doing.
    pub fn hang_up(&mut self, context: &mut Context, index: usize) {
        let by_reset = context.random.chance(300);
        let line = &mut self.all[index];
        if !line.hears() {
            return;
        }
        // What would look whole is told from what is by a reset alone.
        let is_until_end = line.marks.iter().any(|mark| mark.is_until_end);
        match by_reset || is_until_end {
            true => line.death = Some(NetError::Reset),
            false => line.has_ended = true,
        }
        context.note("line cut", index, u64::from(by_reset));
        line.reported_readable = false;
        self.touch(context, index);
    }

    /// Something has changed at the members: those that ended are lost, others go on.
    pub fn notice(&mut self, context: &mut Context, cluster: &Cluster) {
        for index in 0..self.all.len() {
            let line = &self.all[index];
            if !line.is_open || !line.is_established {
                continue;
            }
            let member = &cluster.members[line.member];
            if member.is_gone || member.place == Place::Refuses {
                self.lose(context, index);
            } else if member.place != Place::Up {
                self.all[index].is_mute = true;
            } else if line.asked.is_some() {
                let latency = context.name_latency();
                let news = Happening::News(index);
                let next = if line.is_answered { news } else { Happening::LineAsked(index) };
                context.plan_in(latency, next);
            }
        }
    }

    fn lose(&mut self, context: &mut Context, index: usize) {
        let line = &mut self.all[index];
        if !line.is_over() {
            line.death = Some(NetError::Reset);
            line.reported_readable = false;
            self.touch(context, index);
        }
    }

    /// The endpoint goes down: where it is a member, so are the connections to that.
    pub fn lose_endpoint(&mut self, context: &mut Context, member: usize, outage: Outage) {
        let followed = context.plan.followed.as_ref();
        if followed.is_none_or(|followed| followed.source == Source::Registry) {
            return;
        }
        for index in 0..self.all.len() {
            let line = &mut self.all[index];
            if !line.is_open || !line.is_established || line.member != member {
                continue;
            }
            match outage {
                Outage::Resets => self.lose(context, index),
                Outage::BreaksOff => line.is_mute = true,
                Outage::LeavesThem => {}
            }
        }
    }

    /// All is well: those that no packet goes over any longer are lost at last.
    pub fn lose_mute(&mut self, context: &mut Context) {
        for index in 0..self.all.len() {
            if self.all[index].is_open && self.all[index].is_mute {
                self.lose(context, index);
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
