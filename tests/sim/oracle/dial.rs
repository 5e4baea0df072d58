//! Which endpoint may be dialed when and by whom.
//!
//! A client gets an active endpoint of the best class, in rotation; with none left, a real dial of
//! an inactive one, but few. The monitor alone dials an inactive one otherwise, at growing pauses.

use std::time::Duration;

use etcd_gateway::net::NetError;
use etcd_gateway::upstream::Check;

use super::endpoint::{State, Watch, is_evidence};
use super::{Oracle, Seen};
use crate::connection::{Id, Role};
use crate::world::World;

/// How far the rotation may be from even, in connections, over any stretch of time in which nobody
/// failed. At both ends of it an endpoint may be owed, or have had in advance, about one.
const UNFAIRNESS_MAX: f64 = 2.0;

/// The same where endpoints come and go all the time: what those who leave were owed is shared out
/// among those who stay, so at either end of a stretch it may be about half a connection more.
const UNFAIRNESS_IN_FLUX_MAX: f64 = 3.0;

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
    pub(super) fn rotation_changed(&mut self) {
        self.watches.iter_mut().for_each(|watch| watch.picks = 0);
    }

    /// Someone of that class got a client by rotation.
    fn check_fairness(&mut self, endpoint: usize) {
        let class = self.watches[endpoint].priority;
        self.watches[endpoint].picks += 1;
        let is_mate = |it: &&Watch| it.is_in && it.priority == class && it.is_active();
        let mates = || self.watches.iter().filter(is_mate);
        let zeros = mates().filter(|watch| watch.weight == 0.0).count();
        if zeros > 0 && zeros < mates().count() {
            let picks: u64 = mates().map(|watch| watch.picks).sum();
            let few: u64 = mates().filter(|it| it.weight == 0.0).map(|it| it.picks).sum();
            // Each may be owed one when this stretch of time begins.
            let most = picks as f64 * ZERO_SHARE_MAX + zeros as f64;
            assert!(
                few as f64 <= most,
                "{few} of {picks} to those of weight 0: {:?}",
                self.watches
            );
            return;
        }
        let weight = |watch: &Watch| if zeros > 0 { 1.0 } else { watch.weight };
        let weights: f64 = mates().map(weight).sum();
        let picks: u64 = mates().map(|watch| watch.picks).sum();
        let most = if self.names.is_some() { UNFAIRNESS_IN_FLUX_MAX } else { UNFAIRNESS_MAX };
        for watch in mates() {
            let want = picks as f64 * weight(watch) / weights;
            let off = (watch.picks as f64 - want).abs();
            assert!(off < most, "{off} off after {picks}: {:?}", self.watches);
        }
        self.saw(Seen::FairnessChecked);
    }
}

impl World {
    /// Whom a client may be led to: active ones if there are any, else inactive ones that were not
    /// dialed for a client just now. Of those that are known for sure, and `also`.
    fn choices_with(&self, client: Id, also: Option<usize>) -> Vec<usize> {
        let tried = &self.connections[client].client.tried;
        let watches = || self.oracle.watches.iter().enumerate();
        let is_there = |index: usize| also == Some(index) || self.presence(index).1;
        let untried = || watches().filter(|(index, _)| !tried.contains(index) && is_there(*index));
        let active = || untried().filter(|(_, watch)| watch.is_active());
        if let Some(class) = active().map(|(_, watch)| watch.priority).min() {
            let best = active().filter(|(_, watch)| watch.priority == class);
            return best.map(|(index, _)| index).collect();
        }
        let interval = self.context.plan.limits.retry.last_resort_interval;
        let last = untried().filter(|(_, watch)| watch.is_last_resort());
        let rested = last.filter(|(_, watch)| watch.is_rested(interval, self.context.turn_at));
        rested.map(|(index, _)| index).collect()
    }

    /// Whom a client may be led to, among those that are known for sure.
    pub(super) fn choices(&self, client: Id) -> Vec<usize> {
        self.choices_with(client, None)
    }

    /// Whether somebody is there for the client without any delay.
    pub(super) fn has_active_choice(&self, client: Id) -> bool {
        let choices = self.choices(client);
        choices.iter().any(|index| self.oracle.watches[*index].is_active())
    }

