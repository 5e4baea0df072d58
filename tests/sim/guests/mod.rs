//! Guests: clients of the admin side, and the listeners at which they come. What the gateway does
//! to their connections, what they do, and what events report. Has a source of chance of its own,
//! so that runs without guests stay what they are.
//!
//! - `guest.rs`: one of them
//! - `requests.rs`: what they say, and how that has to be answered

mod guest;
pub mod requests;

use std::time::Duration;

use etcd_gateway::net::{Event, NetError, Read, Readiness, Write};

pub use self::guest::{Guest, Leaving, Reading};
use self::requests::{Speech, Subject};
use crate::agenda::{Deed, Happening};
use crate::connection::Id;
use crate::context::Context;
use crate::faults::{Fault, Faults};
use crate::listeners::{Listeners, Taken};
use crate::random::Random;
use crate::reports::{self, Reports};

/// Connections of guests have ids from here on, below those of lines.
pub const GUESTS: Id = 1 << (Id::BITS - 4);
/// Listeners of the admin side have numbers from here on.
pub const DOORS: usize = 1 << 16;
/// The port of the first of them; the next one follows.
pub const DOOR_PORT: u16 = 3000;

/// Runs of a thousand that have an admin side.
const VISITED: u32 = 500;

const MICROSECOND: Duration = Duration::from_micros(1);

/// What the admin side of a run is like.
#[derive(Clone, Debug)]
pub struct Visited {
    pub doors: usize,
    /// Guests that come one by one.
    guests: u64,
    /// Many come at once, so often.
    crowds: u64,
    /// Time passes until the time limits of guests are over.
    pub takes_time: bool,
    seed: u64,
}

impl Visited {
    /// An admin side to which only those come that a test sends.
    pub fn calm() -> Visited {
        Visited { doors: 1, guests: 0, crowds: 0, takes_time: false, seed: 1 }
    }

    /// `None`: there is no admin side in this run.
    pub fn draw(random: &mut Random, faults: &mut Faults) -> Option<Visited> {
        if !random.chance(VISITED) {
            return None;
        }
        faults.swarm_guests(random);
        Some(Visited {
            doors: random.one_of(&[1, 1, 2]),
            guests: random.one_of(&[1, 3, 10, 10, 40]),
            crowds: random.one_of(&[0, 0, 0, 1, 2]),
            takes_time: random.chance(250),
            seed: random.bits(),
        })
    }
}

#[derive(Debug)]
pub struct Guests {
    pub doors: Listeners,
    pub all: Vec<Guest>,
    random: Random,
    reports: Reports,
}

impl Guests {
    pub fn new(visited: Option<&Visited>) -> Guests {
        Guests {
            doors: Listeners::default(),
            all: Vec::new(),
            random: Random::new(visited.map_or(0, |visited| visited.seed)),
            reports: Reports::default(),
        }
    }

    /// Those that the gateway holds.
    pub fn open_ones(&self) -> impl Iterator<Item = &Guest> {
        self.all.iter().filter(|guest| guest.is_open)
    }

    fn of_mut(&mut self, index: usize) -> &mut Guest {
        let guest = &mut self.all[index];
        assert!(guest.is_open, "{index}: an operation on a guest that was given up");
        guest
    }

    /// When they come.
    pub fn plan(&mut self, context: &mut Context) {
        let Some(visited) = context.plan.visited.clone() else { return };
        let span = 2 * context.plan.span;
        for _ in 0..visited.guests {
            let at = self.random.up_to(span);
            context.plan_for(at, Happening::Guest(Deed::Comes));
        }
        for _ in 0..visited.crowds {
            let at = self.random.up_to(span);
            let count = self.random.one_of(&[20, 40, 80]);
            (0..count).for_each(|_| context.plan_for(at, Happening::Guest(Deed::Comes)));
        }
    }

    /// The process was asked to end: some come to see how it does.
    pub fn plan_last_ones(&mut self, context: &mut Context) {
        if context.plan.visited.is_none() {
            return;
        }
        for _ in 0..self.random.below(4) {
            let at = self.random.up_to(Duration::from_millis(300));
            context.plan_in(at, Happening::Guest(Deed::Comes));
        }
    }

