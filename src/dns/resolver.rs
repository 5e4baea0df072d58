//! The stub resolver: look-ups under way, those that wait for their turn, and what they ask for.
//!
//! Owns the look-ups and the configuration. A pure state machine: no socket, no clock, no file.
//! The caller carries out the [`Command`]s, hands in what came of them, and calls
//! [`Resolver::advance`] after anything else that it did, and at the deadline.

use std::collections::VecDeque;
use std::time::Instant;

use super::lookup::Lookup;
use super::query::Surroundings;
use super::resolv_conf::ResolvConf;
use super::search::candidates;
use super::{Answer, Answered, Command, Exchange, Failure, LookupId, Subject, Wanted};
use crate::config::DNS_LOOKUPS_MAX;

/// What the resolver is asked.
#[derive(Clone, Debug)]
struct Request {
    id: LookupId,
    subject: Subject,
    wanted: Wanted,
}

/// Look-ups, by whose id they were asked for.
#[derive(Debug)]
pub struct Resolver {
    configuration: ResolvConf,
    /// The server that answered last, by its place in the configuration.
    server_first: usize,
    /// Exchanges so far: each has a number of its own.
    exchanges: u64,
    running: Vec<(Request, Lookup)>,
    waiting: VecDeque<Request>,
    commands: Vec<Command>,
    answers: VecDeque<Answered>,
}

impl Resolver {
    /// Nothing under way.
    pub fn new(configuration: ResolvConf) -> Resolver {
        Resolver {
            configuration,
            server_first: 0,
            exchanges: 0,
            running: Vec::new(),
            waiting: VecDeque::new(),
            commands: Vec::new(),
            answers: VecDeque::new(),
        }
    }

    /// From now on this is the configuration. What is under way begins anew.
    pub fn configure(&mut self, configuration: ResolvConf, now: Instant) {
        assert!(!configuration.servers.is_empty(), "resolv.conf(5) has a default");
        let running = std::mem::take(&mut self.running);
        for (request, mut lookup) in running.into_iter().rev() {
            self.with_surroundings(now, &mut || 0, |around| lookup.abandon(around));
            self.waiting.push_front(request);
        }
        self.configuration = configuration;
        self.server_first = 0;
    }

    /// Asks for a name. Exactly one [`Answered`] comes for each kind of record that the subject
    /// has, unless it is forgotten before. No second look-up may be asked for under an id before
    /// the first is over.
    pub fn look_up(&mut self, id: LookupId, subject: Subject, wanted: &Wanted) {
        debug_assert!(!self.is_asked(id), "two look-ups under one id");
        self.waiting.push_back(Request { id, subject, wanted: wanted.clone() });
    }

    /// The answer is not wanted any more, and will not come.
    pub fn forget(&mut self, id: LookupId, now: Instant) {
        self.waiting.retain(|request| request.id != id);
        self.answers.retain(|answered| answered.id != id);
        let Some(position) = self.running.iter().position(|(request, _)| request.id == id) else {
            return;
        };
        let (_, mut lookup) = self.running.swap_remove(position);
        self.with_surroundings(now, &mut || 0, |around| lookup.abandon(around));
    }

    /// Whether a look-up is under way or waits for its turn.
    pub fn is_asking(&self) -> bool {
        !self.running.is_empty() || !self.waiting.is_empty()
    }

    /// When to call [`Resolver::advance`] if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.running.iter().filter_map(|(_, lookup)| lookup.deadline()).min()
    }

    /// Does what time and free places allow.
    pub fn advance(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        for index in 0..self.running.len() {
            if self.running[index].1.deadline().is_some_and(|deadline| deadline <= now) {
                self.with_lookup(index, now, random, |lookup, around, tell| {
                    lookup.expire(around, tell);
                });
            }
        }
        self.start_waiting(now, random);
    }

    /// A message came in answer to an exchange, or news that none will. One that was closed may
    /// still be on its way here.
    pub fn on_exchange(
        &mut self,
        exchange: Exchange,
        outcome: Result<&[u8], Failure>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        let owner = self.running.iter().position(|(_, lookup)| lookup.owns(exchange));
        let Some(index) = owner else { return };
        self.with_lookup(index, now, random, |lookup, around, tell| {
            lookup.on_exchange(exchange, outcome, around, tell);
        });
        self.start_waiting(now, random);
    }

    /// What is to be done now, in this order.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// The next answer that nobody has taken yet.
    pub fn next_answer(&mut self) -> Option<Answered> {
        self.answers.pop_front()
    }

    fn is_asked(&self, id: LookupId) -> bool {
        let running = self.running.iter().map(|(request, _)| request);
        running.chain(&self.waiting).any(|request| request.id == id)
    }

    fn start_waiting(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.running.retain(|(_, lookup)| !lookup.is_over());
        while self.running.len() < DNS_LOOKUPS_MAX {
            let Some(request) = self.waiting.pop_front() else { break };
            let names = match &request.wanted {
                Wanted::Typed(text) => candidates(text, &self.configuration),
                Wanted::Exact(name) => vec![name.clone()],
            };
            if names.is_empty() {
                self.refuse(&request);
                continue;
            }
            let begin =
                |around: &mut Surroundings<'_>| Lookup::begin(request.subject, names, around);
            let lookup = self.with_surroundings(now, random, begin);
            self.running.push((request, lookup));
        }
    }

    /// The name can be none: too long once completed, for instance.
    fn refuse(&mut self, request: &Request) {
        for kind in request.subject.kinds() {
            let answer = Answer::Failed(Failure::NoName);
            self.answers.push_back(Answered { id: request.id, kind: *kind, answer });
        }
    }

    fn with_lookup(
        &mut self,
        index: usize,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
        action: impl FnOnce(
            &mut Lookup,
            &mut Surroundings<'_>,
            &mut dyn FnMut(super::message::Kind, Answer),
        ),
    ) {
        let (request, lookup) = &mut self.running[index];
        let id = request.id;
        let answers = &mut self.answers;
        let mut tell = |kind, answer| answers.push_back(Answered { id, kind, answer });
        let mut around = Surroundings {
            configuration: &self.configuration,
            server_first: &mut self.server_first,
            exchanges: &mut self.exchanges,
            commands: &mut self.commands,
            random,
            now,
        };
        action(lookup, &mut around, &mut tell);
    }

    fn with_surroundings<T>(
        &mut self,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
        action: impl FnOnce(&mut Surroundings<'_>) -> T,
    ) -> T {
        action(&mut Surroundings {
            configuration: &self.configuration,
            server_first: &mut self.server_first,
            exchanges: &mut self.exchanges,
            commands: &mut self.commands,
            random,
            now,
        })
    }
}
