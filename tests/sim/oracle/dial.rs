//! Which endpoint may be dialed when, for a client and for the monitor.
//!
//! A client gets an active endpoint of the best class, in rotation; with none left, a real dial of
//! an inactive one, but few. The monitor alone dials an inactive one otherwise, at growing pauses.

use std::time::Duration;

use etcd_gateway::net::{Dial, NetError, Readiness};
use etcd_gateway::upstream::Check;

use super::checks::Doubt;
use super::endpoint::{Standing, State, is_evidence};
use super::rotation::{UNFAIRNESS_IN_FLUX_MAX, UNFAIRNESS_MAX};
use super::{Oracle, Seen};
use crate::connection::{Id, Role};
use crate::world::World;

impl Oracle {
    /// The endpoints that a client may be led to: active ones if there are any, of those the ones
    /// that do best by their checks; else inactive ones that were not dialed for a client just now.
    /// Of those that are known for sure, and `also`.
    fn choices_with(&self, world: &World, client: Id, also: Option<usize>) -> Vec<usize> {
        let tried = &self.books.accounts.of(client).tried;
        let watches = &self.watches.all;
        let mut untried: Vec<usize> = (0..watches.len())
            .filter(|index| !tried.contains(index))
            .filter(|index| also == Some(*index) || self.presence(world, *index).1)
            .collect();
        let best = self.watches.best_standing();
        let active = untried.iter().filter(|index| watches[**index].is_active());
        let classes = active.map(|index| watches[*index].class());
        // Where one does better, no client is led to the others, not even one that failed there.
        if let Some(class) = classes.min().filter(|class| best.is_none_or(|best| class.0 == best)) {
            untried.retain(|index| watches[*index].is_active());
            untried.retain(|index| watches[*index].class() == class);
            return untried;
        }
        let interval = world.context.plan.limits.retry.last_resort_interval;
        untried.retain(|index| watches[*index].is_last_resort());
        untried.retain(|index| watches[*index].is_rested(interval, world.context.turn_at));
        untried
    }

    /// The endpoints that a client may be led to, among those that are known for sure.
    pub(super) fn choices(&self, world: &World, client: Id) -> Vec<usize> {
        self.choices_with(world, client, None)
    }

    /// Whether there is an endpoint for the client without any delay.
    pub(super) fn has_active_choice(&self, world: &World, client: Id) -> bool {
        let choices = self.choices(world, client);
        choices.iter().any(|index| self.watches.all[*index].is_active())
    }

    /// The gateway decides about the client now. If it has no choice, the client's socket goes at
    /// the end of the turn, by when things may have changed.
    pub fn note_choices(&mut self, world: &World, client: Id) {
        if self.choices(world, client).is_empty() || self.is_in_flux(world) {
            let (now, turn) = (world.context.turn_at, world.context.turns);
            let client = self.books.accounts.of_mut(client);
            client.no_choice_in = Some(turn);
            client.waits_since.get_or_insert(now);
            client.waits_anew_since.get_or_insert(now);
        }
    }

    /// The same for clients that wait for a descriptor.
    pub fn note_choices_of_the_short(&mut self, world: &World) {
        let clients = self.books.accounts.clients.iter().copied();
        let short: Vec<Id> = clients.filter(|id| self.books.account(*id).short.is_some()).collect();
        short.into_iter().for_each(|client| self.note_choices(world, client));
    }

    /// The gateway begins a dial.
    pub fn check_dial(&mut self, world: &World, role: Role, is_short: bool) {
        match role {
            Role::Server { endpoint, client } => {
                self.books.record.dials += 1;
                self.check_client_dial(world, endpoint, client, is_short);
            }
            Role::Probe { endpoint } => {
                self.books.record.probes += 1;
                self.check_probe(world, endpoint);
            }
            Role::Client => panic!("a client is not dialed"),
        }
    }

    /// A dial has begun.
    pub fn dial_begins(&mut self, role: Role, id: Id) {
        if let Role::Probe { endpoint } = role {
            let probe = self.watches.all[endpoint].probe.as_mut();
            probe.expect("checked when the dial began").id = Some(id);
            self.books.accounts.probes.push(id);
        }
    }

