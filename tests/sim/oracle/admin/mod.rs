//! The admin side: each guest gets the answers to what it asked, in order, in time and no others;
//! what they say is true; and a guest is given up for a reason or not at all.
//!
//! - `book.rs`: what is known of one guest
//! - `answers.rs`: a reader of HTTP answers; `documents.rs`: of what they say
//! - `views.rs`: the truth, by the turn
//! - `truth.rs`: what is said against the truth
//! - `wait.rs`: what must be done before the gateway may wait

mod answers;
mod book;
mod documents;
mod truth;
mod views;
mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use etcd_gateway::config::{
    ADMIN_ACCEPT_PAUSE, ADMIN_ANSWER_TIMEOUT, ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_RESERVED,
    ADMIN_SHARE,
};
use etcd_gateway::net::Read;

use self::answers::{Framing, WholeAnswer};
use self::book::{GuestBook, Moment, Stage};
use self::truth::Said;
use self::views::View;
use super::{Books, Oracle, Seen, TICK};
use crate::connection::Id;
use crate::guests::requests::{Message, Subject};
use crate::world::World;

#[derive(Debug, Default)]
pub(super) struct AdminBooks {
    /// One for each guest that was let in.
    all: BTreeMap<usize, GuestBook>,
    /// Clients of endpoints, with the listener at which they came.
    clients: Vec<(Id, usize)>,
    /// The truth at the ends of turns, as far back as an answer may tell of.
    views: Vec<View>,
    /// Answers whose truth is not looked at yet.
    said: Vec<Said>,
    /// Payload by endpoint as it was last said, and in which turn.
    payload: (u64, Vec<[u64; 2]>),
    /// Until when the admin side may pause.
    paused_until: Duration,
    /// Until when it may let no guest in, while it answers those that are in.
    doors_paused_until: Duration,
    /// The door at which a guest came last.
    last_door: usize,
    /// The turn in which a door last had no place.
    full_in: u64,
    /// A guest has just asked how endpoints do.
    is_asked: bool,
}

/// The rules of the admin side over what they change.
pub struct Hosting<'a> {
    admin: &'a mut AdminBooks,
    books: &'a mut Books,
}

fn moment(world: &World) -> Moment {
    (world.context.turns, world.context.turn_at)
}

impl<'a> Hosting<'a> {
    /// The rules of the admin side.
    pub fn of(oracle: &'a mut Oracle) -> Hosting<'a> {
        let Oracle { admin, books, .. } = oracle;
        Hosting { admin, books }
    }
}

impl Hosting<'_> {
    fn book(&mut self, index: usize) -> &mut GuestBook {
        self.admin.all.get_mut(&index).expect("a guest that was let in")
    }

    /// A client of endpoints was accepted.
    pub(super) fn client_has_come(&mut self, id: Id, listener: usize) {
        self.admin.clients.push((id, listener));
    }

    /// The gateway has read the clock within a turn.
    pub fn clock_is_glanced_at(&mut self, world: &World) {
        let (now, took) = (world.context.turn_at, world.context.crept);
        if !took.is_zero() {
            let until = now + took * ADMIN_SHARE + TICK;
            self.admin.paused_until = self.admin.paused_until.max(until);
        }
    }

    /// The gateway is about to let a guest in.
    pub fn check_accept(&mut self, world: &World, door: usize) {
        assert!(world.guests.doors.all[door].is_open, "accepted on a closed listener");
        let is_time = world.context.turn_at + TICK >= self.admin.doors_paused_until;
        assert!(is_time, "tries again without a pause after it fell short");
        // One more for a moment, if another one makes room.
        let count = world.guests.open_ones().count();
        assert!(count <= ADMIN_CONNECTIONS_MAX, "let in although {count} are there");
    }

    /// The gateway lacked something to let a guest in.
    pub fn accept_fell_short(&mut self, world: &World) {
        let until = world.context.turn_at + ADMIN_ACCEPT_PAUSE + TICK;
        self.admin.doors_paused_until = self.admin.doors_paused_until.max(until);
        self.books.saw(Seen::GuestsShort);
    }

