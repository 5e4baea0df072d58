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
//! those that are asked. Only if the hosts of all name servers refuse, the next is not asked for.

mod invariants;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::Kind;
use super::name::Name;
use super::query::{Query, QueryContext};
use super::{Answer, Answered, Command, Failure, LookupId, QuestionId, Subject};
use crate::config::{DNS_FAMILY_GRACE, DNS_LOOKUP_MAX, DNS_TIMEOUT_MIN};

/// For each kind the full names before the one that was found for which no server could say whether
/// they have such records.
pub(super) type Unanswered = Vec<(Kind, Vec<(Name, Failure)>)>;

/// A look-up under way.
///
/// Invariant, after each event: a kind is being asked for, or all are reported. No candidate is
/// left once a kind has records or is reported.
#[derive(Debug)]
pub(super) struct Lookup {
    id: LookupId,
    /// The full name that is asked for now.
    name: Name,
    /// Full names that are still to be tried, the next one last; none once the name is decided.
    candidates: Vec<Name>,
    parts: Vec<Part>,
    /// Whether the present candidate is the first one, and the name as it was typed.
    is_typed_now: bool,
    /// When all of it should be over.
    end_at: Instant,
}

/// One kind of record.
#[derive(Debug)]
struct Part {
    kind: Kind,
    state: State,
    /// Candidates so far for which no server could say whether they have such records.
    unanswered: Vec<(Name, Failure)>,
    /// The name as it was typed, if it was the first candidate and is known to have no such
    /// records, and that answer.
    typed: Option<(Name, Answer)>,
}

#[derive(Debug)]
enum State {
    /// To be asked for once the kind before it has its answer: `single-request`.
    Queued,
    /// A query is under way.
    Asking(Query),
    /// Answered for this candidate, while the name of the look-up is still open.
    Undecided(Answer),
    /// The caller has the answer.
    Reported,
}

impl Part {
    fn new(kind: Kind) -> Part {
        Part { kind, state: State::Queued, unanswered: Vec::new(), typed: None }
    }

    fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued)
    }

    fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking(_))
    }

    fn is_reported(&self) -> bool {
        matches!(self.state, State::Reported)
    }

    /// Whether the present candidate has such records.
    fn has_records(&self) -> bool {
        matches!(self.state, State::Undecided(Answer::Records { .. }))
    }

    /// Remembers that the name as it was typed has no such records, if that is known.
    fn keep_typed(&mut self, name: &Name) {
        if let State::Undecided(answer @ Answer::Nothing { .. }) = &self.state {
            self.typed = Some((name.clone(), answer.clone()));
        }
    }

    /// The answer for the caller, and the full name that it is about, from the last one, about
    /// `last`. `is_found`: that name has records of some kind.
    fn final_answer(&mut self, answer: Answer, is_found: bool, last: &Name) -> (Name, Answer) {
        let failure = self.unanswered.last().map(|(_, failure)| *failure);
        match (answer, failure) {
            (answer @ Answer::Records { .. }, _) => (last.clone(), answer),
            (answer @ Answer::Nothing { .. }, None) => (last.clone(), answer),
            (answer @ Answer::Nothing { .. }, _) if is_found => (last.clone(), answer),
            // As for the C library: that the name itself has none is not put in doubt by names of
            // which it is only the beginning.
            (Answer::Failed(failure), _) | (_, Some(failure)) => {
                self.typed.take().unwrap_or((last.clone(), Answer::Failed(failure)))
            }
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
    /// `is_typed_first`: that one is the name as it was typed, and if it has no records, that
    /// counts although those that follow may only fail.
    pub(super) fn begin(
        id: LookupId,
        kinds: &[Kind],
        mut candidates: Vec<Name>,
        is_typed_first: bool,
        context: &mut QueryContext<'_>,
    ) -> Lookup {
        assert!(!kinds.is_empty());
        candidates.reverse();
        let name = candidates.pop().expect("the caller looked");
        let mut lookup = Lookup {
            id,
            name,
            candidates,
            parts: kinds.iter().copied().map(Part::new).collect(),
            is_typed_now: is_typed_first,
            end_at: context.now + DNS_LOOKUP_MAX,
        };
        lookup.ask(context);
        debug_assert!(lookup.is_asking(), "begun without a question");
        lookup.invariants();
        lookup
    }

    /// Whether every answer was reported.
    pub(super) fn is_over(&self) -> bool {
        self.parts.iter().all(Part::is_reported)
    }

    /// The kinds whose answers were not reported.
    pub(super) fn pending_kinds(&self) -> impl Iterator<Item = Kind> {
        self.parts.iter().filter(|part| !part.is_reported()).map(|part| part.kind)
    }

    /// The full name that has records, once one is known to, and for each pending kind the names
    /// before it for which no server could say whether they have some.
    pub(super) fn found(&mut self) -> Option<(Name, Unanswered)> {
        let is_found = self.is_found();
        let pending = self.parts.iter_mut().filter(|part| !part.is_reported());
        let unanswered = pending.map(|part| (part.kind, std::mem::take(&mut part.unanswered)));
        is_found.then(|| (self.name.clone(), unanswered.collect()))
    }

    /// Resumes an earlier look-up that has found the name.
    pub(super) fn resume(&mut self, unanswered: &Unanswered) {
        for (kind, names) in unanswered {
            let mut parts = self.parts.iter_mut();
            if let Some(part) = parts.find(|part| part.kind == *kind) {
                part.unanswered.clone_from(names);
            }
        }
    }

    /// When to call [`Lookup::expire`]; none once it is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queries().map(Query::deadline).min()
    }

    /// Whether the question belongs to one of its queries.
    pub(super) fn owns(&self, question: QuestionId) -> bool {
        self.queries().any(|query| query.owns(question))
    }

    /// Does what is due.
    pub(super) fn expire(
        &mut self,
        context: &mut QueryContext<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        for index in 0..self.parts.len() {
            if let State::Asking(query) = &mut self.parts[index].state {
                let answer = query.expire(context);
                self.decide(index, answer, context, answers);
            }
        }
        self.invariants();
    }

    /// Takes the outcome of one of its questions: a message, or the news that it failed.
    pub(super) fn on_outcome(
        &mut self,
        question: QuestionId,
        outcome: Result<&[u8], Failure>,
        context: &mut QueryContext<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        debug_assert!(self.owns(question), "a question of another look-up");
        for index in 0..self.parts.len() {
            let State::Asking(query) = &mut self.parts[index].state else { continue };
            let answer = match outcome {
                Ok(bytes) => query.on_message(question, bytes, context),
                Err(failure) => query.on_failed(question, failure, context),
            };
            self.decide(index, answer, context, answers);
        }
        self.invariants();
    }

    /// Gives everything up.
    pub(super) fn abandon(&mut self, commands: &mut Vec<Command>) {
        for part in &mut self.parts {
            if let State::Asking(query) = &mut part.state {
                query.abandon(commands);
            }
            part.state = State::Reported;
        }
        assert!(self.is_over() && self.deadline().is_none());
    }

    fn queries(&self) -> impl Iterator<Item = &Query> {
        self.parts.iter().filter_map(|part| match &part.state {
            State::Asking(query) => Some(query),
            State::Queued | State::Undecided(_) | State::Reported => None,
        })
    }

    fn is_asking(&self) -> bool {
        self.parts.iter().any(Part::is_asking)
    }

    /// Asks for the kinds that are queued, all of them at once or the next one, about the present
    /// candidate. What time is left is shared by those that are left.
    fn ask(&mut self, context: &mut QueryContext<'_>) {
        let queued = self.parts.iter().filter(|part| part.is_queued()).count();
        let (at_once, rounds) = match context.configuration.one_by_one {
            true => (1, queued + self.candidates.len() * self.parts.len()),
            false => (queued, 1 + self.candidates.len()),
        };
        let left = self.end_at.saturating_duration_since(context.now);
        let time_max = (left / rounds.max(1) as u32).max(DNS_TIMEOUT_MIN);
        for part in self.parts.iter_mut().filter(|part| part.is_queued()).take(at_once) {
            let query = Query::begin(self.name.clone(), part.kind, time_max, context);
            part.state = State::Asking(query);
        }
        debug_assert!(queued == 0 || self.is_asking(), "asked for nothing");
        let asking = self.queries().count();
        debug_assert!(asking <= 1 || !context.configuration.one_by_one, "two at once");
    }

    /// Takes the answer of a query, if there is one, and decides what follows: another kind, the
    /// next candidate, or the end.
    fn decide(
        &mut self,
        index: usize,
        answer: Option<Answer>,
        context: &mut QueryContext<'_>,
        answers: &mut VecDeque<Answered>,
    ) {
        let Some(answer) = answer else { return };
        debug_assert!(self.parts[index].is_answered(), "sockets of a question that is over");
        match &answer {
            Answer::Records { .. } => {
                // This is the name. What is still open of the other family is true of it, too.
                self.candidates.clear();
                self.expedite(None, context.now);
            }
            // Should the other question be lost, the next candidate would pass for the name. Of
            // the last one, if it exists, the other family is all that is left: worth waiting for.
            Answer::Nothing { exists, .. } if !exists || !self.candidates.is_empty() => {
                self.expedite(Some(DNS_FAMILY_GRACE / 2), context.now);
            }
            Answer::Nothing { .. } => {}
            Answer::Failed(failure) => {
                self.parts[index].unanswered.push((self.name.clone(), *failure));
            }
        }
        self.parts[index].state = State::Undecided(answer);
        // One that is asked only now has all of its time.
        if !self.is_asking() {
            self.ask(context);
        }
        debug_assert!(!self.parts[index].is_asking(), "asked again about the same name");
        if self.is_found() {
            self.report_all(answers);
        } else if !self.is_asking() {
            match self.candidates.is_empty() || self.are_all_unreachable() {
                true => self.report_all(answers),
                false => self.next_candidate(context),
            }
        }
    }

    /// Bounds the time of the kinds that are still asked for, since one has its answer. A server
    /// that never answers for the other must not keep this one from being asked for again in time,
    /// or the next candidate from being asked at all. `again`: when the other is asked for once
    /// more.
    fn expedite(&mut self, again: Option<Duration>, now: Instant) {
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
        self.parts.iter().any(|part| part.is_reported() || part.has_records())
    }

    /// Whether the hosts of all name servers refuse, whatever they are asked for.
    fn are_all_unreachable(&self) -> bool {
        let unreachable = Answer::Failed(Failure::Unreachable);
        self.parts
            .iter()
            .all(|part| matches!(&part.state, State::Undecided(answer) if *answer == unreachable))
    }

    /// Reports the answer for each kind that is asked for no longer.
    fn report_all(&mut self, answers: &mut VecDeque<Answered>) {
        let is_found = self.is_found();
        debug_assert!(is_found || !self.is_asking(), "reported while the name is open");
        for part in &mut self.parts {
            let State::Undecided(answer) = &part.state else { continue };
            let answer = answer.clone();
            part.state = State::Reported;
            // The candidates that are left were not asked for since no server can be reached.
            let left = self.candidates.iter().rev();
            part.unanswered.extend(left.map(|name| (name.clone(), Failure::Unreachable)));
            let (name, answer) = part.final_answer(answer, is_found, &self.name);
            part.unanswered.retain(|(other, _)| *other != name);
            answers.push_back(Answered {
                id: self.id,
                kind: part.kind,
                name: Some(name),
                answer,
                unanswered: std::mem::take(&mut part.unanswered),
                is_heard: false,
            });
        }
        self.candidates.clear();
        debug_assert!(self.is_over() || self.is_asking(), "an answer that is never reported");
    }

    fn next_candidate(&mut self, context: &mut QueryContext<'_>) {
        debug_assert!(!self.is_asking(), "two names at a time");
        debug_assert!(!self.is_found(), "the name is decided");
        let Some(name) = self.candidates.pop() else { return };
        if std::mem::take(&mut self.is_typed_now) {
            self.parts.iter_mut().for_each(|part| part.keep_typed(&self.name));
        }
        self.name = name;
        self.parts.iter_mut().for_each(|part| part.state = State::Queued);
        self.ask(context);
    }
}
