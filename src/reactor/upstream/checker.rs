//! The checker: asks endpoints whether they serve, each over a connection that is kept.
//!
//! `upstream/checks.rs` decides when an endpoint is asked and what follows from the results,
//! `question.rs` what is asked and what an answer means; a timer of the wheel for each endpoint
//! starts it here. Owns the exchanges of checks and their timers. Must not decide who gets clients.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::http;
use super::question::{self, Facts, Form, Meaning, Role};
use crate::address::Address;
use crate::config::{CHECKS_IDLE_AFTER, HTTP_CHECK_BYTES_MAX, HTTP_HEAD_BYTES_MAX};
use crate::net::{Host, Net};
use crate::observe::events::{Event, Value};
use crate::proto::dialogue::DialogueError;
use crate::proto::etcd::status::Remarks;
use crate::proto::http1::{Client, Delivery, Limits, Received, Response};
use crate::proto::tls::Connector;
use crate::reactor::context::{Context, Timer};
use crate::reactor::exchanges::{Destination, ExchangeError, Owner, Report};
use crate::reactor::faults::dial_failure;
use crate::reactor::wheel::TimerKey;
use crate::upstream::{
    Change, CheckFailure, CheckNews, CheckReport, CheckResult, DialFailure, EndpointId,
    EndpointSet, HealthCheck, Suspicion,
};

const LIMITS: Limits =
    Limits { head_bytes_max: HTTP_HEAD_BYTES_MAX, body_bytes_max: HTTP_CHECK_BYTES_MAX };

/// The checks of all endpoints.
pub(super) struct Checker {
    timeout: Duration,
    /// Whether endpoints are to be told apart by which one leads.
    prefers_leader: bool,
    /// The highest term that a member has said, and who leads in it.
    leader: Option<(u64, u64)>,
    /// Begins the TLS sessions with endpoints.
    connector: Option<Rc<dyn Connector>>,
    /// The endpoints that have checks, each once.
    subjects: Vec<Subject>,
    /// When it last mattered how endpoints do.
    needed_at: Instant,
    /// A check was put off, as it has not mattered for a while.
    is_paused: bool,
    /// Whether the process is to end, so that no endpoint is checked.
    is_stopped: bool,
}

/// An endpoint that is checked.
struct Subject {
    endpoint: EndpointId,
    /// What it is asked. Another question begins with another connection.
    check: HealthCheck,
    timer: Option<TimerKey>,
    /// The form of the question of the check under way.
    form: Form,
    /// Whether it was asked over a connection that was kept, which it may have closed just before.
    is_kept: bool,
    /// Whether an alarm for want of space was told.
    has_no_space: bool,
}

/// What a check has changed.
#[derive(Default)]
pub(super) struct Decided {
    /// Of what checks, and of what dials have shown.
    pub(super) news: Option<CheckNews>,
    pub(super) revived: Option<Change>,
    /// Another member leads than before.
    pub(super) has_new_leader: bool,
}

/// What follows an answer or a failure.
enum Next {
    Ask,
    Finish(CheckResult, Option<Role>),
}

impl Checker {
    /// Without an endpoint. `timeout`: for connecting, and again for the answer.
    pub(super) fn new(
        timeout: Duration,
        prefers_leader: bool,
        connector: Option<Rc<dyn Connector>>,
        now: Instant,
    ) -> Checker {
        let (subjects, leader) = (Vec::new(), None);
        let (is_paused, is_stopped) = (false, false);
        Checker {
            timeout,
            prefers_leader,
            leader,
            connector,
            subjects,
            needed_at: now,
            is_paused,
            is_stopped,
        }
    }

    /// Makes the endpoints that are checked those of the set that have checks.
    pub(super) fn sync<N: Net + Host>(&mut self, context: &mut Context<N>, set: &mut EndpointSet) {
        if self.is_stopped {
            return;
        }
        let wanted = checked(set);
        let mut gone = Vec::new();
        self.subjects.retain_mut(|subject| {
            let check = set.get(subject.endpoint).and_then(|found| found.health_check());
            let is_same = check == Some(&subject.check);
            let is_wanted = is_same && wanted.contains(&subject.endpoint);
            if !is_wanted {
                gone.push((subject.endpoint, subject.timer.take()));
            }
            is_wanted
        });
        for (endpoint, timer) in gone {
            if let Some(timer) = timer {
                context.wheel.cancel(timer);
            }
            self.abandon(context, set, endpoint);
        }
        for endpoint in wanted {
            if self.position(endpoint).is_none() {
                let check = set.get(endpoint).and_then(|found| found.health_check());
                let Some(check) = check else { continue };
                self.subjects.push(Subject {
                    endpoint,
                    check: check.clone(),
                    timer: None,
                    form: Form::first(&check.question),
                    is_kept: false,
                    has_no_space: false,
                });
            }
            self.sync_timer(context, set, endpoint);
        }
    }