    /// The gateway has let a guest in.
    pub fn guest_is_in(&mut self, world: &World, index: usize) {
        self.note_fullness(world);
        self.admin.last_door = world.guests.all[index].door;
        self.admin.all.insert(index, GuestBook::new(moment(world)));
    }

    fn note_fullness(&mut self, world: &World) {
        let mut doors = 0..world.guests.doors.all.len();
        if doors.any(|door| places(world, Some(door)) > ADMIN_CONNECTIONS_MAX) {
            self.admin.full_in = moment(world).0;
        }
    }

    /// The gateway is about to read.
    pub fn check_read(&mut self, world: &World, index: usize) {
        self.note_fullness(world);
        let (turn, _) = moment(world);
        let book = self.book(index);
        book.is_looked_at = true;
        assert!(!book.has_ended && !book.is_lost, "{index}: a read behind the end");
        let is_answering = matches!(book.stage, Stage::Answering { .. });
        assert!(!is_answering, "{index}: reads on instead of answering in turn {turn}: {book:?}");
    }

    /// The gateway has read.
    pub fn has_read(&mut self, world: &World, index: usize, outcome: &Read) {
        let at = moment(world);
        let book = self.book(index);
        match outcome {
            Read::Data(_) => {
                let is_asked = book.settle(&world.guests.all[index], at);
                self.admin.is_asked |= is_asked;
            }
            Read::Eof => book.has_ended = true,
            Read::Failed(_) => book.is_lost = true,
            Read::WouldBlock => {}
        }
    }