    fn check_probe(&mut self, world: &World, endpoint: usize) {
        let now = world.context.turn_at;
        let may_begin = world.signals.terminations == 0
            || (world.context.plan.finds_endpoints() && self.books.is_last_round(world));
        assert!(may_begin, "a probe after the end was asked for");
        assert!(self.presence(world, endpoint).0, "a probe of {endpoint}, which no answer names");
        let is_hastened = self.is_hastened(world, endpoint);
        // One that took too long is over; its socket goes at the end of the turn.
        let last = self.watches.all[endpoint].probe.and_then(|probe| probe.id);
        let patience = world.context.plan.limits.connect_timeout;
        if let Some(last) =
            last.filter(|last| world.network.connections[*last].dialed_at + patience <= now)
        {
            self.dial_ended(world, last, Some(NetError::TimedOut));
        }
        let watch = &mut self.watches.all[endpoint];
        let State::Inactive { probe_at, .. } = watch.state else {
            panic!("a probe of an active endpoint: {watch:?}");
        };
        assert!(watch.probe.is_none(), "two probes of one endpoint: {watch:?}");
        let is_due = probe_at.0 <= now || is_hastened;
        assert!(is_due, "a probe that is not due at {now:?}: {watch:?}");
        watch.begin_probe(now);
    }

    /// Whether a client waits for the endpoint to prove itself, and it was not probed just now.
    fn is_hastened(&self, world: &World, endpoint: usize) -> bool {
        let watch = &self.watches.all[endpoint];
        let interval = world.context.plan.limits.retry.last_resort_interval;
        let is_rested = watch.failed_at + interval <= world.context.turn_at;
        let accounts = &self.books.accounts;
        let is_waited_for = accounts.clients.iter().any(|id| {
            accounts.pair_of(world, *id).is_none() && !self.has_active_choice(world, *id)
        });
        watch.check == Check::Tls && is_rested && is_waited_for
    }

    fn check_client_dial(&mut self, world: &World, endpoint: usize, client: Id, is_short: bool) {
        assert!(
            self.presence(world, endpoint).0,
            "{client} is led to {endpoint}, which no answer names"
        );
        let turn_lost_at = self.books.accounts.of(client).turn_lost_at;
        // A client that has come to wait for an endpoint no longer waits for a descriptor.
        let waits_anew_since = self.books.accounts.of(client).waits_anew_since;
        let has_waited_anew = world.context.plan.finds_endpoints() && waits_anew_since.is_some();
        if turn_lost_at.is_some() && !has_waited_anew {
            self.check_dial_again(world, client);
        }
        let state = self.books.accounts.of(client);
        let is_first = state.tried.is_empty() && state.short.is_none();
        let connections = &world.network.connections;
        let last = connections[client].server.map(|server| &connections[server]);
        assert!(last.is_none_or(|last| !last.is_open()), "two dials at once for {client}");
        let choices = self.choices_with(world, client, Some(endpoint));
        let is_in_flux = self.is_in_flux(world);
        let watches = &self.watches.all;
        let is_other_class = is_in_flux && watches[endpoint].is_active();
        let may = choices.contains(&endpoint) || is_other_class;
        assert!(may, "{client} may be led to {choices:?}, not to {endpoint}: {watches:?}");
        // It had its turn, and in the rotation no other client gets that.
        let keeps = turn_lost_at.filter(|_| !is_in_flux && !has_waited_anew);
        let keeps = keeps.filter(|at| watches[*at].is_active() && choices.contains(at));
        assert!(keeps.is_none_or(|at| at == endpoint), "{client} lost its turn at {keeps:?}");
        if !state.tried.is_empty() {
            self.books.record.saw(Seen::SecondChoice);
        }
        self.check_last_resort(world, endpoint, &choices);
        let watch = &mut self.watches.all[endpoint];
        if !is_short {
            watch.dialed_at = Some(world.context.turn_at);
            let state = self.books.accounts.of_mut(client);
            if state.waits_anew_since.take().is_some() && watch.is_active() {
                self.books.record.saw(Seen::WaitedAndDialed);
            }
            state.turn_lost_at = None;
        }
        if !is_short {
            self.checking().endpoints_are_needed(world);
            if !self.books.is_paused(world) {
                // Some were decided about before this dial, whose outcome may change things.
                self.note_choices_of_the_short(world);
            }
        }
        let watch = &self.watches.all[endpoint];
        if watch.is_active() && watch.standing == Standing::Failing {
            self.books.record.saw(Seen::FailedOpen);
        }
        if !watch.is_active() {
            self.books.record.saw(Seen::LastResortDial);
            if world.context.plan.finds_endpoints() && !is_short {
                // The next client of this turn finds it not rested, and may wait for another one.
                self.note_choices_of_the_short(world);
            }
        } else if keeps.is_some() {
            // Counted when it was led there.
        } else if is_first && !is_in_flux {
            let is_fixed = !world.context.plan.finds_endpoints();
            let most = if is_fixed { UNFAIRNESS_MAX } else { UNFAIRNESS_IN_FLUX_MAX };
            if self.watches.check_fairness(endpoint, most) {
                self.books.saw(Seen::FairnessChecked);
            }
        } else {
            self.watches.rotation_changed();
        }
    }