    /// Something of a guest.
    pub fn happen(&mut self, context: &mut Context, deed: Deed) {
        match deed {
            Deed::Comes if context.has_healed => {}
            Deed::Comes => self.come(context),
            Deed::GoesOn(index) => self.act(context, index),
            Deed::Reads(index) => self.read_on(context, index),
        }
    }

    /// A guest comes, whatever it may be like.
    fn come(&mut self, context: &mut Context) {
        let door = self.random.below(self.doors.all.len().max(1) as u64) as usize;
        let guest = Guest::draw(&mut self.random, door);
        self.arrive(context, guest);
    }

    /// A guest comes that asks for all there is, and leaves.
    pub fn come_in_peace(&mut self, context: &mut Context) {
        let mut speech = Speech::default();
        speech.ask("/metrics", Subject::Metrics { is_open: false }, true);
        speech.ask("/readyz", Subject::Readiness, true);
        speech.ask("/status", Subject::Status, false);
        self.arrive(context, Guest::new(0, speech));
    }

    fn arrive(&mut self, context: &mut Context, guest: Guest) {
        let door = guest.door;
        if !self.doors.all.get(door).is_some_and(|door| door.is_open) {
            return;
        }
        self.all.push(guest);
        let index = self.all.len() - 1;
        context.note("guest comes", index, door as u64);
        self.doors.queue(context, door, GUESTS + index);
        context.plan_in(Duration::ZERO, Happening::Guest(Deed::GoesOn(index)));
    }

    /// The guest goes on with what it does.
    fn act(&mut self, context: &mut Context, index: usize) {
        let guest = &mut self.all[index];
        if guest.is_over() {
            return;
        }
        match guest.next_step() {
            Some((until, pause)) => {
                guest.arrived = guest.arrived.max(until);
                context.note("guest says", index, until as u64);
                context.plan_in(pause.max(MICROSECOND), Happening::Guest(Deed::GoesOn(index)));
            }
            None => match guest.leaves {
                Leaving::Stays => return,
                Leaving::Ends => {
                    guest.has_ended = true;
                    context.note("guest ends", index, 0);
                }
                Leaving::Resets => {
                    guest.death = Some(NetError::Reset);
                    context.note("guest resets", index, 0);
                }
            },
        }
        guest.reported_readable = false;
        self.touch(context, index);
    }

    /// The guest reads.
    fn read_on(&mut self, context: &mut Context, index: usize) {
        let guest = &mut self.all[index];
        guest.is_reading = false;
        let left = guest.written - guest.drained;
        if left > 0 && guest.reads != Reading::Never {
            guest.read_at = context.now;
        }
        guest.drained += match guest.reads {
            Reading::Eagerly => left,
            Reading::Slowly(most, _) => left.min(most),
            Reading::Never => 0,
        };
        context.note("guest reads", index, guest.drained as u64);
        self.plan_reading(context, index);
        self.touch(context, index);
    }

    fn plan_reading(&mut self, context: &mut Context, index: usize) {
        let latency = context.plan.latency_max.min(Duration::from_millis(1));
        let guest = &mut self.all[index];
        let pause = match guest.reads {
            Reading::Eagerly => latency.max(MICROSECOND),
            Reading::Slowly(_, pause) => pause,
            Reading::Never => return,
        };
        if guest.written > guest.drained && !guest.is_reading && guest.is_open {
            guest.is_reading = true;
            context.plan_in(pause, Happening::Guest(Deed::Reads(index)));
        }
    }

    /// The gateway takes a guest from a backlog.
    pub fn accept(
        &mut self,
        context: &mut Context,
        door: usize,
        token: usize,
    ) -> Result<Option<Id>, NetError> {
        let taken = self.doors.accept(context, door).inspect_err(|_| {
            context.advance("no guest", door, 0);
        })?;
        let Some(Taken { id, is_aborted }) = taken else { return Ok(None) };
        let index = id - GUESTS;
        if is_aborted {
            self.all[index].death = Some(NetError::Reset);
            return Err(NetError::Aborted);
        }
        context.advance("guest", index, door as u64);
        let guest = &mut self.all[index];
        (guest.token, guest.is_open) = (Some(token), true);
        // A socket that was just accepted takes bytes; no event needs to say so.
        guest.reported_writable = true;
        self.touch(context, index);
        Ok(Some(id))
    }