    /// Whether a guest has asked how endpoints do. True once.
    pub fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.admin.is_asked)
    }

    /// A guest has taken nothing.
    pub fn guest_is_blocked(&mut self, world: &World, index: usize) {
        let (_, now) = moment(world);
        self.book(index).blocked_at.get_or_insert(now);
    }

    pub fn guest_is_lost(&mut self, index: usize) {
        self.book(index).is_lost = true;
    }

    /// The gateway is about to write a part of an answer.
    pub fn check_write(&mut self, world: &World, index: usize, bytes: &[u8]) {
        self.note_fullness(world);
        let (turn, now) = moment(world);
        let guest = &world.guests.all[index];
        let book = self.book(index);
        if let Some(message) = book.message(guest).filter(|_| !book.reader.is_within()) {
            let is_head = guest.speech.bytes[message.begin..].starts_with(b"HEAD ");
            let end = b"\r\n\r\n";
            let is_alone = bytes.windows(4).position(|four| four == end) == Some(bytes.len() - 4);
            assert!(is_head || !is_alone, "{index}: a head without anything of its body");
        }
        match book.stage {
            Stage::Answering { .. } => {}
            // The time of a head is over: that is answered.
            Stage::Head { since } => {
                let until = book.stage.until();
                assert!(until <= now, "{index}: late after {since:?} at {now:?}");
                book.stage = Stage::Answering { since: (turn, now) };
                book.late_at = Some(until);
                self.books.saw(Seen::GuestHeadLate);
            }
            stage => panic!("{index}: an answer that was not asked for: {stage:?} {guest:?}"),
        }
    }

    /// The gateway has written a part of an answer.
    pub fn has_written(&mut self, world: &World, index: usize, bytes: &[u8]) {
        let (turn, now) = moment(world);
        let guest = &world.guests.all[index];
        let book = self.book(index);
        book.take(now);
        let message = book.message(guest).expect("an answer to something").clone();
        if !book.reader.is_within() {
            book.begun_in = turn;
        }
        let is_head = match message.subject {
            Subject::Partial => {
                let said = &guest.speech.bytes[message.begin..guest.taken];
                said.starts_with(b"HEAD ")
            }
            _ if book.late_at.is_some() => {
                guest.speech.bytes[message.begin..guest.taken].starts_with(b"HEAD ")
            }
            _ => message.is_head,
        };
        if let Some(answer) = book.reader.take(bytes, is_head) {
            self.answer_is_whole(world, index, &message, answer, !is_head);
        }
    }

    fn answer_is_whole(
        &mut self,
        world: &World,
        index: usize,
        message: &Message,
        answer: WholeAnswer,
        has_body: bool,
    ) {
        let (turn, now) = moment(world);
        let guest = &world.guests.all[index];
        let book = self.book(index);
        let Stage::Answering { since: (asked_in, _) } = book.stage else {
            panic!("{index}: an answer while {:?}", book.stage);
        };
        let is_late = book.late_at.take().is_some();
        let subject = if is_late { Subject::Refused(408) } else { message.subject };
        let is_refused = matches!(subject, Subject::Refused(_));
        let would_go_on = message.keeps_alive && !is_refused;
        let keeps_alive = would_go_on && answer.head.field("connection") != Some("close");
        check_form(index, message, subject, keeps_alive, &answer);
        let begun_in = book.begun_in;
        book.next += 1;
        book.stage = match keeps_alive {
            true => Stage::Idle { since: now },
            false => Stage::Lingering { since: now },
        };
        let is_asked = book.settle(guest, (turn, now));
        self.admin.is_asked |= is_asked;
        if would_go_on && !keeps_alive {
            let is_full = self.admin.full_in + 1 >= asked_in;
            assert!(is_full, "{index}: does not go on, and nothing was full since {asked_in}");
            self.books.saw(Seen::GuestConcluded);
        }
        self.books.saw(Seen::GuestAnswered);
        if world.signals.terminations > 0 {
            self.books.saw(Seen::GuestAnsweredAtTheEnd);
        }
        let turns = (asked_in, begun_in, turn);
        self.admin.said.push(Said { guest: index, subject, has_body, turns, answer });
    }

    /// The gateway is about to shut its side.
    pub fn check_shut(&mut self, world: &World, index: usize) {
        let guest = &world.guests.all[index];
        let book = self.book(index);
        if let Some(answer) = book.reader.end() {
            let message = book.message(guest).expect("an answer to something").clone();
            self.answer_is_whole(world, index, &message, answer, true);
        }
        let book = self.book(index);
        assert!(!book.reader.is_within(), "{index}: shut within an answer: {book:?}");
        let is_last = matches!(book.stage, Stage::Lingering { .. });
        assert!(is_last, "{index}: shut although another answer may follow: {book:?}");
    }

    /// The gateway is about to give a guest up.
    pub fn check_close(&mut self, world: &World, index: usize) {
        let (_, now) = moment(world);
        let is_too_many = places(world, None) > ADMIN_CONNECTIONS_MAX;
        let is_over = world.signals.terminations > 0 && self.books.accounts.clients.is_empty();
        let guest = &world.guests.all[index];
        let book = self.admin.all.remove(&index).expect("a guest that was let in");
        if book.is_lost || is_over {
            return;
        }
        let is_out_of_time = match (book.stage, book.late_at) {
            // It may be answered after a pause.
            (Stage::Answering { .. }, Some(late_at)) => late_at + ADMIN_ANSWER_TIMEOUT <= now,
            // Its answer may wait for the end of a pause, while the process is stopped again.
            (Stage::Head { .. }, _) => book.stage.until() + ADMIN_ANSWER_TIMEOUT <= now,
            (Stage::Answering { since: (_, since) }, None) => {
                since.max(guest.read_at) + ADMIN_ANSWER_TIMEOUT <= now
            }
            (stage, _) => stage.until() <= now,
        };
        let seen = match book.stage {
            Stage::Answering { .. } | Stage::Head { .. } if is_out_of_time => Seen::GuestCutOff,
            stage if is_too_many && book.stalls_at() <= now => {
                self.check_makes_room(world, index);
                match stage {
                    Stage::Idle { .. } => Seen::GuestMadeRoom,
                    _ => Seen::GuestStalled,
                }
            }
            Stage::Answering { .. } => panic!("{index}: left without an answer: {book:?}"),
            Stage::Lingering { .. } if is_out_of_time => Seen::GuestLingered,
            Stage::New { .. } | Stage::Idle { .. } if is_out_of_time => Seen::GuestIdleForLong,
            _ if book.has_ended => Seen::GuestEnded,
            Stage::Idle { .. } if is_too_many => {
                let is_heard =
                    book.is_looked_at && !(guest.reported_readable && guest.waiting() > 0);
                assert!(is_heard, "{index}: left although it asks: {guest:?}");
                self.check_makes_room(world, index);
                Seen::GuestMadeRoom
            }
            stage => panic!("{index}: given up for no reason: {stage:?} at {now:?}: {guest:?}"),
        };
        self.books.saw(seen);
    }

    /// Another guest has its place now.
    fn check_makes_room(&self, world: &World, index: usize) {
        let (door, last) = (world.guests.all[index].door, self.admin.last_door);
        let is_of_use = door == last || guests_of(world, door) > ADMIN_CONNECTIONS_RESERVED;
        assert!(is_of_use, "{index}: its place is of no use to one of {last}");
    }

    /// The gateway is about to stop listening to guests.
    pub fn check_close_door(&mut self, world: &World) {
        assert!(world.signals.terminations > 0, "a listener was given up");
        let clients = &self.books.accounts.clients;
        assert!(clients.is_empty(), "the admin side closes before {clients:?}");
        let is_last = world.listeners.all.iter().all(|listener| !listener.is_open);
        assert!(is_last, "the admin side closes before the others");
    }
}