    /// Of several inactive endpoints it is the one that was not tried for longest, and of equal
    /// ones the better class: so an outage ends with the first of them that is back.
    fn check_last_resort(&self, world: &World, endpoint: usize, choices: &[usize]) {
        let watches = &self.watches.all;
        let (now, patience) = (world.context.turn_at, world.context.plan.limits.connect_timeout);
        // The turn that is asked to end gives probes up at some point.
        let is_in_doubt = self.books.is_last_round(world)
            || self.checks.in_doubt.iter().any(|doubt| watches[doubt.endpoint].is_in)
            || watches.iter().any(|watch| watch.is_in_doubt(patience, now));
        if watches[endpoint].is_active() || is_in_doubt {
            return;
        }
        let rank = watches[endpoint].rank();
        let is_first = choices.iter().all(|other| rank <= watches[*other].rank());
        assert!(is_first, "{endpoint} is not the longest untried of {choices:?}: {watches:?}");
    }

    /// The gateway tries again for a client that lacked a descriptor: once the pause is over, or
    /// in the round that finds out that it has to begin anew.
    fn check_dial_again(&self, world: &World, client: Id) {
        let is_same_round = self.books.pauses.began_in(world.context.turns);
        let may = is_same_round || !self.books.is_paused(world);
        assert!(may, "{client} is dialed for so soon after a shortage");
    }

    /// The gateway lacked a descriptor or memory for the dial.
    pub fn dial_fell_short(&mut self, world: &World, endpoint: usize, client: Option<Id>) {
        let now = world.context.turn_at;
        match client {
            Some(client) => {
                self.books.record.dials_short += 1;
                let state = self.books.accounts.of_mut(client);
                // The first dial follows the accept, unless the client had to wait for an endpoint;
                // a repeated one follows the pause.
                let has_waited_anew = state.waits_anew_since.is_some();
                let is_first = state.tried.is_empty() && state.short.is_none() && !has_waited_anew;
                let is_again = state.turn_lost_at.replace(endpoint).is_some();
                let first = state.short.map_or(now, |(first, _)| first);
                state.short = Some((first, now));
                state.waits_since.get_or_insert(now);
                self.books.fell_short(world, is_first || is_again);
                self.pipes.check_unused_go(world);
            }
            None => self.dial_failed(world, endpoint, None, now, NetError::Memory),
        }
    }

