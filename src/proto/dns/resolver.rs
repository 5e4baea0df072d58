//! The stub resolver: look-ups under way, and what they ask for.
//!
//! Owns the look-ups and the configuration; `queue.rs` says which of them has its turn. A pure
//! state machine: no socket, no clock, no file. The caller carries out the [`Command`]s, hands in
//! their outcomes, and calls [`Resolver::advance`] after anything else that it did, and at the
//! deadline.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use super::lookup::Lookup;
use super::message::Kind;
use super::name::Name;
use super::query::QueryContext;
use super::queue::{Level, Queue, Request, Step, Turn, Urgency};
use super::resolv_conf::ResolvConf;
use super::search::candidates;
use super::{Answer, Answered, Command, Failure, LookupId, QuestionId, Subject, Wanted};
use crate::config::{DNS_QUESTIONS_MAX, DNS_TTL_MAX};

/// A look-up that has its turn.
#[derive(Debug)]
struct Running {
    request: Request,
    lookup: Lookup,
    since: Instant,
    /// A server has replied since.
    is_heard: bool,
}

impl Running {
    fn turn(&self, now: Instant) -> Turn {
        // A family that has its answer may be asked for again, under the next name of the list.
        let questions = self.lookup.pending_kinds().count();
        debug_assert!(questions <= self.request.kinds.len(), "a kind that was not requested");
        Turn {
            level: self.request.level,
            questions,
            lasted: now.saturating_duration_since(self.since),
            is_ending: questions < self.request.kinds.len(),
        }
    }

    /// Gives the look-up up, and hands back what is left to ask.
    fn stop(mut self, commands: &mut Vec<Command>) -> Request {
        debug_assert!(!self.lookup.is_over(), "nothing is left to ask");
        self.request.kinds = self.lookup.pending_kinds().collect();
        if let Some((name, unanswered)) = self.lookup.found() {
            // What is left is asked about that name, and not about a later one of the list.
            self.request.wanted = Wanted::Exact(name);
            self.request.unanswered = unanswered;
        }
        self.lookup.abandon(commands);
        debug_assert!(!self.request.kinds.is_empty(), "nothing is left to ask");
        self.request
    }
}

/// Look-ups, by the id of their caller.
///
/// Invariant, whenever it has advanced: no id twice, no look-up that is over among those that run,
/// and those ask at most [`DNS_QUESTIONS_MAX`] questions.
#[derive(Debug)]
pub struct Resolver {
    shared: Shared,
    running: Vec<Running>,
    queue: Queue,
    answers: VecDeque<Answered>,
}

/// What all look-ups share.
#[derive(Debug)]
struct Shared {
    configuration: ResolvConf,
    /// The server that answered last, by its place in the configuration.
    server_first: usize,
    /// Questions so far: each has a number of its own.
    questions: u64,
    commands: Vec<Command>,
}

impl Shared {
    fn context<'a>(
        &'a mut self,
        now: Instant,
        random: &'a mut dyn FnMut() -> u64,
    ) -> QueryContext<'a> {
        QueryContext {
            configuration: &self.configuration,
            server_first: &mut self.server_first,
            questions: &mut self.questions,
            commands: &mut self.commands,
            random,
            now,
        }
    }
}

impl Resolver {
    /// No look-up so far.
    pub fn new(configuration: ResolvConf) -> Resolver {
        let commands = Vec::new();
        Resolver {
            shared: Shared { configuration, server_first: 0, questions: 0, commands },
            running: Vec::new(),
            queue: Queue::default(),
            answers: VecDeque::new(),
        }
    }

    /// Takes another configuration over. What is under way begins anew, but for what was answered
    /// already.
    pub fn configure(&mut self, configuration: ResolvConf) {
        assert!(!configuration.servers.is_empty(), "resolv.conf(5) has a default");
        for running in std::mem::take(&mut self.running).into_iter().rev() {
            self.queue.push_first(running.stop(&mut self.shared.commands));
        }
        self.shared.configuration = configuration;
        self.shared.server_first = 0;
        self.invariants();
    }

    /// Asks for a name. Exactly one [`Answered`] comes for each kind of record that the subject
    /// has, unless it is forgotten before. No second look-up may be asked for under an id before
    /// the first is over.
    pub fn look_up(&mut self, id: LookupId, subject: Subject, wanted: &Wanted, urgency: Urgency) {
        debug_assert!(!self.is_asked(id), "two look-ups under one id");
        self.queue.push(Request {
            id,
            kinds: subject.kinds().to_vec(),
            wanted: wanted.clone(),
            unanswered: Vec::new(),
            is_heard: false,
            level: Level::of(urgency),
        });
    }

    /// Gives a look-up up: no answer of it will come.
    pub fn forget(&mut self, id: LookupId) {
        self.queue.forget(id);
        self.answers.retain(|answered| answered.id != id);
        let position = self.running.iter().position(|running| running.request.id == id);
        if let Some(position) = position {
            let _ = self.running.swap_remove(position).stop(&mut self.shared.commands);
        }
        debug_assert!(!self.is_asked(id));
    }

    /// Whether a look-up is under way or waits for its turn.
    #[cfg(test)]
    fn is_asking(&self) -> bool {
        self.ids().next().is_some()
    }

    /// Whether a look-up under that id is under way or waits for its turn.
    pub fn is_asked(&self, id: LookupId) -> bool {
        self.ids().any(|asked| asked == id)
    }

    /// How many look-ups are under way or wait for their turn.
    pub fn lookup_count(&self) -> usize {
        self.ids().count()
    }

    /// The configuration that counts.
    pub fn configuration(&self) -> &ResolvConf {
        &self.shared.configuration
    }

    /// When to call [`Resolver::advance`] if nothing happens before: a server was silent for too
    /// long then, or a turn is over that another look-up waits for.
    pub fn next_deadline(&self) -> Option<Instant> {
        let silences = self.running.iter().filter_map(|running| running.lookup.deadline());
        let turns: Vec<Turn> =
            self.running.iter().map(|running| running.turn(running.since)).collect();
        let awaited = self.queue.awaited(&turns).into_iter();
        let yields = awaited.map(|(place, turn)| self.running[place].since + turn);
        silences.chain(yields).min()
    }

