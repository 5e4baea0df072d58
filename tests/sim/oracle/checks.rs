//! Health checks: who is asked when, over which connection, and what the answers show.

use std::time::Duration;

use etcd_gateway::config::CHECKS_IDLE_AFTER;
use etcd_gateway::net::NetError;

use super::check::{CheckBook, Flight, Outcome, State};
use super::endpoint::{Watch, is_evidence};
use super::failing::Closings;
use super::rotation::Watches;
use super::{Books, Oracle, Seen, TICK};
use crate::connection::Id;
use crate::members::{Asked, Usability};
use crate::plan::Plan;
use crate::world::World;

#[derive(Debug)]
pub(super) struct CheckBooks {
    /// One for each endpoint that is checked.
    pub(super) all: Vec<Option<CheckBook>>,
    pub(super) closings: Closings,
    /// What may be as it was before a dial that was left or failed in this turn.
    pub(super) in_doubt: Vec<Doubt>,
    /// When it last mattered how endpoints do.
    needed_at: Duration,
}

/// An endpoint before a dial to it was left, or failed.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) endpoint: usize,
    pub(super) before: Watch,
    /// By when its next check had to begin.
    pub(super) due_at: Option<Duration>,
}

impl CheckBooks {
    pub(super) fn new(plan: &Plan) -> CheckBooks {
        let endpoints = 0..plan.endpoints.len();
        let asked = endpoints.map(|endpoint| plan.checked.as_ref()?.is_asked(endpoint));
        CheckBooks {
            all: asked.map(|asked| asked.map(CheckBook::new)).collect(),
            closings: Closings::default(),
            in_doubt: Vec::new(),
            needed_at: Duration::ZERO,
        }
    }
}

/// The rules of health checks over what they change.
pub struct Checking<'a> {
    pub(super) checks: &'a mut CheckBooks,
    pub(super) books: &'a mut Books,
    pub(super) watches: &'a mut Watches,
}

impl Oracle {
    /// The rules of health checks.
    pub fn checking(&mut self) -> Checking<'_> {
        let Oracle { checks, books, watches, .. } = self;
        Checking { checks, books, watches }
    }
}

