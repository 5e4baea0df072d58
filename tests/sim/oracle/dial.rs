//! Which endpoint may be dialed when and by whom.
//!
//! A client gets an active endpoint of the best class, in rotation; with none left, a real dial of
//! an inactive one, but few. The monitor alone dials an inactive one otherwise, at growing pauses.

use std::time::Duration;

use etcd_gateway::net::NetError;

use super::endpoint::{Probe, State, Watch, is_evidence};
use super::{Oracle, Seen};
use crate::connection::{Id, Role};
use crate::world::World;

/// How far the rotation may be from even, in connections, over any stretch of time in which nobody
/// failed. At both ends of it an endpoint may be owed, or have had in advance, about one.
const UNFAIRNESS_MAX: f64 = 2.0;

/// The most that all endpoints of weight 0 may get together beside others, as a part of all:
/// RFC 2782 asks for "a very small chance", and this is twice the project's one percent.
const ZERO_SHARE_MAX: f64 = 0.02;

impl Oracle {
    pub fn probe_begins(&mut self, endpoint: usize, id: Id) {
        let probe = self.watches[endpoint].probe.as_mut();
        probe.expect("checked when the dial began").id = Some(id);
        self.probe_sockets.push(id);
    }

    fn succeed(&mut self, endpoint: usize, now: Duration) {
        if !self.watches[endpoint].is_active() {
            self.rotation_changed();
        }
        self.watches[endpoint].state = State::Active { proven_at: now };
    }

    /// From here on shares are counted anew.
    fn rotation_changed(&mut self) {
        self.watches.iter_mut().for_each(|watch| watch.picks = 0);
    }

    /// Someone of that class got a client by rotation.
    fn check_fairness(&mut self, endpoint: usize) {
        let class = self.watches[endpoint].priority;
        self.watches[endpoint].picks += 1;
        let mates = || self.watches.iter().filter(|it| it.priority == class && it.is_active());
        let zeros = mates().filter(|watch| watch.weight == 0).count();
        if zeros > 0 && zeros < mates().count() {
            let picks: u64 = mates().map(|watch| watch.picks).sum();
            let few: u64 = mates().filter(|it| it.weight == 0).map(|it| it.picks).sum();
            // Each may be owed one when this stretch of time begins.
            let most = picks as f64 * ZERO_SHARE_MAX + zeros as f64;
            assert!(
                few as f64 <= most,
                "{few} of {picks} to those of weight 0: {:?}",
                self.watches
            );
            return;
        }
        let weight = |watch: &Watch| f64::from(watch.weight.max(u16::from(zeros > 0)));
        let weights: f64 = mates().map(weight).sum();
        let picks: u64 = mates().map(|watch| watch.picks).sum();
        for watch in mates() {
            let want = picks as f64 * weight(watch) / weights;
            let off = (watch.picks as f64 - want).abs();
            assert!(off < UNFAIRNESS_MAX, "{off} off after {picks}: {:?}", self.watches);
        }
        self.saw(Seen::FairnessChecked);
    }
}

impl World {
    /// Whom a client may be led to: active ones if there are any, else inactive ones that were not
    /// dialed for a client just now.
    pub(super) fn choices(&self, client: Id) -> Vec<usize> {
        let tried = &self.connections[client].client.tried;
        let watches = || self.oracle.watches.iter().enumerate();
        let untried = || watches().filter(|(index, _)| !tried.contains(index));
        let active = || untried().filter(|(_, watch)| watch.is_active());
        if let Some(class) = active().map(|(_, watch)| watch.priority).min() {
            let best = active().filter(|(_, watch)| watch.priority == class);
            return best.map(|(index, _)| index).collect();
        }
        let interval = self.plan.limits.retry.last_resort_interval;
        let rested = untried().filter(|(_, watch)| watch.is_rested(interval, self.turn_at));
        rested.map(|(index, _)| index).collect()
    }

    /// The gateway decides now what becomes of the client. If it has no choice, the client's socket
    /// goes at the end of the turn, by when things may have changed.
    pub fn note_choices(&mut self, client: Id) {
        if self.choices(client).is_empty() {
            self.connections[client].client.no_choice_in = Some(self.oracle.turns);
        }
    }

    /// The same for clients that wait for a descriptor.
    pub fn note_choices_of_the_starved(&mut self) {
        let is_starved = |id: &&Id| self.connections[**id].client.starved.is_some();
        let starved: Vec<Id> = self.oracle.clients.iter().filter(is_starved).copied().collect();
        starved.into_iter().for_each(|client| self.note_choices(client));
    }

    /// The gateway begins a dial.
    pub fn check_dial(&mut self, endpoint: usize, client: Option<Id>, is_short: bool) {
        match client {
            Some(client) => {
                self.oracle.dials += 1;
                self.check_client_dial(endpoint, client, is_short);
            }
            None => {
                self.oracle.probes += 1;
                self.check_probe(endpoint);
            }
        }
    }