    /// The gateway decides now what becomes of the client. If it has no choice, the client's socket
    /// goes at the end of the turn, by when things may have changed.
    pub fn note_choices(&mut self, client: Id) {
        if self.choices(client).is_empty() || self.is_in_flux() {
            let (now, turn) = (self.context.turn_at, self.oracle.turns);
            let client = &mut self.connections[client].client;
            client.no_choice_in = Some(turn);
            client.held_first.get_or_insert(now);
            client.held_anew.get_or_insert(now);
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
        let now = self.context.turn_at;
        let may_begin = self.oracle.terminations == 0
            || (self.context.plan.names.is_some() && self.oracle.is_last_round());
        assert!(may_begin, "a probe after the end was asked for");
        assert!(self.presence(endpoint).0, "a probe of {endpoint}, which nobody has named");
        let is_hastened = self.is_hastened(endpoint);
        // One that took too long is over; its socket goes at the end of the turn.
        let last = self.oracle.watches[endpoint].probe.and_then(|probe| probe.id);
        let patience = self.context.plan.limits.connect_timeout;
        if let Some(last) = last.filter(|last| self.connections[*last].dialed_at + patience <= now)
        {
            self.dial_ended(last, Some(NetError::TimedOut));
        }
        let watch = &mut self.oracle.watches[endpoint];
        let State::Inactive { probe_at, .. } = watch.state else {
            panic!("a probe of an active endpoint: {watch:?}");
        };
        assert!(watch.probe.is_none(), "two probes of one endpoint: {watch:?}");
        let is_due = probe_at.0 <= now || is_hastened;
        assert!(is_due, "a probe that is not due at {now:?}: {watch:?}");
        watch.begin_probe(now);
    }

    /// Whether somebody waits for the endpoint to prove itself, and nobody has asked it just now.
    fn is_hastened(&self, endpoint: usize) -> bool {
        let watch = &self.oracle.watches[endpoint];
        let interval = self.context.plan.limits.retry.last_resort_interval;
        let is_rested = watch.failed_at + interval <= self.context.turn_at;
        let waits = |id: &Id| self.pair_of(*id).is_none() && !self.has_active_choice(*id);
        let is_waited_for = self.oracle.clients.iter().any(waits);
        watch.check == Check::Tls && is_rested && is_waited_for
    }

    fn check_client_dial(&mut self, endpoint: usize, client: Id, is_short: bool) {
        assert!(self.presence(endpoint).0, "{client} is led to {endpoint}, which nobody has named");
        let starved_at = self.connections[client].client.starved_at;
        // Who has come to wait for an endpoint does not wait for a descriptor any more.
        let held_anew = self.connections[client].client.held_anew;
        let was_held = self.context.plan.names.is_some() && held_anew.is_some();
        if starved_at.is_some() && !was_held {
            self.check_dial_again(client);
        }
        let state = &self.connections[client].client;
        let is_first = state.tried.is_empty() && state.starved.is_none();
        let last = state.server.map(|server| &self.connections[server]);
        assert!(last.is_none_or(|last| !last.is_open()), "two dials at once for {client}");
        let choices = self.choices_with(client, Some(endpoint));
        let is_in_flux = self.is_in_flux();
        let watches = &self.oracle.watches;
        let is_other_class = is_in_flux && watches[endpoint].is_active();
        let may = choices.contains(&endpoint) || is_other_class;
        assert!(may, "{client} may be led to {choices:?}, not to {endpoint}: {watches:?}");
        // It had its turn, and in the rotation nobody else gets that.
        let keeps = starved_at.filter(|_| !is_in_flux && !was_held);
        let keeps = keeps.filter(|at| watches[*at].is_active() && choices.contains(at));
        assert!(keeps.is_none_or(|at| at == endpoint), "{client} lost its turn at {keeps:?}");
        if !state.tried.is_empty() {
            self.oracle.saw(Seen::SecondChoice);
        }
        self.check_last_resort(endpoint, &choices);
        let watch = &mut self.oracle.watches[endpoint];
        if !is_short {
            watch.dialed_at = Some(self.context.turn_at);
            let state = &mut self.connections[client].client;
            if state.held_anew.take().is_some() && watch.is_active() {
                self.oracle.saw(Seen::WaitedAndDialed);
            }
            state.starved_at = None;
        }
        let watch = &self.oracle.watches[endpoint];
        if !watch.is_active() {
            self.oracle.saw(Seen::LastResortDial);
            if self.context.plan.names.is_some() && !is_short {
                // Who comes next in this turn finds it not rested, and may wait for another one.
                self.note_choices_of_the_starved();
            }
        } else if keeps.is_some() {
            // Counted when it was led there.
        } else if is_first && !is_in_flux {
            self.oracle.check_fairness(endpoint);
        } else {
            self.oracle.rotation_changed();
        }
    }

    /// Of several inactive endpoints it is the one that nobody has tried for longest, and of equal
    /// ones the better class: so an outage ends with the first of them that is back.
    fn check_last_resort(&self, endpoint: usize, choices: &[usize]) {
        let watches = &self.oracle.watches;
        let (now, patience) = (self.context.turn_at, self.context.plan.limits.connect_timeout);
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
        let may = is_same_round || !oracle.is_paused(self.context.turn_at);
        assert!(may, "{client} is dialed for so soon after a shortage");
    }

    /// The gateway lacked a descriptor or memory for the dial.
    pub fn dial_fell_short(&mut self, endpoint: usize, client: Option<Id>) {
        let now = self.context.turn_at;
        match client {
            Some(client) => {
                let state = &mut self.connections[client].client;
                // The first dial follows the accept, unless the client had to wait for an endpoint;
                // a repeated one follows the pause.
                let was_held = state.held_anew.is_some();
                let is_first = state.tried.is_empty() && state.starved.is_none() && !was_held;
                let is_again = state.starved_at.replace(endpoint).is_some();
                let first = state.starved.map_or(now, |(first, _)| first);
                state.starved = Some((first, now));
                state.held_first.get_or_insert(now);
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
        let (now, limits) = (self.context.turn_at, self.context.plan.limits.retry);
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
        let now = self.context.turn_at;
        let watch = &self.oracle.watches[endpoint];
        // What clients do there proves nothing of one that has to prove itself.
        let is_proof = client.is_none() || watch.check == Check::Connect || watch.is_active();
        if is_proof {
            self.oracle.succeed(endpoint, now);
        }
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
        let is_overdue =
            dialed_at + self.context.plan.limits.connect_timeout <= self.context.turn_at;
        let endpoint = role.endpoint().expect("a client is not dialed");
        let may_be_gone = !self.presence(endpoint).1;
        let is_client_gone = match role {
            Role::Server { client, .. } => self.connections[client].closed.is_some(),
            _ => self.oracle.terminations > 0,
        };
        if may_be_gone && !is_overdue && !is_client_gone {
            return self.leave_dial(role, endpoint);
        }
        let connection = &self.connections[id];
        assert!(is_overdue || is_client_gone, "{id}: a dial was given up before its time");
        let is_left = is_client_gone || may_be_gone;
        let has_stood = connection.stands && !connection.is_dead() && !is_left;
        assert!(!has_stood || !matches!(role, Role::Server { .. }), "{id} stood and was given up");
        if is_client_gone {
            if let Role::Probe { endpoint } = role {
                self.oracle.watches[endpoint].probe = None;
            }
            return;
        }
        self.oracle.saw(Seen::DialTimedOut);
        let before = self.oracle.watches[endpoint].clone();
        self.dial_ended(id, Some(NetError::TimedOut));
        if may_be_gone {
            // Its time is over and its endpoint gone at once: either may have been the reason.
            let watch = &mut self.oracle.watches[endpoint];
            match role {
                Role::Probe { .. } => watch.may_have_been_left(before),
                _ => watch.may_be_well |= before.is_active(),
            }
        }
    }

    /// The dial's endpoint is gone, and that is nobody's failure.
    fn leave_dial(&mut self, role: Role, endpoint: usize) {
        self.dial_was_left(endpoint);
        match role {
            Role::Server { client, .. } => {
                self.connections[client].client.tried.push(endpoint);
                self.note_choices(client);
            }
            _ => self.oracle.watches[endpoint].leave_probe(),
        }
    }

    /// A client is closed for want of an endpoint, and has not waited as long as it may: then there
    /// must be nothing to wait for.
    fn check_no_hope(&self, client: Id) {
        // Asked to end, the gateway looks for nobody any more.
        if self.context.plan.names.is_none() || self.oracle.terminations > 0 {
            return;
        }
        let watches = || self.oracle.watches.iter().enumerate();
        let is_known = watches().any(|(index, _)| self.presence(index).0);
        assert!(is_known, "{client}: turned away while no endpoint is known");
        assert!(!self.is_asking(), "{client}: turned away while names are looked up");
        let is_unproven = |watch: &super::endpoint::Watch| {
            watch.is_in && watch.check == Check::Tls && !watch.is_active()
        };
        let awaits = |(index, watch): (usize, &super::endpoint::Watch)| {
            is_unproven(watch) && self.presence(index).1 && watch.failed_at < self.context.turn_at
        };
        assert!(!watches().any(awaits), "{client}: turned away while one may prove itself");
    }

    /// Why a client that was never served may be closed.
    pub(super) fn check_unserved_close(&mut self, client: Id) {
        self.oracle.unserved += 1;
        let connection = &self.connections[client];
        let starved = connection.client.starved;
        let patience = self.context.plan.limits.connect_timeout;
        let is_starved = starved.is_some_and(|(first, _)| first + patience <= self.context.turn_at);
        let held_first = connection.client.held_first.filter(|_| self.context.plan.names.is_some());
        let has_waited = held_first.is_some_and(|first| first + patience <= self.context.turn_at);
        let seen = if connection.loss_is_told() {
            Seen::ClientLostWhileDialed
        } else if self.is_drain_over() {
            Seen::EndedByDrain
        } else if is_starved {
            Seen::StarvedForTooLong
        } else if has_waited {
            Seen::WaitedForTooLong
        } else {
            self.check_no_hope(client);
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