    /// The gateway learned that a dial failed.
    pub fn dial_failed(
        &mut self,
        world: &World,
        endpoint: usize,
        client: Option<Id>,
        begun_at: Duration,
        error: NetError,
    ) {
        let (now, limits) = (world.context.turn_at, world.context.plan.limits.retry);
        let evidence = is_evidence(error);
        let watch = &mut self.watches.all[endpoint];
        let Some(client) = client else {
            watch.probe_failed(evidence, &limits, now);
            self.books.record.probes_failed += 1;
            return self.books.record.saw(Seen::ProbeFailed);
        };
        self.books.record.dials_failed += 1;
        self.books.accounts.of_mut(client).tried.push(endpoint);
        match watch.state {
            State::Active { proven_at } if evidence && begun_at < proven_at => {
                self.books.record.saw(Seen::OldFailureIgnored);
            }
            State::Active { .. } if evidence => {
                watch.fail(&limits, now);
                self.watches.rotation_changed();
                self.checking().check_outage(world, endpoint);
            }
            State::Inactive { .. } if evidence => watch.has_failed_again(now),
            State::Active { .. } | State::Inactive { .. } => {}
        }
        if evidence {
            self.checking().suspect(world, endpoint);
        }
        self.note_choices(world, client);
    }

    /// The gateway learned how a dial ended that had begun.
    pub fn dial_ended(&mut self, world: &World, id: Id, error: Option<NetError>) {
        let connection = &world.network.connections[id];
        let begun_at = connection.dialed_at;
        self.books.accounts.of_mut(id).is_decided = true;
        let (endpoint, client) = match connection.role {
            Role::Server { endpoint, client } => (endpoint, Some(client)),
            Role::Probe { endpoint } => (endpoint, None),
            Role::Client => panic!("a client is not dialed"),
        };
        match error {
            Some(error) => self.dial_failed(world, endpoint, client, begun_at, error),
            None => self.dial_succeeded(world, id, endpoint, client),
        }
        if client.is_none() && error.is_none() {
            self.checking().suspect(world, endpoint);
        }
    }

    fn dial_succeeded(&mut self, world: &World, id: Id, endpoint: usize, client: Option<Id>) {
        let now = world.context.turn_at;
        let watch = &self.watches.all[endpoint];
        // What clients do there proves nothing of one that has to prove itself.
        let is_proof = client.is_none() || watch.check == Check::Connect || watch.is_active();
        if is_proof {
            if !watch.is_active() {
                self.checking().suspect(world, endpoint);
            }
            self.watches.succeed(endpoint, now);
        }
        let Some(client) = client else {
            self.watches.all[endpoint].probe = None;
            return self.books.saw(Seen::ProbeSucceeded);
        };
        let account = self.books.accounts.of_mut(id);
        (account.is_known, account.known_at) = (true, now);
        if world.network.connections[id].is_dead() {
            self.books.saw(Seen::LostBeforeTheLook);
        }
        if self.books.account(client).short.is_some() {
            self.books.saw(Seen::ShortAndServed);
        }
    }

    /// The gateway is about to look at a dial; `reported` is what it has of an event.
    pub fn check_dial_result(&self, world: &World, id: Id, reported: Readiness) {
        let is_true = world.network.connections[id].said.has(world.context.turns, reported);
        let is_none = reported == Readiness::default();
        assert!(is_true || is_none, "{id}: no event said so: {reported:?}");
        let is_known = self.books.account(id).is_known;
        assert!(!is_known, "{id}: a look at a dial that is known to be established");
    }

    /// The gateway has looked at a dial.
    pub fn dial_was_looked_at(&mut self, world: &World, id: Id, outcome: Dial) {
        let connection = &world.network.connections[id];
        // A connection of the monitor alone may prove nothing.
        let must_shake_hands = match connection.role {
            Role::Probe { endpoint } => world.context.plan.endpoints[endpoint].check == Check::Tls,
            Role::Client | Role::Server { .. } => false,
        };
        match outcome {
            Dial::Pending => {}
            Dial::Failed(error) => self.dial_ended(world, id, Some(error)),
            Dial::Lost(error) => self.dial_ended(world, id, must_shake_hands.then_some(error)),
            Dial::Connected if connection.meets_itself => {
                self.dial_ended(world, id, Some(NetError::OwnAddress));
            }
            Dial::Connected if must_shake_hands => {}
            Dial::Connected => self.dial_ended(world, id, None),
        }
    }