    fn check_probe(&mut self, endpoint: usize) {
        let now = self.turn_at;
        assert!(self.oracle.terminations == 0, "a probe after the end was asked for");
        // One that took too long is over; its socket goes at the end of the turn.
        let last = self.oracle.watches[endpoint].probe.and_then(|probe| probe.id);
        let patience = self.plan.limits.connect_timeout;
        if let Some(last) = last.filter(|last| self.connections[*last].dialed_at + patience <= now)
        {
            self.dial_ended(last, Some(NetError::TimedOut));
        }
        let watch = &mut self.oracle.watches[endpoint];
        let State::Inactive { probe_at, .. } = watch.state else {
            panic!("a probe of an active endpoint: {watch:?}");
        };
        assert!(watch.probe.is_none(), "two probes of one endpoint: {watch:?}");
        assert!(probe_at.0 <= now, "a probe that is not due at {now:?}: {watch:?}");
        watch.probe = Some(Probe { id: None, outage: watch.outages, begun_at: now });
    }

    fn check_client_dial(&mut self, endpoint: usize, client: Id, is_short: bool) {
        let starved_at = self.connections[client].client.starved_at;
        if starved_at.is_some() {
            self.check_dial_again(client);
        }
        let state = &self.connections[client].client;
        let is_first = state.tried.is_empty() && state.starved.is_none();
        let last = state.server.map(|server| &self.connections[server]);
        assert!(last.is_none_or(|last| !last.is_open()), "two dials at once for {client}");
        let choices = self.choices(client);
        let watches = &self.oracle.watches;
        let may = choices.contains(&endpoint);
        assert!(may, "{client} may be led to {choices:?}, not to {endpoint}: {watches:?}");
        // It had its turn, and in the rotation nobody else gets that.
        let keeps = starved_at.filter(|at| watches[*at].is_active() && choices.contains(at));
        assert!(keeps.is_none_or(|at| at == endpoint), "{client} lost its turn at {keeps:?}");
        if !state.tried.is_empty() {
            self.oracle.saw(Seen::SecondChoice);
        }
        self.check_last_resort(endpoint, &choices);
        let watch = &mut self.oracle.watches[endpoint];
        if !is_short {
            watch.dialed_at = Some(self.turn_at);
            self.connections[client].client.starved_at = None;
        }
        if !watch.is_active() {
            self.oracle.saw(Seen::LastResortDial);
        } else if keeps.is_some() {
            // Counted when it was led there.
        } else if is_first {
            self.oracle.check_fairness(endpoint);
        } else {
            self.oracle.rotation_changed();
        }
    }

    /// Of several inactive endpoints it is the one that nobody has tried for longest, and of equal
    /// ones the better class: so an outage ends with the first of them that is back.
    fn check_last_resort(&self, endpoint: usize, choices: &[usize]) {
        let watches = &self.oracle.watches;
        let (now, patience) = (self.turn_at, self.plan.limits.connect_timeout);
        // The turn that is asked to end gives probes up at some point.
        let is_in_doubt = self.oracle.is_last_round()
            || watches.iter().any(|watch| watch.is_in_doubt(patience, now));
        if watches[endpoint].is_active() || is_in_doubt {
            return;
        }
        let rank = |index: usize| (watches[index].tried_at(), watches[index].priority);
        let is_first = choices.iter().all(|other| rank(endpoint) <= rank(*other));
        assert!(is_first, "{endpoint} is not the longest untried of {choices:?}: {watches:?}");
    }

    /// The gateway tries again for a client that lacked a descriptor: once the pause is over, or
    /// in the round that finds out that it has to begin anew.
    fn check_dial_again(&self, client: Id) {
        let oracle = &self.oracle;
        let is_same_round = oracle.paused.is_some_and(|(_, turn)| turn == oracle.turns);
        let may = is_same_round || !oracle.is_paused(self.turn_at);
        assert!(may, "{client} is dialed for so soon after a shortage");
    }

    /// The gateway lacked a descriptor or memory for the dial.
    pub fn dial_fell_short(&mut self, endpoint: usize, client: Option<Id>) {
        let now = self.turn_at;
        match client {
            Some(client) => {
                let state = &mut self.connections[client].client;
                // The first dial follows the accept, a repeated one the pause.
                let is_first = state.tried.is_empty() && state.starved.is_none();
                let is_again = state.starved_at.replace(endpoint).is_some();
                let first = state.starved.map_or(now, |(first, _)| first);
                state.starved = Some((first, now));
                self.oracle.fell_short(now, is_first || is_again);
                self.check_unused_pipes_go();
            }
            None => self.dial_failed(endpoint, None, now, NetError::Memory),
        }
    }