    /// Whether a server has been silent for too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        let deadlines = self.running.iter().filter_map(|running| running.lookup.deadline());
        deadlines.into_iter().any(|deadline| deadline <= now)
    }

    /// Does what time and free places allow.
    pub fn advance(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        for Running { request, lookup, .. } in &mut self.running {
            if lookup.deadline().is_some_and(|deadline| deadline <= now) {
                lookup.expire(&mut self.shared.context(now, random), &mut self.answers);
                mark_heard(&mut self.answers, request);
            }
        }
        self.start_waiting(now, random);
        debug_assert!(self.next_deadline().is_none_or(|at| at > now), "it would spin");
    }

    /// Takes a message that came in answer to a question, or the news that none will. One that was
    /// closed may still be on its way here.
    pub fn on_outcome(
        &mut self,
        question: QuestionId,
        outcome: Result<&[u8], Failure>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) {
        let owner = self.running.iter_mut().find(|running| running.lookup.owns(question));
        let Some(Running { request, lookup, is_heard, .. }) = owner else { return };
        debug_assert!(question.0 <= self.shared.questions, "a question that was never opened");
        *is_heard |= outcome.is_ok();
        request.is_heard |= outcome.is_ok();
        let context = &mut self.shared.context(now, random);
        lookup.on_outcome(question, outcome, context, &mut self.answers);
        mark_heard(&mut self.answers, request);
        self.start_waiting(now, random);
    }

    /// What is to be done now, in this order.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.shared.commands)
    }

    /// The next answer that was not taken yet.
    pub fn next_answer(&mut self) -> Option<Answered> {
        self.answers.pop_front()
    }

    /// The look-ups, those that run first.
    fn ids(&self) -> impl Iterator<Item = LookupId> {
        self.running.iter().map(|running| running.request.id).chain(self.queue.ids())
    }

    fn start_waiting(&mut self, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.running.retain(|running| !running.lookup.is_over());
        // What has yielded may begin again, and does not yield then: it has just begun.
        let most = 2 * self.running.len() + self.queue.count();
        let mut steps = 0;
        loop {
            debug_assert!(steps <= most, "one yields to the other without end");
            steps += 1;
            let turns: Vec<Turn> = self.running.iter().map(|running| running.turn(now)).collect();
            match self.queue.next_step(&turns) {
                Some(Step::Begin(position)) => {
                    let request = self.queue.take(position);
                    self.begin(request, now, random);
                }
                Some(Step::Yield(place)) => {
                    let yielding = self.running.swap_remove(place);
                    let is_heard = yielding.is_heard;
                    let request = yielding.stop(&mut self.shared.commands);
                    self.queue.push_back(request, is_heard);
                }
                None => break,
            }
        }
        debug_assert!(!self.running.is_empty() || self.queue.count() == 0, "it would never begin");
        self.invariants();
    }

    /// Answers for the kinds that are not to be asked for: `no-aaaa`.
    fn answer_unwanted(&mut self, request: &mut Request) {
        if self.shared.configuration.no_aaaa && request.kinds.contains(&Kind::Aaaa) {
            request.kinds.retain(|kind| *kind != Kind::Aaaa);
            let nothing = Answer::Nothing { exists: false, ttl: Some(DNS_TTL_MAX) };
            self.answers.push_back(Answered::new(request.id, Kind::Aaaa, nothing));
        }
    }

    fn begin(&mut self, mut request: Request, now: Instant, random: &mut dyn FnMut() -> u64) {
        self.answer_unwanted(&mut request);
        let (typed, names) = match &request.wanted {
            Wanted::Typed(text) => {
                (Name::from_text(text), candidates(text, &self.shared.configuration))
            }
            Wanted::Exact(name) => (Some(name.clone()), vec![name.clone()]),
        };
        if names.is_empty() || request.kinds.is_empty() {
            return self.refuse(&request);
        }
        // Addresses may be known by one of the suffixes, and are not to be given up while that
        // fails; sets of records have full names, and of two of them one is often missing.
        let is_typed_first = request.kinds == [Kind::Srv] && names.first() == typed.as_ref();
        let context = &mut self.shared.context(now, random);
        let mut lookup = Lookup::begin(request.id, &request.kinds, names, is_typed_first, context);
        lookup.resume(&request.unanswered);
        debug_assert!(!lookup.is_over(), "answered without a question");
        self.running.push(Running { request, lookup, since: now, is_heard: false });
    }

    /// Answers that no full name can be made of the text: too long once completed, for instance.
    fn refuse(&mut self, request: &Request) {
        for kind in &request.kinds {
            let failed = Answer::Failed(Failure::NoName);
            self.answers.push_back(Answered::new(request.id, *kind, failed));
        }
    }

    fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let mut seen = HashSet::new();
        debug_assert!(self.ids().all(|id| seen.insert(id)), "two look-ups under one id");
        let kinds = self.running.iter().map(|running| running.lookup.pending_kinds().count());
        debug_assert!(kinds.sum::<usize>() <= DNS_QUESTIONS_MAX, "more questions than places");
        let servers = self.shared.configuration.servers.len();
        debug_assert!(self.shared.server_first < servers, "not a server");
        for Running { request, lookup, is_heard, .. } in &self.running {
            debug_assert!(!lookup.is_over());
            debug_assert!(request.is_heard || !is_heard);
            for kind in lookup.pending_kinds() {
                debug_assert!(request.kinds.contains(&kind), "not requested");
                let is_wanted = kind != Kind::Aaaa || !self.shared.configuration.no_aaaa;
                debug_assert!(is_wanted, "asked for in spite of no-aaaa");
            }
        }
    }
}

/// Notes with the latest answers of the look-up whether a server has replied.
fn mark_heard(answers: &mut VecDeque<Answered>, request: &Request) {
    let own = answers.iter_mut().filter(|answered| answered.id == request.id);
    own.for_each(|answered| answered.is_heard |= request.is_heard);
}

#[cfg(test)]
mod tests {
    use super::super::message::{Kind, Records, ServerFailure};
    use super::super::{Transport, resolv_conf};
    use super::*;
    use crate::config::{
        DNS_FAMILY_GRACE, DNS_FOREIGN_MAX, DNS_LOOKUP_MAX, DNS_QUERY_MAX, DNS_QUESTIONS_MAX,
        DNS_RESEND_MAX, DNS_SEARCH_MAX, DNS_TIMEOUT_MIN, DNS_TRIES_OPEN_MAX,
    };
    use std::net::SocketAddr;
    use std::time::Duration;