/// Guests of a door that are let in.
fn guests_of(world: &World, door: usize) -> usize {
    world.guests.open_ones().filter(|guest| guest.door == door).count()
}

/// Places that are taken or reserved, with one more guest of a door.
fn places(world: &World, of: Option<usize>) -> usize {
    let doors = 0..world.guests.doors.all.len();
    let needed = doors.map(|door| guests_of(world, door) + usize::from(of == Some(door)));
    needed.map(|needed| needed.max(ADMIN_CONNECTIONS_RESERVED)).sum()
}

/// The status and the fields that are right for what was asked.
fn check_form(
    index: usize,
    message: &Message,
    subject: Subject,
    keeps_alive: bool,
    answer: &WholeAnswer,
) {
    let head = &answer.head;
    let statuses: &[u16] = match subject {
        Subject::Page | Subject::Metrics { .. } | Subject::Health | Subject::Status => &[200],
        Subject::Readiness => &[200, 503],
        Subject::NotFound => &[404],
        Subject::NotAllowed => &[405],
        Subject::Refused(status) => &[status],
        Subject::Partial => &[],
    };
    let is_right = statuses.contains(&head.status);
    assert!(is_right, "{index}: {} for {message:?}", head.status);
    let is_allowed = head.field("allow") == Some("GET, HEAD");
    assert_eq!(is_allowed, head.status == 405, "{index}: {head:?}");
    let is_refused = matches!(subject, Subject::Refused(_));
    let version = if is_refused { 1 } else { message.version };
    let connection = match (keeps_alive, version) {
        (false, _) => Some("close"),
        (true, 0) => Some("keep-alive"),
        (true, _) => None,
    };
    assert_eq!(head.field("connection"), connection, "{index}: {message:?}");
    let is_framed = match answer.framing {
        Framing::Length(_) => subject.has_length(),
        Framing::Chunked => !subject.has_length() && version == 1,
        Framing::UntilEnd => !subject.has_length() && version == 0,
    };
    assert!(is_framed, "{index}: {:?} for {message:?}", answer.framing);
    let media_type = match subject {
        Subject::Page => "text/html",
        Subject::Metrics { is_open: true } => "application/openmetrics-text; version=1.0.0",
        Subject::Metrics { is_open: false } => "text/plain; version=0.0.4",
        Subject::Status => "application/json",
        _ => "text/plain",
    };
    let said = head.field("content-type").unwrap_or_default();
    assert!(said.starts_with(media_type), "{index}: {said} for {message:?}");
}