    /// The gateway learned that a dial failed.
    pub fn dial_failed(
        &mut self,
        endpoint: usize,
        client: Option<Id>,
        begun_at: Duration,
        error: NetError,
    ) {
        let (now, limits) = (self.turn_at, self.plan.limits.retry);
        let evidence = is_evidence(error);
        let watch = &mut self.oracle.watches[endpoint];
        let Some(client) = client else {
            watch.probe_failed(evidence, &limits, now);
            return self.oracle.saw(Seen::ProbeFailed);
        };
        self.connections[client].client.tried.push(endpoint);
        match watch.state {
            State::Active { proven_at } if evidence && begun_at < proven_at => {
                self.oracle.saw(Seen::OldFailureIgnored);
            }
            State::Active { .. } if evidence => {
                watch.fail(&limits, now);
                self.oracle.rotation_changed();
            }
            State::Inactive { .. } if evidence => watch.failed_at = now,
            State::Active { .. } | State::Inactive { .. } => {}
        }
        self.note_choices(client);
    }

    /// The gateway learned how a dial ended that had begun.
    pub fn dial_ended(&mut self, id: Id, error: Option<NetError>) {
        let connection = &mut self.connections[id];
        let begun_at = connection.dialed_at;
        connection.is_decided = true;
        let (endpoint, client) = match connection.role {
            Role::Server { endpoint, client } => (endpoint, Some(client)),
            Role::Probe { endpoint } => (endpoint, None),
            Role::Client => panic!("a client is not dialed"),
        };
        match error {
            Some(error) => self.dial_failed(endpoint, client, begun_at, error),
            None => self.dial_succeeded(id, endpoint, client),
        }
    }

    fn dial_succeeded(&mut self, id: Id, endpoint: usize, client: Option<Id>) {
        let now = self.turn_at;
        self.oracle.succeed(endpoint, now);
        let connection = &mut self.connections[id];
        connection.progress_at = now;
        let Some(client) = client else {
            self.oracle.watches[endpoint].probe = None;
            return self.oracle.saw(Seen::ProbeSucceeded);
        };
        connection.is_known = true;
        connection.known_at = now;
        // A connection that stands takes bytes; no event needs to say so.
        connection.told.writable = true;
        if connection.is_dead() {
            self.oracle.saw(Seen::LostBeforeTheLook);
        }
        let client = &mut self.connections[client];
        client.progress_at = now;
        if client.client.starved.is_some() {
            self.oracle.saw(Seen::StarvedAndServed);
        }
    }

    /// The gateway closes a socket whose dial is not decided, as far as it knows.
    pub(super) fn check_dial_given_up(&mut self, id: Id) {
        let connection = &self.connections[id];
        let (role, dialed_at) = (connection.role, connection.dialed_at);
        let is_overdue = dialed_at + self.plan.limits.connect_timeout <= self.turn_at;
        let is_client_gone = match role {
            Role::Server { client, .. } => self.connections[client].closed.is_some(),
            _ => self.oracle.terminations > 0,
        };
        assert!(is_overdue || is_client_gone, "{id}: a dial was given up before its time");
        let has_stood = connection.stands && !connection.is_dead() && !is_client_gone;
        assert!(!has_stood || !matches!(role, Role::Server { .. }), "{id} stood and was given up");
        if is_client_gone {
            if let Role::Probe { endpoint } = role {
                self.oracle.watches[endpoint].probe = None;
            }
            return;
        }
        self.oracle.saw(Seen::DialTimedOut);
        self.dial_ended(id, Some(NetError::TimedOut));
    }

    /// Why a client that was never served may be closed.
    pub(super) fn check_unserved_close(&mut self, client: Id) {
        self.oracle.unserved += 1;
        let connection = &self.connections[client];
        let starved = connection.client.starved;
        let patience = self.plan.limits.connect_timeout;
        let is_starved = starved.is_some_and(|(first, _)| first + patience <= self.turn_at);
        let seen = if connection.loss_is_told() {
            Seen::ClientLostWhileDialed
        } else if self.is_drain_over() {
            Seen::EndedByDrain
        } else if is_starved {
            Seen::StarvedForTooLong
        } else {
            let had_none = connection.client.no_choice_in == Some(self.oracle.turns);
            let choices = self.choices(client);
            let watches = &self.oracle.watches;
            let is_refused = had_none || choices.is_empty();
            assert!(is_refused, "{client} could be led to {choices:?}: {watches:?}");
            self.oracle.turned_away += 1;
            match connection.client.tried.is_empty() {
                true => Seen::NoEndpointToDial,
                false => Seen::EveryEndpointTried,
            }
        };
        self.oracle.saw(seen);
    }
}
