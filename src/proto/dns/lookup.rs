//! One name on its way through the search list: which full name is asked for, and when the next.
//!
//! A host is looked up in both families at once. Its name is decided by the first full name that
//! has an address of either family; a family that has none there is not looked for elsewhere.
//!
//! ```text
//!   m.one.test   A ──► nothing ──┬─ a second at most ─► m.two.test   A ──► records: the name
//!             AAAA ──► silence ──┘                                AAAA ──► ...
//! ```
//!
//! Silence about one full name says nothing of the next: each zone has servers of its own behind
//! those that are asked. Only where the hosts of all name servers refuse is there nobody to ask.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::Kind;
use super::name::Name;
use super::query::{Conclusion, Query, Surroundings};
use super::{Answer, Answered, Command, Exchange, Failure, LookupId, Subject};
use crate::config::{DNS_FAMILY_GRACE, DNS_LOOKUP_MAX, DNS_TIMEOUT_MIN};

/// Names before the one that was found of which nobody could say whether they have records.
pub(super) type Undecided = Vec<(Kind, Vec<(Name, Failure)>)>;

/// A look-up under way.
#[derive(Debug)]
pub(super) struct Lookup {
    id: LookupId,
    /// The full name that is asked for now.
    name: Name,
    /// Full names that are still to be tried, the next one last; none once the name is decided.
    candidates: Vec<Name>,
    parts: Vec<Part>,
    /// Whether the present candidate is the first one, and the name as it was typed.
    is_own_now: bool,
    /// When all of it should be over.
    end_at: Instant,
}

/// One kind of record.
#[derive(Debug)]
struct Part {
    kind: Kind,
    state: State,
    /// Candidates so far of which no server could say whether they have such records.
    undecided: Vec<(Name, Failure)>,
    /// What is known of the name as it was typed, where that was the first candidate: that it has
    /// no such records.
    own: Option<(Name, Answer)>,
}

#[derive(Debug)]
enum State {
    /// To be asked for once the kind before it has its answer: `single-request`.
    Queued,
    Asking(Query),
    /// Decided for this candidate, but not for the look-up.
    Held(Conclusion),
    /// The caller knows.
    Told,
}