    /// The gateway reads what a guest says.
    pub fn read(&mut self, context: &mut Context, index: usize, buffer: &mut [u8]) -> Read {
        let (blocks, is_part) =
            (context.strike(Fault::ReadBlocks), context.strike(Fault::ReadPart));
        let share = self.random.bits() as usize;
        let guest = self.of_mut(index);
        if let Some(error) = guest.death {
            context.advance("guest is gone", index, 0);
            return Read::Failed(error);
        }
        let waiting = guest.waiting();
        if waiting == 0 && guest.has_ended {
            context.advance("guest has ended", index, 0);
            return Read::Eof;
        }
        if waiting == 0 || blocks {
            guest.reported_readable = false;
            self.touch(context, index);
            return Read::WouldBlock;
        }
        let most = waiting.min(buffer.len());
        let count = if is_part { 1 + share % most } else { most };
        buffer[..count].copy_from_slice(&guest.speech.bytes[guest.taken..guest.taken + count]);
        guest.taken += count;
        context.advance("guest heard", index, count as u64);
        self.touch(context, index);
        Read::Data(count)
    }

    /// Bytes that a guest has not read.
    pub fn unsent(&mut self, index: usize) -> usize {
        let guest = self.of_mut(index);
        guest.written - guest.drained
    }

    /// The gateway writes to a guest.
    pub fn write(&mut self, context: &mut Context, index: usize, bytes: &[u8]) -> Write {
        let (blocks, is_part) =
            (context.strike(Fault::WriteBlocks), context.strike(Fault::WritePart));
        let share = self.random.bits() as usize;
        let guest = self.of_mut(index);
        assert!(!bytes.is_empty(), "{index}: a write of nothing");
        assert!(!guest.is_shut, "{index}: bytes behind the end");
        if let Some(error) = guest.death {
            context.advance("answer fails", index, 0);
            return Write::Failed(error);
        }
        let most = guest.space().min(bytes.len());
        if most == 0 || blocks {
            guest.reported_writable = false;
            self.touch(context, index);
            return Write::WouldBlock;
        }
        let count = if is_part { 1 + share % most } else { most };
        guest.written += count;
        if count < bytes.len() {
            guest.reported_writable = false;
        }
        context.advance("answers", index, count as u64);
        self.touch(context, index);
        self.plan_reading(context, index);
        Write::Data(count)
    }

    pub fn shut(&mut self, context: &mut Context, index: usize) -> Result<(), NetError> {
        context.advance("guest is shut", index, 0);
        let guest = self.of_mut(index);
        assert!(!guest.is_shut, "{index}: shut twice");
        guest.is_shut = true;
        guest.death.map_or(Ok(()), Err)
    }

    pub fn close(&mut self, context: &mut Context, index: usize) {
        context.advance("end of a guest", index, 0);
        self.of_mut(index).is_open = false;
    }

    /// From now on they come to an end.
    pub fn heal(&mut self, context: &mut Context) {
        for index in 0..self.all.len() {
            let guest = &mut self.all[index];
            guest.expedite();
            // One that reads slowly would go on only after its pause.
            guest.is_reading = false;
            if !guest.is_over() {
                context.plan_in(MICROSECOND, Happening::Guest(Deed::GoesOn(index)));
            }
            self.plan_reading(context, index);
            self.touch(context, index);
        }
    }

    fn touch(&mut self, context: &mut Context, index: usize) {
        if self.all[index].is_open {
            self.reports.touch(context, &self.all, index);
        }
    }

    /// Reports the changes that are due, until there are `most` events.
    pub fn report(&mut self, context: &mut Context, events: &mut Vec<Event>, most: usize) {
        self.doors.report(context, events, most);
        self.reports.report(context, &mut self.all, events, most);
    }

    /// An event without a cause.
    pub fn hint(&mut self, context: &mut Context, hint: Readiness, events: &mut Vec<Event>) {
        if self.doors.all.is_empty() {
            return;
        }
        let door = self.random.below(self.doors.all.len() as u64) as usize;
        self.doors.hint(context, door, events);
        let last = self.all.iter().rposition(|guest| guest.token.is_some());
        if let Some(last) = last {
            reports::hint(context, &self.all[last..=last], hint, events);
        }
    }
}
