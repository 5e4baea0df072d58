//! One name on its way through the search list: which full name is asked for, and when the next.
//!
//! A host is looked up in both families at once. Its name is decided by the first full name that
//! has an address of either family; a family that has none there is not looked for elsewhere.

use std::collections::VecDeque;
use std::time::Instant;

use super::message::Kind;
use super::name::Name;
use super::query::{Conclusion, Query, Surroundings};
use super::{Answer, Answered, Command, Exchange, Failure, LookupId, Subject};
use crate::config::DNS_FAMILY_GRACE;

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Lookup {
    id: LookupId,
    /// The full name that is asked for now.
    name: Name,
    /// Full names that are still to be tried, the next one last.
    candidates: Vec<Name>,
    parts: Vec<Part>,
    /// Why candidates were not asked for at all, so that "nothing" would be a guess.
    silence: Option<Failure>,
}

/// One kind of record.
#[derive(Debug)]
struct Part {
    kind: Kind,
    state: State,
    /// Earlier candidates where a server failed, so that "nothing" would be a guess.
    undecided: Vec<(Name, Failure)>,
}

#[derive(Debug)]
enum State {
    Asking(Query),
    /// Decided for this candidate, but not for the look-up.
    Held(Conclusion),
    /// The caller knows.
    Told,
}

impl Part {
    fn failure(&self) -> Option<Failure> {
        match self.state {
            State::Held(Conclusion::Failed(failure)) => Some(failure),
            _ => None,
        }
    }
}

impl Subject {
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Subject::Host => &[Kind::A, Kind::Aaaa],
            Subject::Service => &[Kind::Srv],
        }
    }
}

impl Lookup {
    /// Begins with the first of the `candidates`, of which there is at least one.
    pub(super) fn begin(
        id: LookupId,
        kinds: &[Kind],
        mut candidates: Vec<Name>,
        around: &mut Surroundings<'_>,
    ) -> Lookup {
        candidates.reverse();
        let name = candidates.pop().expect("the caller looked");
        let part = |kind: &Kind| Part {
            kind: *kind,
            state: State::Asking(Query::begin(name.clone(), *kind, around)),
            undecided: Vec::new(),
        };
        let parts = kinds.iter().map(part).collect();
        Lookup { id, name, candidates, parts, silence: None }
    }

    /// Whether everything was told.
    pub(super) fn is_over(&self) -> bool {
        self.parts.iter().all(|part| matches!(part.state, State::Told))
    }

    /// Of which nothing was told.
    pub(super) fn kinds_untold(&self) -> impl Iterator<Item = Kind> {
        let untold = self.parts.iter().filter(|part| !matches!(part.state, State::Told));
        untold.map(|part| part.kind)
    }

    /// When to call [`Lookup::expire`]; none once it is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queries().map(Query::deadline).min()
    }

    pub(super) fn owns(&self, exchange: Exchange) -> bool {
        self.queries().any(|query| query.owns(exchange))
    }

    /// Time has passed.
    pub(super) fn expire(
        &mut self,
        around: &mut Surroundings<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        for index in 0..self.parts.len() {
            if let State::Asking(query) = &mut self.parts[index].state {
                let conclusion = query.expire(around);
                self.settle(index, conclusion, around, answers);
            }
        }
    }

    /// Something came of an exchange of ours: a message, or the news that it failed.
    pub(super) fn on_exchange(
        &mut self,
        exchange: Exchange,
        outcome: Result<&[u8], Failure>,
        around: &mut Surroundings<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        for index in 0..self.parts.len() {
            let State::Asking(query) = &mut self.parts[index].state else { continue };
            let conclusion = match outcome {
                Ok(bytes) => query.on_message(exchange, bytes, around),
                Err(failure) => query.on_failed(exchange, failure, around),
            };
            self.settle(index, conclusion, around, answers);
        }
    }

    /// Gives everything up.
    pub(super) fn abandon(&mut self, commands: &mut Vec<Command>) {
        for part in &mut self.parts {
            if let State::Asking(query) = &mut part.state {
                query.abandon(commands);
            }
            part.state = State::Told;
        }
    }

    fn queries(&self) -> impl Iterator<Item = &Query> {
        self.parts.iter().filter_map(|part| match &part.state {
            State::Asking(query) => Some(query),
            State::Held(_) | State::Told => None,
        })
    }

    fn queries_mut(&mut self) -> impl Iterator<Item = &mut Query> {
        self.parts.iter_mut().filter_map(|part| match &mut part.state {
            State::Asking(query) => Some(query),
            State::Held(_) | State::Told => None,
        })
    }

    fn settle(
        &mut self,
        index: usize,
        conclusion: Option<Conclusion>,
        around: &mut Surroundings<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        let Some(conclusion) = conclusion else { return };
        if let Conclusion::Records(..) = conclusion {
            // This is the name. What the other family held back is true of it, too.
            self.candidates.clear();
            self.silence = None;
        }
        self.parts[index].state = State::Held(conclusion);
        if self.is_name_decided() {
            self.tell_all(answers);
            // A server that never answers for one family must not keep the other from being asked
            // for again in time.
            let deadline = around.now + DNS_FAMILY_GRACE;
            self.queries_mut().for_each(|query| query.give_up_by(deadline));
        } else if self.queries().next().is_none() {
            self.next_candidate(around);
        }
    }

    /// Whether no other candidate will be asked: one has records, none is left, or nobody answers.
    fn is_name_decided(&self) -> bool {
        let is_final = |part: &Part| match &part.state {
            State::Told | State::Held(Conclusion::Records(..)) => true,
            // Who is silent about one name is silent about the next.
            State::Held(Conclusion::Failed(failure)) => failure.is_silence(),
            State::Held(Conclusion::Nothing { .. }) | State::Asking(_) => false,
        };
        let is_last = self.candidates.is_empty() && self.queries().next().is_none();
        is_last || self.parts.iter().any(is_final)
    }

    fn tell_all(&mut self, answers: &mut VecDeque<Answered>) {
        if !self.candidates.is_empty() {
            // Who is silent keeps us from the others, of which one may be the name.
            self.silence = self.silence.or_else(|| self.parts.iter().find_map(Part::failure));
        }
        let has_records =
            |part: &Part| matches!(part.state, State::Told | State::Held(Conclusion::Records(..)));
        let is_found = self.parts.iter().any(has_records);
        for part in &mut self.parts {
            let State::Held(conclusion) = &part.state else { continue };
            // Where no candidate has records, each that failed might be the name.
            let earlier = part.undecided.last().filter(|_| !is_found).map(|(_, failure)| *failure);
            let answer = match (conclusion.clone(), self.silence.or(earlier)) {
                (Conclusion::Records(records, ttl), _) => Answer::Records { records, ttl },
                (Conclusion::Failed(failure), _) => Answer::Failed(failure),
                (Conclusion::Nothing { .. }, Some(failure)) => Answer::Failed(failure),
                (Conclusion::Nothing { exists, ttl }, None) => Answer::Nothing { exists, ttl },
            };
            part.state = State::Told;
            answers.push_back(Answered {
                id: self.id,
                kind: part.kind,
                name: Some(self.name.clone()),
                answer,
                undecided: std::mem::take(&mut part.undecided),
            });
        }
    }

    fn next_candidate(&mut self, around: &mut Surroundings<'_>) {
        let Some(name) = self.candidates.pop() else { return };
        for part in &mut self.parts {
            let failure = part.failure();
            part.undecided.extend(failure.map(|failure| (self.name.clone(), failure)));
            part.state = State::Asking(Query::begin(name.clone(), part.kind, around));
        }
        self.name = name;
    }
}