    /// Makes the timer of an endpoint fire when its next check is due.
    pub(super) fn sync_timer<N: Net>(
        &mut self,
        context: &mut Context<N>,
        set: &EndpointSet,
        endpoint: EndpointId,
    ) {
        let Some(position) = self.position(endpoint).filter(|_| !self.is_stopped) else { return };
        let wanted = set.get(endpoint).and_then(|found| found.next_check_at());
        context.rearm(&mut self.subjects[position].timer, wanted, Timer::Check(endpoint));
    }

    /// Records that it matters how endpoints do: a client has come, or the admin side was asked.
    #[inline]
    pub(super) fn note_need<N: Net>(&mut self, context: &mut Context<N>, set: &mut EndpointSet) {
        self.needed_at = context.now;
        if self.is_paused {
            self.is_paused = false;
            set.resume_checks(context.now);
            checked(set).into_iter().for_each(|endpoint| self.sync_timer(context, set, endpoint));
        }
    }

    /// Handles the timer of an endpoint: asks it, if its check is due.
    pub(super) fn on_timer<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        set: &mut EndpointSet,
        endpoint: EndpointId,
    ) -> Decided {
        let Some(position) = self.position(endpoint) else { return Decided::default() };
        self.subjects[position].timer = None;
        let is_idle =
            context.metrics.pairs_open == 0 && self.needed_at + CHECKS_IDLE_AFTER <= context.now;
        if self.is_stopped || !set.begin_check(endpoint, is_idle, context.now) {
            self.is_paused |= is_idle;
            self.sync_timer(context, set, endpoint);
            return Decided::default();
        }
        context.metrics.checks.begun += 1;
        // The best form, each time: a member may have been without it for a moment.
        let subject = &mut self.subjects[position];
        subject.form = Form::first(&subject.check.question);
        if !set.get(endpoint).is_some_and(|found| found.health().is_active()) {
            // Whether it can be dialed is shown by a new connection alone.
            context.close_exchange_of(Owner::Check(endpoint));
        }
        match self.ask(context, set, position) {
            Ok(()) => Decided::default(),
            Err(result) => self.finish(context, set, position, (result, None)),
        }
    }

    /// Handles the report on an exchange.
    pub(super) fn on_report<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        set: &mut EndpointSet,
        endpoint: EndpointId,
        report: Report,
    ) -> Decided {
        let Some(position) = self.position(endpoint) else {
            debug_assert!(false, "the report of an endpoint that is gone");
            return Decided::default();
        };
        let next = match report {
            Report::Http(Received::Response(response)) => {
                self.on_response(context, set, position, &response)
            }
            // The server has closed a connection that was kept: perhaps it ends.
            Report::Http(Received::Closed) => {
                set.suspect(endpoint, Suspicion::Ended, context.now);
                self.sync_timer(context, set, endpoint);
                return Decided::default();
            }
            Report::Failed(error) => self.on_failure(position, error),
            Report::Http(Received::Head(_) | Received::Part(_) | Received::End)
            | Report::Message(_)
            | Report::Done => {
                debug_assert!(false, "a check has an answer in one piece");
                return Decided::default();
            }
        };
        let result = match next {
            Next::Finish(result, role) => (result, role),
            Next::Ask => match self.ask(context, set, position) {
                Ok(()) => return Decided::default(),
                Err(result) => (result, None),
            },
        };
        self.finish(context, set, position, result)
    }

    fn on_response<N: Net>(
        &mut self,
        context: &mut Context<N>,
        set: &EndpointSet,
        position: usize,
        response: &Response,
    ) -> Next {
        let subject = &mut self.subjects[position];
        match question::meaning(subject.form, response) {
            Meaning::AskAs(form) => {
                subject.form = form;
                Next::Ask
            }
            Meaning::Result(result, Facts { remarks, role }) => {
                note_space(context, set, subject, remarks);
                Next::Finish(result, role)
            }
        }
    }

    fn on_failure(&mut self, position: usize, error: ExchangeError) -> Next {
        let subject = &mut self.subjects[position];
        let was_kept = std::mem::take(&mut subject.is_kept);
        if was_kept && http::is_lost(error) {
            return Next::Ask;
        }
        let result = match error {
            ExchangeError::Net(error) => question::of_network(error),
            ExchangeError::Dialogue(DialogueError::Http(error)) => question::of_http(error),
            ExchangeError::Dialogue(DialogueError::Handshake(error)) => {
                question::of_handshake(error)
            }
        };
        Next::Finish(result, None)
    }

    /// Sends the question over the connection that is kept, or over a new one.
    fn ask<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        set: &EndpointSet,
        position: usize,
    ) -> Result<(), CheckResult> {
        let unknown = CheckResult::Failed(CheckFailure::Dial(DialFailure::Local));
        let Subject { endpoint, form, .. } = self.subjects[position];
        let found = set.get(endpoint).ok_or(unknown)?;
        let check = found.health_check().ok_or(unknown)?;
        let address = found.address();
        // A path has no port, and stays.
        let at_port = check.port.and_then(|port| Some(Address::from((address.ip()?, port))));
        let address = at_port.unwrap_or_else(|| address.clone());
        let request = question::request(check, form, address.port().unwrap_or(0));
        let request = request.map_err(|_| unknown)?;
        let (owner, limit) = (Owner::Check(endpoint), self.timeout);
        self.subjects[position].is_kept = context.has_idle_connection(owner);
        if context.send_request(owner, request.clone(), limit) {
            return Ok(());
        }
        self.subjects[position].is_kept = false;
        let client = Client::new(request, LIMITS, Delivery::Whole);
        let dialogue = http::dialogue(client, check.scheme, self.connector.as_deref(), &check.host);
        let dialogue = dialogue.map_err(question::of_handshake)?;
        let opened =
            context.open_stream(owner, Destination::Checked(&address), dialogue, Some(limit));
        opened.map_err(|error| {
            if !dial_failure(error).is_evidence() {
                let endpoint: Option<Value<'_>> = Some(&address);
                context.log(Event::DialFailedLocally { endpoint, reason: &error });
            }
            question::of_network(error)
        })
    }

    fn finish<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        set: &mut EndpointSet,
        position: usize,
        (result, role): (CheckResult, Option<Role>),
    ) -> Decided {
        let Subject { endpoint, form, is_kept, .. } = self.subjects[position];
        context.metrics.checks.add(result);
        if let CheckResult::Failed(_) | CheckResult::Unexpected { .. } = result {
            // An answer that comes late must not count as that of the next question.
            context.close_exchange_of(Owner::Check(endpoint));
        }
        let jitter = context.net.random();
        let leads_in = role.filter(|role| role.is_leader && self.prefers_leader);
        let leads_in = leads_in.map(|role| role.raft_term);
        let report =
            CheckReport { result, is_dialed: !is_kept, is_costly: form.is_costly(), leads_in };
        let (news, revived) = set.check_done(endpoint, report, context.now, jitter);
        self.sync_timer(context, set, endpoint);
        Decided { news, revived, has_new_leader: self.note_leader(role) }
    }

    /// Notes who leads. Returns whether that is another member than before, or in another term.
    fn note_leader(&mut self, role: Option<Role>) -> bool {
        let Some(Role { raft_term, leader: Some(leader), .. }) = role else { return false };
        match self.leader {
            // A member that does not know of the last election yet.
            Some((term, _)) if raft_term < term => false,
            before => {
                self.leader = Some((raft_term, leader));
                before.is_some() && before != self.leader
            }
        }
    }

    /// Ends all checks, and begins none from now on.
    pub(super) fn stop<N: Net + Host>(&mut self, context: &mut Context<N>, set: &mut EndpointSet) {
        self.is_stopped = true;
        for mut subject in std::mem::take(&mut self.subjects) {
            if let Some(timer) = subject.timer.take() {
                context.wheel.cancel(timer);
            }
            self.abandon(context, set, subject.endpoint);
        }
    }

    /// Closes the connection of an endpoint. A check that is under way ends undecided.
    fn abandon<N: Net + Host>(
        &self,
        context: &mut Context<N>,
        set: &mut EndpointSet,
        endpoint: EndpointId,
    ) {
        context.close_exchange_of(Owner::Check(endpoint));
        if set.check_abandoned(endpoint, context.now) {
            context.metrics.checks.abandoned += 1;
        }
    }

    fn position(&self, endpoint: EndpointId) -> Option<usize> {
        self.subjects.iter().position(|subject| subject.endpoint == endpoint)
    }
}

/// The endpoints that have checks.
fn checked(set: &EndpointSet) -> Vec<EndpointId> {
    let checked = set.iter().filter(|(_, endpoint)| {
        !endpoint.health().is_removed() && endpoint.health_check().is_some()
    });
    checked.map(|(id, _)| id).collect()
}

/// Logs that an endpoint has no space left, once.
fn note_space<N: Net>(
    context: &mut Context<N>,
    set: &EndpointSet,
    subject: &mut Subject,
    remarks: Remarks,
) {
    let is_news = remarks.has_no_space && !subject.has_no_space;
    subject.has_no_space = remarks.has_no_space;
    if let Some(endpoint) = set.address(subject.endpoint).filter(|_| is_news) {
        context.log(Event::EndpointHasNoSpace { endpoint });
    }
}