impl Part {
    fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued)
    }

    fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking(_))
    }

    /// Remembers what is known of the name as it was typed, if that is something.
    fn keep_own(&mut self, name: &Name) {
        if let State::Held(Conclusion::Nothing { exists, ttl }) = self.state {
            self.own = Some((name.clone(), Answer::Nothing { exists, ttl }));
        }
    }

    /// What the last conclusion, about the full name `last`, comes to. `is_found`: that name has
    /// records of some kind.
    fn answer(&mut self, conclusion: Conclusion, is_found: bool, last: &Name) -> (Name, Answer) {
        let failure = self.undecided.last().map(|(_, failure)| *failure);
        let answer = match (conclusion, failure) {
            (Conclusion::Records(records, ttl), _) => Answer::Records { records, ttl },
            (Conclusion::Nothing { exists, ttl }, None) => Answer::Nothing { exists, ttl },
            (Conclusion::Nothing { exists, ttl }, _) if is_found => Answer::Nothing { exists, ttl },
            (Conclusion::Failed(failure), _) | (_, Some(failure)) => {
                // As for the C library: that the name itself has none is not put in doubt by names
                // of which it is only the beginning.
                return self.own.take().unwrap_or((last.clone(), Answer::Failed(failure)));
            }
        };
        (last.clone(), answer)
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
    /// `is_own_first`: that one is the name as it was typed, and if it has no records, that counts
    /// although those that follow may only fail.
    pub(super) fn begin(
        id: LookupId,
        kinds: &[Kind],
        mut candidates: Vec<Name>,
        is_own_first: bool,
        around: &mut Surroundings<'_>,
    ) -> Lookup {
        candidates.reverse();
        let name = candidates.pop().expect("the caller looked");
        let part = |kind: &Kind| Part {
            kind: *kind,
            state: State::Queued,
            undecided: Vec::new(),
            own: None,
        };
        let mut lookup = Lookup {
            id,
            name,
            candidates,
            parts: kinds.iter().map(part).collect(),
            is_own_now: is_own_first,
            end_at: around.now + DNS_LOOKUP_MAX,
        };
        lookup.ask(around);
        lookup
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

    /// The full name that has records, once one is known to, and for each kind that is left the
    /// names before it of which nobody could say whether they have some.
    pub(super) fn found(&mut self) -> Option<(Name, Undecided)> {
        let is_found = self.is_found();
        let untold = self.parts.iter_mut().filter(|part| !matches!(part.state, State::Told));
        let undecided = untold.map(|part| (part.kind, std::mem::take(&mut part.undecided)));
        is_found.then(|| (self.name.clone(), undecided.collect()))
    }

    /// Goes on from an earlier look-up that has found the name.
    pub(super) fn go_on_from(&mut self, undecided: &Undecided) {
        for (kind, names) in undecided {
            let mut parts = self.parts.iter_mut();
            if let Some(part) = parts.find(|part| part.kind == *kind) {
                part.undecided.clone_from(names);
            }
        }
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
            State::Queued | State::Held(_) | State::Told => None,
        })
    }

    /// Asks for the kinds that are queued, all of them at once or the next one, about the present
    /// candidate. What time is left is shared by those that are left.
    fn ask(&mut self, around: &mut Surroundings<'_>) {
        let queued = self.parts.iter().filter(|part| part.is_queued()).count();
        let (at_once, rounds) = match around.configuration.one_by_one {
            true => (1, queued + self.candidates.len() * self.parts.len()),
            false => (queued, 1 + self.candidates.len()),
        };
        let left = self.end_at.saturating_duration_since(around.now);
        let time_max = (left / rounds.max(1) as u32).max(DNS_TIMEOUT_MIN);
        for part in self.parts.iter_mut().filter(|part| part.is_queued()).take(at_once) {
            let query = Query::begin(self.name.clone(), part.kind, time_max, around);
            part.state = State::Asking(query);
        }
    }

    fn settle(
        &mut self,
        index: usize,
        conclusion: Option<Conclusion>,
        around: &mut Surroundings<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        let Some(conclusion) = conclusion else { return };
        self.parts[index].state = State::Held(conclusion.clone());
        if let Conclusion::Records(..) = conclusion {
            // This is the name. What the other family held back is true of it, too.
            self.candidates.clear();
        }
        match conclusion {
            Conclusion::Records(..) => self.hurry(None, around.now),
            // Should the other question be lost, the next candidate would pass for the name. Of
            // the last one, if it exists, the other family is all that is left: worth waiting for.
            Conclusion::Nothing { exists, .. } if !exists || !self.candidates.is_empty() => {
                self.hurry(Some(DNS_FAMILY_GRACE / 2), around.now);
            }
            Conclusion::Nothing { .. } => {}
            Conclusion::Failed(failure) => {
                self.parts[index].undecided.push((self.name.clone(), failure));
            }
        }
        // One that is asked only now has all of its time.
        if !self.parts.iter().any(Part::is_asking) {
            self.ask(around);
        }
        if self.is_found() {
            self.tell_all(answers);
        } else if !self.parts.iter().any(Part::is_asking) {
            match self.candidates.is_empty() || self.is_nobody_there() {
                true => self.tell_all(answers),
                false => self.next_candidate(around),
            }
        }
    }

    /// One family has its answer. A server that never answers for the other must not keep this one
    /// from being asked for again in time, or the next candidate from being asked at all. `again`:
    /// when the other is asked for once more.
    fn hurry(&mut self, again: Option<Duration>, now: Instant) {
        for part in &mut self.parts {
            let State::Asking(query) = &mut part.state else { continue };
            query.give_up_by(now + DNS_FAMILY_GRACE);
            if let Some(again) = again {
                query.try_again_by(now + again);
            }
        }
    }

    /// Whether the present candidate has records of some kind.
    fn is_found(&self) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part.state, State::Told | State::Held(Conclusion::Records(..))))
    }

    /// Whether the hosts of all name servers refuse, whatever they are asked for.
    fn is_nobody_there(&self) -> bool {
        self.parts
            .iter()
            .all(|part| matches!(part.state, State::Held(Conclusion::Failed(Failure::Unreachable))))
    }

    /// Tells what is known of each kind of which nobody is asked any more.
    fn tell_all(&mut self, answers: &mut VecDeque<Answered>) {
        let is_found = self.is_found();
        for part in &mut self.parts {
            let State::Held(conclusion) = &part.state else { continue };
            let conclusion = conclusion.clone();
            part.state = State::Told;
            // Those that are left were not asked for since nobody is there.
            let left = self.candidates.iter().rev();
            part.undecided.extend(left.map(|name| (name.clone(), Failure::Unreachable)));
            let (name, answer) = part.answer(conclusion, is_found, &self.name);
            part.undecided.retain(|(other, _)| *other != name);
            answers.push_back(Answered {
                id: self.id,
                kind: part.kind,
                name: Some(name),
                answer,
                undecided: std::mem::take(&mut part.undecided),
                is_heard: false,
            });
        }
    }

    fn next_candidate(&mut self, around: &mut Surroundings<'_>) {
        let Some(name) = self.candidates.pop() else { return };
        if std::mem::take(&mut self.is_own_now) {
            self.parts.iter_mut().for_each(|part| part.keep_own(&self.name));
        }
        self.name = name;
        self.parts.iter_mut().for_each(|part| part.state = State::Queued);
        self.ask(around);
    }
}