    const OK: u8 = 0;
    const FORMAT: u8 = 1;
    const FAILURE: u8 = 2;
    const NO_NAME: u8 = 3;

    /// A question that is open: the server it was sent to, how, and its bytes.
    #[derive(Clone, Debug, PartialEq)]
    struct Asked {
        question: QuestionId,
        server: u8,
        transport: Transport,
        message: Vec<u8>,
    }

    impl Asked {
        /// The name and the number of the record's type in the question.
        fn question(&self) -> (String, u8) {
            let (mut name, mut at) = (Vec::new(), 12);
            while self.message[at] > 0 {
                let end = at + 1 + usize::from(self.message[at]);
                name.push(String::from_utf8_lossy(&self.message[at + 1..end]).into_owned());
                at = end;
            }
            (name.join("."), self.message[at + 2])
        }

        fn has_edns(&self) -> bool {
            self.message[11] > 0
        }

        /// A reply with answers of the type that was asked for, each for 60 seconds.
        fn reply(&self, code: u8, data: &[&[u8]]) -> Vec<u8> {
            self.reply_with(code, self.question().1, data)
        }

        fn reply_with(&self, code: u8, rtype: u8, data: &[&[u8]]) -> Vec<u8> {
            let (name, _) = self.question();
            let question_end = 12 + name.len() + 2 + 4;
            let mut bytes = self.message[..question_end].to_vec();
            (bytes[2], bytes[3]) = (0x81, 0x80 | code);
            (bytes[7], bytes[11]) = (data.len() as u8, 0);
            for data in data {
                bytes.extend([0xc0, 12, 0, rtype, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
                bytes.extend(*data);
            }
            bytes
        }

        /// A reply that announces a record more than it has.
        fn part(&self) -> Vec<u8> {
            let mut bytes = self.reply(OK, &[SERVICE]);
            bytes[7] = 2;
            bytes
        }

        fn truncated(&self) -> Vec<u8> {
            let mut bytes = self.reply(OK, &[]);
            bytes[2] |= 2;
            bytes
        }
    }

    struct Bench {
        resolver: Resolver,
        now: Instant,
        drawn: u64,
        open: Vec<Asked>,
        /// What was sent once more.
        resent: Vec<Asked>,
    }

    impl Bench {
        fn new(configuration: &str) -> Bench {
            let configuration = resolv_conf::parse(configuration.as_bytes(), "", |_| None);
            let resolver = Resolver::new(configuration);
            let (open, resent) = (Vec::new(), Vec::new());
            Bench { resolver, now: Instant::now(), drawn: 0, open, resent }
        }

        /// The open questions: name and type of each.
        fn questions(&self) -> String {
            let questions = self.open.iter().map(Asked::question);
            let texts = questions.map(|(name, kind)| format!("{name} {kind}"));
            texts.collect::<Vec<_>>().join(", ")
        }

        fn look_up(&mut self, id: usize, subject: Subject, name: &str) {
            self.look_up_as(id, subject, name, Urgency::Usual);
        }

        fn look_up_as(&mut self, id: usize, subject: Subject, name: &str, urgency: Urgency) {
            let wanted = Wanted::Typed(name.to_owned());
            self.resolver.look_up(LookupId(id), subject, &wanted, urgency);
            self.pass(Duration::ZERO);
        }

        /// One service, of which only one kind of record is asked for.
        fn look_up_one(configuration: &str) -> Bench {
            let mut bench = Bench::new(configuration);
            bench.look_up(0, Subject::Service, "a.test.");
            bench
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            let drawn = &mut self.drawn;
            self.resolver.advance(self.now, &mut || draw(drawn));
            self.execute();
        }

        /// Until the resolver has something to do.
        fn wait(&mut self) -> Duration {
            let until = self.resolver.next_deadline().expect("something is under way");
            let time = until - self.now;
            assert!(!time.is_zero(), "it would spin");
            self.pass(time);
            time
        }

        /// Until nothing is under way.
        fn wait_all(&mut self) -> Duration {
            let begun = self.now;
            while self.resolver.is_asking() {
                self.wait();
            }
            self.now - begun
        }

        fn answer(&mut self, asked: &Asked, outcome: Result<&[u8], Failure>) {
            let drawn = &mut self.drawn;
            let random = &mut || draw(drawn);
            self.resolver.on_outcome(asked.question, outcome, self.now, random);
            self.execute();
        }

        fn execute(&mut self) {
            for command in self.resolver.take_commands() {
                match command {
                    Command::Open { question, server, transport, message } => {
                        let SocketAddr::V4(server) = server else { panic!("only IPv4 here") };
                        let server = server.ip().octets()[3];
                        self.open.push(Asked { question, server, transport, message });
                    }
                    Command::Close(question) => {
                        self.open.retain(|asked| asked.question != question)
                    }
                    Command::Resend { question, message } => {
                        let again = self.open.iter().find(|asked| asked.question == question);
                        let again = again.expect("what is closed is not sent again");
                        assert_eq!(
                            (&again.message, again.transport),
                            (&message, Transport::Datagram)
                        );
                        self.resent.push(again.clone());
                    }
                }
            }
            for (name, kind) in self.open.iter().map(Asked::question) {
                let questions = self.open.iter().map(Asked::question);
                let same = questions.filter(|other| *other == (name.clone(), kind));
                assert!(same.count() <= DNS_TRIES_OPEN_MAX);
            }
        }

        fn last(&self) -> Asked {
            self.open.last().expect("a question is open").clone()
        }

        fn servers(&self) -> Vec<u8> {
            self.open.iter().map(|asked| asked.server).collect()
        }

        fn answers(&mut self) -> Vec<(usize, Kind, Answer)> {
            let resolver = &mut self.resolver;
            std::iter::from_fn(|| resolver.next_answer())
                .map(|answered| (answered.id.0, answered.kind, answered.answer))
                .collect()
        }

        fn only_answer(&mut self) -> Answer {
            let mut answers = self.answers();
            assert_eq!(answers.len(), 1, "{answers:?}");
            assert_eq!(self.open, [], "what is decided leaves nothing open");
            assert!(!self.resolver.is_asking());
            answers.remove(0).2
        }
    }

    fn draw(drawn: &mut u64) -> u64 {
        *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *drawn >> 33
    }

    const TWO_SERVERS: &str = "nameserver 10.0.0.1\nnameserver 10.0.0.2";
    const SERVICE: &[u8] = b"\0\0\0\x01\x09\x4b\x01m\x04test\0";

    fn is_service(answer: &Answer) -> bool {
        matches!(answer, Answer::Records { records: Records::Services(_), .. })
    }

    #[test]
    fn silence_moves_on_and_a_late_answer_counts() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        assert_eq!(bench.wait(), DNS_RESEND_MAX);
        assert_eq!(bench.servers(), [1, 2]);
        assert_ne!(first.message[..2], bench.last().message[..2], "another id");
        bench.answer(&first, Ok(&first.reply(OK, &[SERVICE])));
        assert!(is_service(&bench.only_answer()));
    }