    /// The gateway closes a socket whose dial is not decided, as far as it knows.
    pub(super) fn check_dial_given_up(&mut self, world: &World, id: Id) {
        let connection = &world.network.connections[id];
        let (role, dialed_at) = (connection.role, connection.dialed_at);
        let is_overdue =
            dialed_at + world.context.plan.limits.connect_timeout <= world.context.turn_at;
        let endpoint = role.endpoint().expect("a client is not dialed");
        let may_be_gone = !self.presence(world, endpoint).1;
        let fails =
            matches!(role, Role::Server { .. }) && self.checking().may_be_left(world, endpoint);
        let is_client_gone = match role {
            Role::Server { client, .. } => world.network.connections[client].closed.is_some(),
            _ => world.signals.terminations > 0,
        };
        if may_be_gone && !is_overdue && !is_client_gone {
            self.books.dial_was_abandoned(endpoint);
            return self.leave_dial(world, role, endpoint);
        }
        if fails && !is_overdue && !is_client_gone {
            self.books.saw(Seen::DialLeftAsFailing);
            return self.leave_dial(world, role, endpoint);
        }
        let connection = &world.network.connections[id];
        assert!(is_overdue || is_client_gone, "{id}: a dial was given up before its time");
        let is_left = is_client_gone || may_be_gone;
        let has_stood = connection.is_established && !connection.is_dead() && !is_left;
        assert!(!has_stood || !matches!(role, Role::Server { .. }), "{id} stood and was given up");
        if is_client_gone {
            if let Role::Probe { endpoint } = role {
                self.watches.all[endpoint].probe = None;
            }
            return;
        }
        self.books.record.saw(Seen::DialTimedOut);
        let before = self.watches.all[endpoint].clone();
        if fails {
            // Its time is over in this turn or this tick, and it may have been left before that.
            let due_at = self.checks.all[endpoint].as_ref().map(|book| book.due_at);
            self.checks.in_doubt.push(Doubt { endpoint, before: before.clone(), due_at });
            self.books.record.dials_left_at_most += 1;
        }
        self.dial_ended(world, id, Some(NetError::TimedOut));
        if may_be_gone {
            // Its time is over and its endpoint gone at once: either may have been the reason.
            let watch = &mut self.watches.all[endpoint];
            match role {
                Role::Probe { .. } => {
                    watch.may_have_been_left(before);
                    self.books.record.probes_left_at_most += 1;
                }
                _ => {
                    watch.may_be_well |= before.is_active();
                    self.books.record.dials_left_at_most += 1;
                }
            }
        }
    }

    /// The dial's endpoint is gone, and that is nobody's failure.
    fn leave_dial(&mut self, world: &World, role: Role, endpoint: usize) {
        match role {
            Role::Server { client, .. } => {
                self.books.accounts.of_mut(client).tried.push(endpoint);
                self.note_choices(world, client);
            }
            _ => self.watches.all[endpoint].leave_probe(),
        }
    }

    /// The gateway goes on with a handshake.
    pub fn check_handshake(&self, world: &World, id: usize) {
        let connection = &world.network.connections[id];
        let Role::Probe { endpoint } = connection.role else {
            panic!("{id}: a handshake on a connection that is not a probe");
        };
        let is_meant = self.watches.all[endpoint].check == Check::Tls;
        assert!(is_meant, "{id}: a handshake with one that need not prove itself");
        assert!(
            connection.is_established,
            "{id}: a handshake before the connection is established"
        );
        assert!(!self.books.account(id).is_decided, "{id}: a handshake that is over");
    }

    /// The gateway has got the outcome of a handshake.
    pub fn handshake_ended(&mut self, world: &World, id: usize, error: Option<NetError>) {
        let seen = if error.is_some() { Seen::HandshakeFailed } else { Seen::HandshakeSucceeded };
        self.books.record.saw(seen);
        self.dial_ended(world, id, error);
    }
}