impl Checking<'_> {
    fn check_book(&mut self, endpoint: usize) -> &mut CheckBook {
        let book = self.checks.all[endpoint].as_mut();
        book.unwrap_or_else(|| panic!("{endpoint} is asked, and was not to be"))
    }

    /// Whether it did not matter for a while how endpoints do.
    fn is_at_rest(&self, world: &World) -> bool {
        self.checks.needed_at + CHECKS_IDLE_AFTER <= world.context.turn_at
    }

    /// A client is dialed for, or a guest asks how endpoints do: checks that were put off are due.
    pub fn endpoints_are_needed(&mut self, world: &World) {
        let now = world.context.turn_at;
        if self.is_at_rest(world) {
            let all = self.checks.all.iter_mut().flatten();
            // No other one was put off.
            for book in all.filter(|book| book.state == State::Passing { failures: 0 }) {
                if book.due_at + TICK < now {
                    self.books.record.saw(Seen::ChecksRested);
                }
                book.due_at = book.due_at.max(now);
                book.vague_at = now;
            }
        }
        self.checks.needed_at = now;
    }

    /// The gateway dials an endpoint for a check.
    pub fn check_visit(&mut self, world: &World, endpoint: usize) {
        let others = world.visits.open_ones().filter(|visit| visit.endpoint == endpoint).count();
        assert_eq!(others, 0, "two connections for the checks of {endpoint}");
        match self.check_book(endpoint).flight {
            None => self.check_begins(world, endpoint, false),
            Some(Flight { goes_on, on, .. }) => {
                assert!(goes_on && on.is_none(), "two checks of {endpoint} at a time");
            }
        }
    }

    fn check_begins(&mut self, world: &World, endpoint: usize, is_kept: bool) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits.checks);
        let may = world.signals.terminations == 0 || self.books.is_last_round(world);
        assert!(may, "a check after the end was asked for");
        let rests = self.is_at_rest(world) && self.books.accounts.clients.is_empty();
        let book = self.check_book(endpoint);
        assert!(book.is_asked(), "{endpoint} is a stranger, and asked again");
        let may_rest = matches!(book.state, State::Passing { failures: 0 });
        assert!(!(rests && may_rest), "{endpoint} is asked although it is of use to none");
        let rested_at = book.rested_at(&limits);
        assert!(rested_at <= now, "{endpoint} is asked too often: {book:?} at {now:?}");
        book.begun_at = Some(now);
        book.is_costly = false;
        book.flight = Some(Flight { on: None, step_at: now, is_kept, goes_on: false });
        self.books.record.checks += 1;
    }

    /// A dial for a check has begun.
    pub fn visit_begins(&mut self, world: &World, endpoint: usize, id: Id) {
        let now = world.context.turn_at;
        let flight = Flight { on: Some(id), step_at: now, is_kept: false, goes_on: false };
        self.check_book(endpoint).flight = Some(flight);
    }

    pub fn visit_is_connected(&mut self, world: &World, endpoint: usize) {
        let flight = self.check_book(endpoint).flight.as_mut();
        flight.expect("a dial of a check that is over").step_at = world.context.turn_at;
    }

    /// There is no connection, or it is lost.
    pub fn visit_failed(&mut self, world: &World, endpoint: usize, error: NetError) {
        let outcome = match error {
            NetError::Reset => Outcome::Strange { is_certain: false },
            error if is_evidence(error) => Outcome::Failed { is_answer: false },
            _ => Outcome::Local,
        };
        self.check_ends(world, endpoint, outcome);
    }

    /// The gateway is about to write a part of a request.
    pub fn check_request(&mut self, world: &World, id: Id) {
        let (endpoint, now) = (world.visits.of(id).endpoint, world.context.turn_at);
        if self.check_book(endpoint).flight.is_none() {
            self.check_begins(world, endpoint, true);
            self.books.saw(Seen::CheckOnKept);
            self.check_book(endpoint).flight.as_mut().expect("just begun").on = Some(id);
        }
        let flight = self.check_book(endpoint).flight.as_mut().expect("a check is under way");
        if std::mem::take(&mut flight.goes_on) {
            *flight = Flight { on: Some(id), step_at: now, is_kept: true, goes_on: false };
        }
        assert_eq!(flight.on, Some(id), "a request over another connection than the last");
    }

    /// The gateway could not write a request.
    pub fn request_failed(&mut self, world: &World, id: Id, _error: NetError) {
        let endpoint = world.visits.of(id).endpoint;
        let flight = self.check_book(endpoint).flight.as_mut().expect("a check is under way");
        flight.goes_on = flight.is_kept;
    }

    /// The gateway has read bytes of an answer. Whether that is over.
    pub fn answer_is_read(&mut self, world: &World, id: Id) -> bool {
        let visit = world.visits.of(id);
        let is_foreign = visit.answer.as_ref().is_some_and(|answer| answer.is_foreign);
        let is_over = visit.is_answered() || is_foreign && visit.asked.is_some();
        if is_over {
            self.answer_is_known(world, id);
        }
        is_over
    }

    fn answer_is_known(&mut self, world: &World, id: Id) {
        let visit = world.visits.of(id);
        let endpoint = visit.endpoint;
        let answer = visit.answer.as_ref().expect("it was read");
        let outcome = match answer.usability {
            Usability::AskOtherwise => {
                let is_last = visit.asked == Some(Asked::OldStatus);
                self.books.saw(Seen::AskedOtherwise);
                let book = self.check_book(endpoint);
                book.is_costly |= is_last;
                book.was_costly |= is_last;
                book.flight.as_mut().expect("a check is under way").goes_on = true;
                return;
            }
            Usability::Serves => Outcome::Passed,
            Usability::DoesNot => Outcome::Failed { is_answer: true },
            Usability::Strange { is_certain } => Outcome::Strange { is_certain },
        };
        self.check_ends(world, endpoint, outcome);
    }

    /// The gateway has read the end of a connection, or its loss.
    pub fn visit_has_ended(&mut self, world: &World, id: Id, error: Option<NetError>) {
        let visit = world.visits.of(id);
        let endpoint = visit.endpoint;
        let Some(flight) =
            self.check_book(endpoint).flight.filter(|flight| !flight.goes_on || flight.is_kept)
        else {
            // A reason to ask at once, but not each time.
            return;
        };
        let answer = visit.answer.as_ref().filter(|_| visit.asked.is_some());
        let is_whole =
            answer.is_some_and(|answer| answer.is_until_end && answer.bytes.len() == visit.taken);
        let is_unanswered = answer.is_none() || visit.taken == 0;
        match error {
            None if is_whole => self.answer_is_known(world, id),
            None if !(is_unanswered && flight.is_kept) => {
                if is_unanswered {
                    self.books.saw(Seen::CheckSaidNothing);
                }
                self.check_ends(world, endpoint, Outcome::Strange { is_certain: false });
            }
            Some(error) if !(flight.is_kept && error == NetError::Reset) => {
                self.visit_failed(world, endpoint, error);
            }
            _ => {
                self.books.saw(Seen::CheckRepeated);
                let flight = self.check_book(endpoint).flight.as_mut().expect("seen above");
                (flight.is_kept, flight.goes_on) = (false, true);
            }
        }
    }

    fn check_ends(&mut self, world: &World, endpoint: usize, outcome: Outcome) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits.checks);
        let book = self.check_book(endpoint);
        let (before, was_foreign) = (book.standing(), book.state == State::Foreign);
        let is_dialed = book.flight.is_some_and(|flight| !flight.is_kept);
        book.on_outcome(outcome, &limits, now);
        let (after, is_foreign) = (book.standing(), book.state == State::Foreign);
        let record = &mut self.books.record;
        match outcome {
            Outcome::Passed => {
                record.checks_passed += 1;
                record.saw(Seen::CheckPassed);
                // An answer over a connection that was there before shows nothing of dials.
                if is_dialed {
                    self.watches.succeed(endpoint, now);
                }
            }
            _ => {
                record.checks_failed += 1;
                record.saw(Seen::CheckFailed);
            }
        }
        use super::endpoint::Standing::{Failing, Serving, Unknown};
        match (before, after) {
            _ if is_foreign && !was_foreign => self.books.saw(Seen::FoundForeign),
            (Failing, Serving) => self.books.saw(Seen::BecamePassing),
            (Serving | Unknown, Failing) => self.books.saw(Seen::BecameFailing),
            _ => {}
        }
        self.stand_anew(endpoint);
    }

    /// The rotation learns how an endpoint does by its checks.
    fn stand_anew(&mut self, endpoint: usize) {
        let Some(book) = &self.checks.all[endpoint] else { return };
        let standing = book.standing();
        let has_passed = matches!(book.state, State::Passing { .. } | State::Foreign);
        let watch = &mut self.watches.all[endpoint];
        (watch.is_checked, watch.has_passed) = (true, has_passed);
        if std::mem::replace(&mut self.watches.all[endpoint].standing, standing) != standing {
            self.watches.rotation_changed();
        }
    }

    /// The gateway starts: nothing is known, and every endpoint is to be asked.
    pub(super) fn checks_begin(&mut self, now: Duration) {
        // The first look at the clock may be a late one.
        self.checks.needed_at = now;
        for endpoint in 0..self.checks.all.len() {
            self.stand_anew(endpoint);
            if let Some(book) = &mut self.checks.all[endpoint] {
                book.due_at = now;
            }
        }
    }

    /// Something speaks against an endpoint.
    pub(super) fn suspect(&mut self, world: &World, endpoint: usize) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits.checks);
        if let Some(book) = &mut self.checks.all[endpoint] {
            book.suspect(&limits, now);
        }
    }

    /// A client's dial has shown that an endpoint is not there.
    pub(super) fn check_outage(&mut self, world: &World, endpoint: usize) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits.checks);
        if let Some(book) = &mut self.checks.all[endpoint] {
            book.on_outage(&limits, now);
            self.stand_anew(endpoint);
        }
    }

    /// The gateway is about to close a connection of checks.
    pub fn check_visit_close(&mut self, world: &World, id: Id) {
        let visit = world.visits.of(id);
        let (endpoint, now) = (visit.endpoint, world.context.turn_at);
        let timeout = world.context.plan.limits.check_timeout;
        let is_asked_to_end = world.signals.terminations > 0;
        let is_over = visit.death.is_some() || visit.has_ended;
        let is_last = visit.answer.as_ref().is_some_and(|answer| answer.ends);
        let is_silent = visit.is_known && visit.written == 0 && !visit.is_blocked && !is_over;
        assert!(!is_silent, "{id}: a connection on which nothing was said");
        let book = self.check_book(endpoint);
        let Some(flight) = book.flight.as_mut().filter(|flight| flight.on == Some(id)) else {
            let may = is_over || is_last || is_asked_to_end || book.has_failed;
            // To be dialed anew, or for a client that has no descriptor.
            let is_away = !self.watches.all[endpoint].is_active();
            let may = may || is_away || self.books.pauses.is_short(now);
            assert!(may, "{id}: a good connection is given up");
            return;
        };
        if flight.goes_on {
            assert!(is_over || is_last, "{id}: a good connection is given up for another");
            flight.on = None;
        } else if is_asked_to_end {
            book.flight = None;
        } else {
            let is_overdue = flight.step_at + timeout <= now;
            assert!(is_overdue, "{id}: a check is given up before its time");
            self.books.saw(Seen::CheckTimedOut);
            self.check_ends(world, endpoint, Outcome::Failed { is_answer: false });
        }
    }

    /// Whatever was due at the time of this turn is done.
    pub(super) fn check_checks_are_done(&self, world: &World) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits);
        if world.signals.terminations > 0 {
            return;
        }
        let rests = self.is_at_rest(world);
        for (endpoint, book) in self.checks.all.iter().enumerate() {
            let Some(book) = book else { continue };
            match book.flight {
                Some(flight) => {
                    assert!(flight.on.is_some(), "a check of {endpoint} was forgotten: {book:?}");
                    let until = flight.step_at + limits.check_timeout + TICK;
                    assert!(now < until, "a check of {endpoint} beyond its time: {book:?}");
                }
                None => {
                    let may_rest = rests && matches!(book.state, State::Passing { failures: 0 });
                    let is_late = book.due_at + TICK <= now && book.is_asked();
                    assert!(!is_late || may_rest, "{endpoint} is not asked: {book:?} at {now:?}");
                    self.check_failure_is_known(world, endpoint, book);
                }
            }
        }
        for visit in world.visits.open_ones() {
            let is_silent = visit.is_known && visit.written == 0 && !visit.is_blocked;
            assert!(!is_silent, "a connection without a byte: {visit:?}");
        }
    }

    /// A server that does not serve is not taken for one that does for longer than the limits say.
    fn check_failure_is_known(&self, world: &World, endpoint: usize, book: &CheckBook) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits);
        let Some(since) = world.members.all[endpoint].fails_since else { return };
        let since = since.max(book.vague_at);
        let jumped = world.context.jumps.iter().any(|at| *at >= since);
        if jumped || !book.must_answer() || self.is_at_rest(world) || book.state == State::Foreign {
            return;
        }
        let until = since + book.patience(&limits.checks, limits.check_timeout);
        let is_failing = matches!(book.state, State::Failing { .. });
        assert!(
            is_failing || now < until,
            "{endpoint} does not serve since {since:?}, which is not known at {now:?}: {book:?}"
        );
    }
}