    #[test]
    fn a_silent_question_is_given_up_in_the_end() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let mut time = Duration::ZERO;
        let mut waits = 0;
        while bench.resolver.is_asking() {
            time += bench.wait();
            waits += 1;
        }
        assert_eq!((time, waits), (DNS_QUERY_MAX, 5));
        assert_eq!(bench.resent.len(), 3, "that makes five tries");
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::TimedOut));
    }

    #[test]
    fn a_short_timeout_is_kept() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1\noptions timeout:1 attempts:2");
        assert_eq!(bench.wait(), Duration::from_secs(1));
        assert_eq!(bench.wait(), Duration::from_secs(1));
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::TimedOut));
    }

    #[test]
    fn a_server_that_cannot_help_costs_no_time() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Ok(&first.reply(FAILURE, &[])));
        assert_eq!(bench.servers(), [2]);
        let second = bench.last();
        bench.answer(&second, Err(Failure::Unreachable));
        let failure = Failure::Server(ServerFailure::Failure);
        assert_eq!(bench.only_answer(), Answer::Failed(failure), "what was said, not what was not");
    }

    #[test]
    fn the_server_that_answered_is_asked_first() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Err(Failure::Unreachable));
        let second = bench.last();
        bench.answer(&second, Ok(&second.reply(OK, &[SERVICE])));
        assert!(is_service(&bench.only_answer()));
        bench.look_up(1, Subject::Service, "b.test.");
        assert_eq!(bench.servers(), [2]);
    }

    #[test]
    fn with_rotate_the_first_server_is_drawn() {
        let mut bench = Bench::new(&format!("{TWO_SERVERS}\noptions rotate"));
        for id in 0..4 {
            bench.look_up(id, Subject::Service, &format!("m{id}.test."));
        }
        let servers = bench.servers();
        assert!(servers.contains(&1) && servers.contains(&2), "{servers:?}");
    }

    #[test]
    fn what_is_no_answer_is_passed_over_but_not_for_ever() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        let mut forged = first.reply(OK, &[SERVICE]);
        forged[1] ^= 1;
        for _ in 1..DNS_FOREIGN_MAX {
            bench.answer(&first, Ok(&forged));
        }
        assert_eq!(bench.servers(), [1], "the answer may still come");
        bench.answer(&first, Ok(&forged));
        assert_eq!(bench.servers(), [2], "not behind any number of others");
        assert_eq!(bench.answers(), []);
    }

    #[test]
    fn an_answer_to_a_closed_question_is_nothing() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Err(Failure::Unreachable));
        bench.answer(&first, Ok(&first.reply(OK, &[SERVICE])));
        assert_eq!((bench.answers(), bench.servers()), (vec![], vec![2]));
    }

    #[test]
    fn what_is_cut_short_is_asked_for_by_stream() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Ok(&first.truncated()));
        let [second, large] = [bench.open[0].clone(), bench.open[1].clone()];
        assert_eq!((second.server, second.transport), (1, Transport::Stream));
        bench.answer(&large, Ok(&large.truncated()));
        assert_eq!(bench.servers(), [1], "the stream has room for it");
        bench.answer(&second, Ok(&second.truncated()));
        assert_eq!(bench.servers(), [2], "a stream has no reason to cut");
        let third = bench.last();
        bench.answer(&third, Ok(&third.truncated()));
        let fourth = bench.open[0].clone();
        assert_eq!(fourth.transport, Transport::Stream);
        bench.answer(&fourth, Ok(&fourth.reply(OK, &[SERVICE])));
        assert!(is_service(&bench.only_answer()));
    }

    #[test]
    fn where_only_streams_are_wanted_there_are_no_others() {
        let bench = Bench::look_up_one("nameserver 10.0.0.1\noptions use-vc");
        assert_eq!(bench.last().transport, Transport::Stream);
    }

    #[test]
    fn what_is_cut_short_is_asked_for_in_a_larger_datagram() {
        for failure in [None, Some(Failure::Unreachable), Some(Failure::TimedOut)] {
            let mut bench = Bench::look_up_one(TWO_SERVERS);
            let first = bench.last();
            assert!(!first.has_edns(), "questions are plain");
            bench.answer(&first, Ok(&first.truncated()));
            let [stream, large] = [bench.open[0].clone(), bench.open[1].clone()];
            assert_eq!((stream.transport, stream.has_edns()), (Transport::Stream, false));
            assert_eq!((large.transport, large.has_edns()), (Transport::Datagram, true));
            if let Some(failure) = failure {
                bench.answer(&stream, Err(failure));
            }
            assert_eq!((bench.answers(), large.server), (vec![], 1));
            bench.answer(&large, Ok(&large.reply(OK, &[SERVICE])));
            assert!(is_service(&bench.only_answer()));
        }
    }

    #[test]
    fn a_stream_is_waited_for_and_the_datagram_beside_it_is_sent_again() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
        let first = bench.last();
        bench.answer(&first, Ok(&first.truncated()));
        let [stream, large] = [bench.open[0].clone(), bench.open[1].clone()];
        assert_eq!(bench.wait(), DNS_RESEND_MAX);
        assert_eq!(bench.resent, [large]);
        assert_eq!(bench.servers(), [1, 1], "each is open once");
        bench.answer(&stream, Ok(&stream.reply(OK, &[SERVICE])));
        assert!(is_service(&bench.only_answer()));
    }

    /// What a server says of a question with EDNS, and cannot bear it.
    #[test]
    fn a_server_that_cannot_bear_edns_either_has_failed() {
        const OPTION: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        for (code, options, want) in [
            (FORMAT, 0, Failure::Server(ServerFailure::Format)),
            (FAILURE, 1, Failure::Server(ServerFailure::Failure)),
            (4, 1, Failure::Server(ServerFailure::NotImplemented)),
            (OK, 2, Failure::Malformed),
        ] {
            let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
            let first = bench.last();
            bench.answer(&first, Ok(&first.truncated()));
            let [stream, large] = [bench.open[0].clone(), bench.open[1].clone()];
            let mut reply = large.reply(code, &[SERVICE]);
            reply[11] = options;
            (0..options).for_each(|_| reply.extend(OPTION));
            bench.answer(&large, Ok(&reply));
            assert_eq!((bench.last(), bench.open.len()), (stream.clone(), 1), "it may do");
            bench.answer(&stream, Err(Failure::Unreachable));
            assert_eq!(bench.only_answer(), Answer::Failed(want));
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_used_where_there_is_no_other() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
        let first = bench.last();
        bench.answer(&first, Ok(&first.part()));
        let [stream, large] = [bench.open[0].clone(), bench.open[1].clone()];
        bench.answer(&stream, Err(Failure::Unreachable));
        assert_eq!(bench.answers(), [], "it may be whole in the larger datagram");
        bench.answer(&large, Ok(&large.reply(FAILURE, &[])));
        assert!(is_service(&bench.only_answer()));

        // That of a name says nothing of the next.
        const CNAME: u8 = 5;
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Ok(&first.part()));
        let stream = bench.open[0].clone();
        bench.answer(&stream, Ok(&stream.reply_with(OK, CNAME, &[b"\x01b\x04test\0"])));
        while bench.resolver.is_asking() {
            let asked = bench.last();
            bench.answer(&asked, Err(Failure::Unreachable));
        }
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::Unreachable));
    }

    #[test]
    fn an_answer_is_heard_however_late_it_is() {
        let second = Duration::from_secs(1);
        for (configuration, late) in [
            ("nameserver 10.0.0.1\noptions timeout:10 attempts:3", 9 * second),
            ("nameserver 10.0.0.1\noptions timeout:5 attempts:2 use-vc", 9 * second),
            ("nameserver 10.0.0.1\noptions timeout:1 attempts:5", 9 * second / 2),
            (TWO_SERVERS, 9 * second),
        ] {
            let mut bench = Bench::look_up_one(configuration);
            let first = bench.last();
            let begun = bench.now;
            while bench.resolver.next_deadline().expect("it is asking") < begun + late {
                bench.wait();
            }
            bench.pass(begun + late - bench.now);
            bench.answer(&first, Ok(&first.reply(OK, &[SERVICE])));
            assert!(is_service(&bench.only_answer()), "{configuration}");
        }
    }

    #[test]
    fn asking_again_takes_no_socket() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
        let first = bench.last();
        while bench.resolver.is_asking() {
            bench.wait();
            assert!(bench.open.len() <= 1);
        }
        assert_eq!(bench.resent, vec![first; 4]);
    }

    #[test]
    fn an_alias_is_followed_and_a_circle_of_them_is_not() {
        const CNAME: u8 = 5;
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Ok(&first.reply_with(OK, CNAME, &[b"\x01b\x04test\0"])));
        let second = bench.last();
        assert_eq!(second.question().0, "b.test");
        bench.answer(&second, Ok(&second.reply_with(OK, CNAME, &[b"\x01a\x04test\0"])));
        let mut follows = 2;
        while bench.resolver.is_asking() {
            let asked = bench.last();
            let target = if asked.question().0 == "a.test" { b"\x01b" } else { b"\x01a" };
            let data = [&target[..], b"\x04test\0"].concat();
            bench.answer(&asked, Ok(&asked.reply_with(OK, CNAME, &[&data])));
            follows += 1;
        }
        assert_eq!(follows, crate::config::DNS_ALIASES_MAX + 1);
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::Malformed));
    }

    #[test]
    fn a_host_is_the_first_name_of_the_list_that_has_an_address() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test two.test");
        bench.look_up(7, Subject::Host, "m");
        for asked in bench.open.clone() {
            assert_eq!(asked.question().0, "m.one.test");
            bench.answer(&asked, Ok(&asked.reply(NO_NAME, &[])));
        }
        let [a, aaaa] = [bench.open[0].clone(), bench.open[1].clone()];
        assert_eq!(
            (a.question(), aaaa.question().0),
            (("m.two.test".into(), 1), "m.two.test".into())
        );
        bench.answer(&aaaa, Ok(&aaaa.reply(OK, &[])));
        assert_eq!(bench.answers(), [], "the name may still have an address");
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        let answers = bench.answers();
        let records = Records::Addresses(vec![[10, 0, 0, 9].into()]);
        let found = Answer::Records { records, ttl: Duration::from_secs(60) };
        assert_eq!(answers[0], (7, Kind::A, found));
        assert_eq!(answers[1], (7, Kind::Aaaa, Answer::Nothing { exists: true, ttl: None }));
        assert!(!bench.resolver.is_asking());
    }

    #[test]
    fn a_failure_on_the_way_leaves_the_end_of_the_list_unsure() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test");
        bench.look_up(0, Subject::Service, "m");
        let first = bench.last();
        bench.answer(&first, Ok(&first.reply(FAILURE, &[])));
        let second = bench.last();
        assert_eq!(second.question().0, "m", "another name may be known");
        bench.answer(&second, Ok(&second.reply(NO_NAME, &[])));
        let failure = Failure::Server(ServerFailure::Failure);
        assert_eq!(bench.only_answer(), Answer::Failed(failure));
    }

    #[test]
    fn where_all_hosts_refuse_nobody_is_asked_for_the_rest_of_the_list() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test");
        bench.look_up(0, Subject::Service, "m");
        let first = bench.last();
        bench.answer(&first, Err(Failure::Unreachable));
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::Unreachable));
    }

    /// The full names that are asked for until an address is found at the last one, whose A
    /// question alone is answered, and how long that takes. Every AAAA question is dropped.
    fn search_without_aaaa(configuration: &str, name: &str, last: &str) -> (Vec<String>, Duration) {
        let mut bench = Bench::new(configuration);
        bench.look_up(0, Subject::Host, name);
        let (begun, mut names) = (bench.now, Vec::new());
        loop {
            let a =
                bench.open.iter().find(|asked| asked.question().1 == 1).expect("A first").clone();
            names.push(a.question().0);
            if names.last().is_some_and(|name| name == last) {
                bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
                break;
            }
            bench.answer(&a, Ok(&a.reply(NO_NAME, &[])));
            assert_eq!(bench.answers(), [], "another name may have an address");
            while bench.open.iter().all(|asked| asked.question().1 != 1) {
                bench.wait();
            }
        }
        let time = bench.now - begun;
        let answered = bench.resolver.next_answer().expect("the address");
        assert_eq!(answered.name.map(|name| name.to_string()).as_deref(), Some(last));
        assert!(matches!(answered.answer, Answer::Records { .. }), "{:?}", answered.answer);
        assert_eq!(answered.unanswered, [], "of A all is known");
        assert_eq!(bench.wait_all(), DNS_FAMILY_GRACE);
        let answered = bench.resolver.next_answer().expect("AAAA has an end, too");
        assert_eq!(answered.answer, Answer::Failed(Failure::TimedOut));
        let unanswered: Vec<String> =
            answered.unanswered.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(unanswered, names[..names.len() - 1], "the others");
        (names, time)
    }

    #[test]
    fn silence_of_one_family_ends_no_search() {
        const KUBERNETES: &str = "search a.svc.c.test svc.c.test c.test\noptions ndots:5";
        let kubernetes =
            ["m.b.a.svc.c.test", "m.b.svc.c.test", "m.b.c.test", "m.b"].map(str::to_owned);
        for servers in ["nameserver 10.0.0.1", TWO_SERVERS] {
            for (rest, name, want) in [
                ("search o.test e.test", "m", &["m.o.test", "m.e.test"].map(str::to_owned)[..]),
                ("search o.test", "m.b", &["m.b", "m.b.o.test"].map(str::to_owned)),
                (KUBERNETES, "m.b", &kubernetes),
                (KUBERNETES, "m.b", &kubernetes[..2]),
            ] {
                let configuration = format!("{servers}\n{rest}");
                let last = want.last().expect("one at least");
                let (names, time) = search_without_aaaa(&configuration, name, last);
                let graces = want.len() as u32 - 1;
                assert_eq!((&names[..], time), (want, graces * DNS_FAMILY_GRACE));
            }
        }
    }

    /// Otherwise the address would be looked for under the next name.
    #[test]
    fn a_family_whose_question_is_lost_is_asked_for_again() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test");
        bench.look_up(0, Subject::Host, "m");
        let [a, aaaa] = [bench.open[0].clone(), bench.open[1].clone()];
        bench.answer(&a, Ok(&a.reply(OK, &[])));
        assert_eq!(bench.wait(), DNS_FAMILY_GRACE / 2);
        assert_eq!(bench.resent.last(), Some(&aaaa));
        bench.answer(&aaaa, Ok(&aaaa.reply(OK, &[&[0xfd; 16]])));
        let kinds: Vec<Kind> = bench.answers().into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, [Kind::A, Kind::Aaaa], "of m.one.test");
    }

    #[test]
    fn a_silent_family_is_not_known_to_be_missing() {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        bench.look_up(0, Subject::Host, "m.test.");
        let a = bench.open[0].clone();
        bench.answer(&a, Ok(&a.reply(NO_NAME, &[])));
        assert_eq!(bench.wait_all(), DNS_FAMILY_GRACE);
        let nothing = Answer::Nothing { exists: false, ttl: None };
        let failed = Answer::Failed(Failure::TimedOut);
        assert_eq!(bench.answers(), [(0, Kind::A, nothing), (0, Kind::Aaaa, failed)]);
    }

    /// Hosts that have IPv6 alone, behind a slow server.
    #[test]
    fn the_last_family_of_the_last_name_is_waited_for() {
        const LATE: Duration = DNS_FAMILY_GRACE.saturating_mul(3);
        for options in ["", "\noptions single-request"] {
            let mut bench = Bench::new(&format!("nameserver 10.0.0.1{options}"));
            bench.look_up(0, Subject::Host, "m.test.");
            let a = bench.open[0].clone();
            bench.answer(&a, Ok(&a.reply(OK, &[])));
            let aaaa = bench.last();
            bench.pass(LATE);
            bench.answer(&aaaa, Ok(&aaaa.reply(OK, &[&[0xfd; 16]])));
            let answers = bench.answers();
            assert!(matches!(answers[1], (0, Kind::Aaaa, Answer::Records { .. })), "{answers:?}");
        }
    }

    #[test]
    fn a_silent_suffix_hides_no_name() {
        const SUFFIXES: &str = "search a b c d\noptions ndots:5";
        for (servers, subject) in [
            ("nameserver 10.0.0.1", Subject::Host),
            ("nameserver 10.0.0.1", Subject::Service),
            (TWO_SERVERS, Subject::Host),
        ] {
            for (search, silent, want) in [
                ("search lan\noptions ndots:5", 1, DNS_QUERY_MAX),
                ("search lan\noptions ndots:5 timeout:1", 1, Duration::ZERO),
                (SUFFIXES, 4, DNS_LOOKUP_MAX / 5 * 4),
            ] {
                let mut bench = Bench::new(&format!("{servers}\n{search}"));
                bench.look_up(0, subject, "m.test");
                let begun = bench.now;
                while bench.last().question().0 != "m.test" {
                    bench.wait();
                }
                let time = bench.now - begun;
                assert!(time == want || want.is_zero() && time <= 4 * DNS_TIMEOUT_MIN, "{time:?}");
                for asked in bench.open.clone() {
                    bench.answer(&asked, Ok(&asked.reply(OK, &[])));
                }
                while let Some(answered) = bench.resolver.next_answer() {
                    assert_eq!(answered.answer, Answer::Failed(Failure::TimedOut), "maybe there");
                    assert_eq!(answered.unanswered.len(), silent);
                }
            }
        }
    }

    #[test]
    fn a_look_up_has_an_end_however_long_the_list() {
        let suffixes: Vec<String> =
            (0..DNS_SEARCH_MAX).map(|number| format!("s{number}")).collect();
        let search = suffixes.join(" ");
        let mut bench = Bench::new(&format!("{TWO_SERVERS}\nsearch {search}\noptions ndots:9"));
        bench.look_up(0, Subject::Host, "m");
        let time = bench.wait_all();
        // Each suffix is asked for, if only for the shortest time.
        let most = DNS_LOOKUP_MAX + (DNS_SEARCH_MAX as u32 + 9) * DNS_TIMEOUT_MIN;
        assert!(time >= DNS_LOOKUP_MAX && time <= most, "{time:?}");
        let answered = bench.resolver.next_answer().expect("A is over");
        assert_eq!(answered.unanswered.len(), DNS_SEARCH_MAX, "all but the last");
    }

    /// As for the C library, what is true of the name itself is not put in doubt by the names of
    /// which it is the beginning.
    #[test]
    fn a_name_that_is_missing_is_missing_though_its_suffixes_fail() {
        for (name, is_typed_first) in [("m.test", true), ("m", false)] {
            let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test");
            bench.look_up(0, Subject::Service, name);
            for _ in 0..2 {
                let asked = bench.last();
                let is_own = asked.question().0 == name;
                let code = if is_own { NO_NAME } else { FAILURE };
                bench.answer(&asked, Ok(&asked.reply(code, &[])));
            }
            let answered = bench.resolver.next_answer().expect("it is over");
            assert_eq!(answered.name.map(|name| name.to_string()).as_deref(), Some(name));
            let failure = Failure::Server(ServerFailure::Failure);
            let unanswered = Name::from_text(&format!("{name}.one.test")).expect("a name");
            assert_eq!(answered.unanswered, [(unanswered, failure)]);
            let want = match is_typed_first {
                true => Answer::Nothing { exists: false, ttl: None },
                false => Answer::Failed(failure),
            };
            assert_eq!(answered.answer, want, "{name}");
        }
    }

    /// Only of the name itself: those before it are answered.
    #[test]
    fn what_a_later_name_has_says_which_earlier_ones_are_unknown() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test two.test");
        bench.look_up(0, Subject::Service, "m");
        for (code, data) in [(FAILURE, &[][..]), (NO_NAME, &[]), (OK, &[SERVICE])] {
            let asked = bench.last();
            bench.answer(&asked, Ok(&asked.reply(code, data)));
        }
        let answered = bench.resolver.next_answer().expect("it is found");
        assert!(is_service(&answered.answer));
        assert_eq!(answered.name, Name::from_text("m"));
        let failure = Failure::Server(ServerFailure::Failure);
        let unanswered = Name::from_text("m.one.test").expect("a name");
        assert_eq!(answered.unanswered, [(unanswered, failure)]);
    }

    #[test]
    fn one_family_does_not_wait_for_the_other() {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        bench.look_up(0, Subject::Host, "m.test.");
        let a = bench.open[0].clone();
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        assert_eq!(bench.answers().len(), 1);
        assert_eq!(bench.wait(), DNS_FAMILY_GRACE, "nor is it waited for for long");
        assert_eq!(bench.answers(), [(0, Kind::Aaaa, Answer::Failed(Failure::TimedOut))]);
        assert!(!bench.resolver.is_asking());
    }

    #[test]
    fn what_we_lack_ourselves_is_tried_again_later() {
        let mut bench = Bench::look_up_one(TWO_SERVERS);
        let first = bench.last();
        bench.answer(&first, Err(Failure::Shortage));
        assert_eq!((bench.answers(), bench.servers()), (vec![], vec![]));
        assert_eq!(bench.wait(), DNS_RESEND_MAX);
        assert_eq!(bench.servers(), [2]);
    }

    #[test]
    fn few_names_are_looked_up_at_a_time() {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        for id in 0..DNS_QUESTIONS_MAX + 2 {
            bench.look_up(id, Subject::Service, &format!("m{id}.test."));
        }
        assert_eq!(bench.open.len(), DNS_QUESTIONS_MAX);
        let first = bench.open[0].clone();
        bench.answer(&first, Ok(&first.reply(NO_NAME, &[])));
        assert_eq!(bench.open.len(), DNS_QUESTIONS_MAX);
        assert_eq!(bench.last().question().0, format!("m{DNS_QUESTIONS_MAX}.test"));
    }

    /// Names that no server answers for, and behind them one that is answered.
    fn with_silent(count: usize, urgency: Urgency) -> (Bench, Duration) {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        let start = bench.now;
        for id in 0..count {
            bench.look_up_as(id, Subject::Host, &format!("m{id}.dead.test."), urgency);
        }
        bench.look_up(count, Subject::Host, "m.test.");
        while !bench.open.iter().any(|asked| asked.question().0 == "m.test") {
            bench.wait();
            assert!(bench.open.len() <= crate::config::DNS_DESCRIPTORS_MAX);
        }
        let waited = bench.now - start;
        let open = bench.open.clone().into_iter();
        for asked in open.filter(|asked| asked.question().0 == "m.test") {
            bench.answer(&asked, Ok(&asked.reply(OK, &[&[10, 0, 0, 9]])));
        }
        (bench, waited)
    }

    #[test]
    fn a_name_that_is_answered_does_not_wait_for_those_that_are_not() {
        for (count, most) in [(10, 0), (60, 75), (100, 125), (250, 313)] {
            let (bench, waited) = with_silent(count, Urgency::Usual);
            assert!(waited <= Duration::from_millis(most), "{count}: {waited:?}");
            drop(bench);
        }
        assert_eq!(with_silent(250, Urgency::Low).1, Duration::ZERO, "it has places of its own");
    }

    #[test]
    fn names_that_nobody_answers_for_are_asked_in_turn_to_the_end() {
        let count = 100;
        let (mut bench, _) = with_silent(count, Urgency::Usual);
        let start = bench.now;
        let mut answers = std::collections::BTreeSet::new();
        while bench.resolver.is_asking() {
            bench.wait();
            for (id, _, answer) in bench.answers().into_iter().filter(|(id, ..)| *id < count) {
                assert_eq!(answer, Answer::Failed(Failure::TimedOut));
                answers.insert(id);
            }
        }
        assert_eq!(answers.len(), count);
        let rounds = (2 * count).div_ceil(crate::config::DNS_QUESTIONS_DEAD_MAX) as u32;
        let turns = 2 * DNS_RESEND_MAX * rounds;
        assert!(bench.now - start <= DNS_QUERY_MAX * rounds + turns, "{:?}", bench.now - start);
    }

    #[test]
    fn a_family_that_has_its_answer_keeps_its_place() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test");
        let hosts = DNS_QUESTIONS_MAX / 2;
        for id in 0..hosts + 9 {
            bench.look_up(id, Subject::Host, &format!("m{id}"));
        }
        assert_eq!(bench.open.len(), DNS_QUESTIONS_MAX);
        for asked in bench.open.clone() {
            bench.answer(&asked, Ok(&asked.reply(NO_NAME, &[])));
            assert!(bench.open.len() <= DNS_QUESTIONS_MAX);
        }
    }

    #[test]
    fn a_new_configuration_begins_anew() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
        let configuration = resolv_conf::parse(b"nameserver 10.0.0.3", "", |_| None);
        bench.resolver.configure(configuration);
        bench.pass(Duration::ZERO);
        assert_eq!(bench.servers(), [3]);
        assert_eq!(bench.answers(), []);
    }

    #[test]
    fn a_new_configuration_asks_for_nothing_that_was_told() {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        bench.look_up(0, Subject::Host, "m.test.");
        let a = bench.open[0].clone();
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        assert_eq!(bench.answers().len(), 1);
        let configuration = resolv_conf::parse(b"nameserver 10.0.0.3", "", |_| None);
        bench.resolver.configure(configuration);
        bench.pass(Duration::ZERO);
        assert_eq!(bench.servers(), [3]);
        let aaaa = bench.last();
        bench.answer(&aaaa, Ok(&aaaa.reply(OK, &[])));
        let nothing = Answer::Nothing { exists: true, ttl: None };
        assert_eq!(bench.answers(), [(0, Kind::Aaaa, nothing)]);
        assert!(!bench.resolver.is_asking());
    }

    #[test]
    fn addresses_of_an_unwanted_family_are_not_asked_for() {
        let mut bench = Bench::new("nameserver 10.0.0.1\noptions no-aaaa");
        bench.look_up(0, Subject::Host, "m.test.");
        let nothing = Answer::Nothing { exists: false, ttl: Some(DNS_TTL_MAX) };
        assert_eq!(bench.answers(), [(0, Kind::Aaaa, nothing.clone())]);
        assert_eq!(bench.open.len(), 1);
        let a = bench.last();
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        assert_eq!(bench.answers().len(), 1);
        assert!(!bench.resolver.is_asking());

        // A family that is unwanted only now, when it alone is still open.
        let mut bench = Bench::new("nameserver 10.0.0.1");
        bench.look_up(0, Subject::Host, "m.test.");
        let a = bench.open[0].clone();
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        assert_eq!(bench.answers().len(), 1);
        let text = b"nameserver 10.0.0.1\noptions no-aaaa";
        bench.resolver.configure(resolv_conf::parse(text, "", |_| None));
        bench.pass(Duration::ZERO);
        assert_eq!(bench.answers(), [(0, Kind::Aaaa, nothing)]);
        assert!(bench.open.is_empty() && !bench.resolver.is_asking());
    }

    #[test]
    fn families_may_be_asked_for_one_by_one() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test\noptions single-request");
        bench.look_up(0, Subject::Host, "m");
        for (question, reply) in [
            ("m.one.test 1", (NO_NAME, &[][..])),
            ("m.one.test 28", (NO_NAME, &[])),
            ("m 1", (OK, &[&[10, 0, 0, 9][..]])),
            ("m 28", (OK, &[])),
        ] {
            assert_eq!(bench.questions(), question);
            let last = bench.last();
            bench.answer(&last, Ok(&last.reply(reply.0, reply.1)));
        }
        assert_eq!(bench.answers().len(), 2);
        assert!(!bench.resolver.is_asking());

        // One that is silent about the first family is asked for the second one nevertheless.
        bench.look_up(1, Subject::Host, "n.test.");
        bench.answer(&bench.last(), Err(Failure::Unreachable));
        assert_eq!(bench.questions(), "n.test 28");
        bench.answer(&bench.last(), Err(Failure::Unreachable));
        assert_eq!(bench.answers().len(), 2);
    }

    #[test]
    fn a_new_configuration_leads_nowhere_else_once_the_name_is_decided() {
        let mut bench = Bench::new("nameserver 10.0.0.1\nsearch one.test two.test");
        bench.look_up(0, Subject::Host, "m");
        let a = bench.open[0].clone();
        bench.answer(&a, Ok(&a.reply(OK, &[&[10, 0, 0, 9]])));
        assert_eq!(bench.answers().len(), 1);
        let text = b"nameserver 10.0.0.3\nsearch one.test two.test";
        bench.resolver.configure(resolv_conf::parse(text, "", |_| None));
        bench.pass(Duration::ZERO);
        let aaaa = bench.last();
        assert_eq!(aaaa.question().0, "m.one.test");
        bench.answer(&aaaa, Ok(&aaaa.reply(OK, &[])));
        let nothing = Answer::Nothing { exists: true, ttl: None };
        assert_eq!(bench.answers(), [(0, Kind::Aaaa, nothing)], "two.test is not asked for");
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_behind() {
        let mut bench = Bench::look_up_one("nameserver 10.0.0.1");
        bench.resolver.forget(LookupId(0));
        bench.pass(Duration::ZERO);
        assert_eq!((bench.answers(), bench.servers()), (vec![], vec![]));
        assert!(!bench.resolver.is_asking());
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_is_told_at_once() {
        let mut bench = Bench::new("nameserver 10.0.0.1");
        bench.look_up(0, Subject::Service, &"x".repeat(64));
        assert_eq!(bench.only_answer(), Answer::Failed(Failure::NoName));
    }
}
