//! What the gateway may ask name servers, and what it may believe: which endpoints there are, told
//! from the answers that it has received alone.
//!
//! An answer that says that there is nothing may be held back until the name's other family is
//! known, or another full name was tried. Until then both may be true, and nothing is demanded
//! that only one of them would.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use etcd_gateway::config::{
    DNS_DESCRIPTORS_MAX, DNS_QUERY_MAX, DNS_RESEND_MAX, DNS_RETRY_MAX, DNS_RETRY_PARTIAL,
    DNS_TRIES_OPEN_MAX, DNS_TTL_MAX, DNS_TTL_MIN, HOSTS_BYTES_PER_TURN, SRV_HANDOVER,
};
use etcd_gateway::reactor::Reactor;
use etcd_gateway::upstream::{Check, Endpoint};

use super::trouble::Dead;
use super::{Oracle, PerTurn, Seen, TICK};

use crate::exchange::Meaning;
use crate::message::Question;
use crate::names::{SERVICES, Source, server_of};
use crate::net::SimNet;
use crate::trouble::is_dead;
use crate::world::World;
use crate::zone::{A, AAAA, Record, SRV, Subject, Value, Zone};

const SECOND: Duration = Duration::from_secs(1);

/// What is known of one name.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Since when it has to be kept up to date, and from which turn on that can be seen.
    wanted_since: Option<(Duration, u64)>,
    /// Whether it could be listed when the last turn ended, or since when not.
    was_listed: bool,
    gone_at: Option<Duration>,
    asked_at: Duration,
    was_asked: bool,
    asked_by_stream: bool,
    pub(super) pages: [Page; 2],
    /// A wildcard may lead elsewhere.
    pub(super) has_stranger: bool,
}

impl Book {
    /// When the last answer came.
    fn heard_at(&self) -> Duration {
        let answers = self.pages.iter().filter_map(|page| page.answered);
        answers.map(|answer| answer.at).max().unwrap_or_default()
    }

    /// When it has to be asked for again at the latest: what was found lives so long, and what was
    /// not is asked for soon, or with the rest. `silent_at`: when the last question is given up;
    /// `unknown`: when something was asked in vain last, whatever it was.
    fn due_by(&self, kinds: usize, silent_at: Duration, unknown: Option<Duration>) -> Duration {
        // Of an answer that need not be believed both may be true.
        let due_by = |believes: &dyn Fn(&Answer) -> bool| {
            self.due_by_if(believes, kinds, silent_at, unknown)
        };
        due_by(&|_| true).max(due_by(&|answer| !answer.is_doubtful))
    }

    fn due_by_if(
        &self,
        believes: &dyn Fn(&Answer) -> bool,
        kinds: usize,
        silent_at: Duration,
        unknown: Option<Duration>,
    ) -> Duration {
        let answers =
            || self.pages[..kinds].iter().filter_map(|page| page.answered).filter(believes);
        let ends = |answer: Answer| answer.at + answer.life;
        let is_whole = answers().count() == kinds;
        if answers().any(|answer| unknown.is_some_and(|at| answer.at <= at)) {
            return answers().map(ends).max().unwrap_or_default().max(silent_at + DNS_RETRY_MAX);
        }
        let fresh_until = answers().filter(|answer| answer.is_found).map(ends).min();
        match fresh_until {
            Some(fresh_until) if is_whole => fresh_until.max(self.heard_at()),
            Some(fresh_until) => fresh_until.max(silent_at),
            // That there is nothing may be a guess, if somebody failed to say so of another name.
            None if is_whole => {
                let until = answers().map(ends).max().unwrap_or_default();
                until.max(self.heard_at() + DNS_RETRY_MAX)
            }
            None => silent_at + DNS_RETRY_MAX,
        }
    }
}

/// A question was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    at: Duration,
    life: Duration,
    is_found: bool,
    /// It may have been passed over.
    is_doubtful: bool,
}

impl Answer {
    fn new(at: Duration, life: Duration, is_found: bool) -> Answer {
        Answer { at, life, is_found, is_doubtful: false }
    }

    pub(super) fn doubted(self, is_doubtful: bool) -> Answer {
        Answer { is_doubtful, ..self }
    }
}

/// What the name itself was last heard to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Own {
    #[default]
    Nothing,
    Something,
    /// Nothing, but in a look-up that may have been given up before it came to an end.
    Unsure,
}

/// What is known of one kind of record of a name.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Questions of the last second.
    asked: VecDeque<Duration>,
    /// The answer to the last question.
    pub(super) answered: Option<Answer>,
    /// An answer did not fit.
    pub(super) may_be_more: bool,
    /// For how long it may be believed that the name itself has none, whatever fails behind it.
    own_life: Duration,
    /// What was last heard of the name itself, as against those that it may stand for.
    pub(super) own: Own,
    /// Endpoints that it may name now, and those of them that it surely names.
    pub(super) may: BTreeSet<usize>,
    pub(super) sure: BTreeSet<usize>,
    /// Those that the name itself named last, if they may not count yet.
    pub(super) latest: Option<BTreeSet<usize>>,
}

/// The books.
#[derive(Debug, Default)]
pub struct Names {
    /// One for each host, and one for each service.
    books: Vec<Book>,
    /// What each service may list now: one thing, or one and nothing.
    services: [Vec<Vec<Record>>; 2],
    /// The configuration that the gateway read last.
    configuration: Option<usize>,
    /// Bytes of /etc/hosts that were read.
    hosts_bytes: PerTurn,
    /// The last turn in which an answer changed something.
    flux_in: u64,
    /// Endpoints to which a dial was given up in this turn although its time was not over.
    left: Vec<usize>,
    /// Exchanges that have got what they were for.
    over: Vec<usize>,
    /// Answers of this turn that did not fit, and were not asked for by stream so far.
    cut: usize,
    /// Questions so far, and the last few ids.
    questions: u64,
    ids: VecDeque<u16>,
    /// When a question last lacked a descriptor, and when a stream was last dialed: nobody knows
    /// what for.
    short_at: Option<Duration>,
    stream_at: Option<Duration>,
    /// When an answer came last that was not whole, and may be used in the end.
    part_at: Option<Duration>,
    /// Whether endpoints are there that nothing names for sure, or until when such may stay.
    is_kept: bool,
    kept_until: Duration,
    pub(super) dead: Dead,
}

impl Names {
    pub fn new(names: &crate::names::Names) -> Names {
        let hosts = names.hosts.len();
        let is_typed = names.source == Source::Typed;
        let book = |index: usize| {
            let is_wanted = if index < hosts { is_typed } else { !is_typed };
            let wanted_since = is_wanted.then_some((Duration::ZERO, 1));
            Book { wanted_since, ..Book::default() }
        };
        let mut it = Names { books: (0..hosts + 2).map(book).collect(), ..Names::default() };
        it.services = [vec![Vec::new()], vec![Vec::new()]];
        for (book, host) in it.books.iter_mut().zip(&names.hosts) {
            book.has_stranger = host.stranger.is_some();
        }
        it.dead = Dead::new(names.dead);
        for (index, host) in names.hosts.iter().enumerate() {
            if host.is_in_file || host.is_literal {
                let all: BTreeSet<usize> = host.endpoints.iter().copied().collect();
                it.books[index].pages[0] = Page { may: all.clone(), sure: all, ..Page::default() };
            }
        }
        it
    }
}

impl Names {
    /// An answer that is not whole: any part of it may be used, if no whole one comes.
    fn note_part(&mut self, book: usize, page: usize, services: usize, value: &Value) {
        let at = &mut self.books[book].pages[page];
        match value {
            Value::Endpoints(endpoints) => {
                at.may.extend(endpoints.iter().copied());
                at.sure.clear();
            }
            Value::Records(records) if book >= services => {
                self.services[book - services].extend([records.clone(), Vec::new()]);
            }
            Value::Records(_) => {}
        }
    }
}

impl Oracle {
    pub(super) fn names(&mut self) -> &mut Names {
        self.names.as_mut().expect("a run with names")
    }

    /// The gateway has read resolv.conf.
    pub fn configuration_is_read(&mut self, configuration: usize) {
        let names = self.names();
        let before = names.configuration.replace(configuration);
        if before == Some(configuration) {
            return;
        }
        // What was under way begins anew.
        for page in names.books.iter_mut().flat_map(|book| &mut book.pages) {
            page.asked.clear();
            if before.is_some() && page.own == Own::Nothing {
                page.own = Own::Unsure;
            }
        }
    }
}

impl Oracle {
    /// The gateway has read so much of /etc/hosts.
    pub fn hosts_are_read(&mut self, bytes: usize) {
        let turn = self.turns;
        let read = self.names().hosts_bytes.add(turn, bytes as u64) as usize;
        assert!(read <= HOSTS_BYTES_PER_TURN, "{read} bytes of /etc/hosts in one turn");
        if read == HOSTS_BYTES_PER_TURN {
            self.saw(Seen::HostsReadInTurns);
        }
    }
}

impl World {
    /// The gateway opens a socket to a name server.
    pub fn check_exchange(&mut self, address: SocketAddr, is_stream: bool) {
        let may_ask = self.oracle.terminations == 0 || self.oracle.is_last_round();
        assert!(may_ask, "a question after the end was asked for");
        let books = self.oracle.names.as_ref().expect("a question although no name was typed");
        let configuration = books.configuration.expect("a question before resolv.conf was read");
        let configuration = &self.names().configurations[configuration];
        let server = server_of(address);
        let is_known = server.is_some_and(|server| configuration.servers.contains(&server));
        assert!(is_known, "{address} is no server of {configuration:?}");
        assert!(is_stream || !configuration.is_stream_only, "a datagram in spite of use-vc");
        let open = self.exchanges.iter().filter(|it| it.is_open).count();
        assert!(open < DNS_DESCRIPTORS_MAX, "{open} sockets for questions, and one more");
        let now = self.context.turn_at;
        if is_stream {
            let names = self.oracle.names();
            names.stream_at = Some(now);
            names.cut = names.cut.saturating_sub(1);
        }
    }

    /// A question could not even be put.
    pub fn question_fell_short(&mut self) {
        let now = self.context.turn_at;
        self.oracle.names().short_at = Some(now);
    }

    /// Whom a question is about, if it is one that may be asked.
    fn book_of(&self, question: &Question) -> Option<(usize, usize)> {
        let names = self.names();
        let books = self.oracle.names.as_ref().expect("a run with names");
        let search = &names.configurations[books.configuration?].search;
        let is_completed = |stem: &str| {
            let rest = question.name.strip_prefix(stem);
            let is_suffix = |rest: &str| search.iter().any(|it| rest == format!(".{it}"));
            rest.is_some_and(|rest| rest.is_empty() || is_suffix(rest))
        };
        let page = [A, AAAA].iter().position(|kind| *kind == question.kind);
        if let Source::Records { .. } = names.source {
            let service = SERVICES.iter().position(|service| is_completed(service));
            if let Some(set) = service {
                return (question.kind == SRV).then_some((names.hosts.len() + set, 0));
            }
        }
        let is_typed = names.source == Source::Typed;
        let host = match Zone::subject_of(names, &question.name) {
            Some(Subject::Host(host)) => Some(host),
            _ => names.hosts.iter().position(|host| {
                let stem = host.text.to_ascii_lowercase();
                let is_absolute = stem.ends_with('.');
                is_typed && !is_absolute && is_completed(&stem)
            }),
        }?;
        let may_be_listed = self.listing(host).0;
        let it = &names.hosts[host];
        (may_be_listed && !it.is_literal && !it.is_in_file).then_some((host, page?))
    }

    /// A question goes out.
    pub fn check_question(&mut self, exchange: usize, question: &Question) {
        self.check_questions_at_a_time();
        if is_dead(&question.name) {
            return self.check_dead_question(question);
        }
        let Some((book, page)) = self.book_of(question) else {
            panic!("{question:?}: nobody wants to know that");
        };
        let now = self.context.turn_at;
        let is_stream = self.exchanges[exchange].stream.is_some();
        let is_same = |it: &crate::exchange::Exchange| {
            let asked = it.question.as_ref();
            it.is_open
                && asked.is_some_and(|it| (&it.name, it.kind) == (&question.name, question.kind))
        };
        let tries = self.exchanges.iter().filter(|it| is_same(it)).count();
        // Sent once more, it is one of them.
        let is_again = self.exchanges[exchange].question.is_some();
        let others = tries - usize::from(is_again);
        assert!(others < DNS_TRIES_OPEN_MAX, "{tries} tries are open: {question:?}");
        let most = self.questions_a_second_max(book);
        let books = self.oracle.names.as_ref().expect("a run with names");
        let configuration = books.configuration.expect("checked when the socket was opened");
        let is_stream_only = self.names().configurations[configuration].is_stream_only;
        let randoms = self.oracle.randoms;
        let names = self.oracle.names();
        if !is_again {
            names.questions += 1;
            names.ids.push_back(question.id);
        }
        let is_drawn = names.questions <= randoms;
        assert!(is_drawn, "a question whose id is not drawn: {question:?}");
        if names.ids.len() > 3 {
            names.ids.pop_front();
            let [first, ..] = names.ids.make_contiguous() else { panic!("there are three") };
            let first = *first;
            let is_same = names.ids.iter().all(|id| *id == first);
            assert!(!is_same, "one id again and again: {first}");
        }
        let book = &mut names.books[book];
        (book.asked_at, book.asked_by_stream) = (now, is_stream);
        book.was_asked = true;
        let page_index = page;
        let page = &mut book.pages[page_index];
        let is_for_more = question.has_edns || is_stream && !is_stream_only;
        assert!(!is_for_more || page.may_be_more, "not plain for no reason: {question:?}");
        assert!(!is_stream || !question.has_edns, "EDNS by stream: {question:?}");
        page.answered = None;
        page.settle();
        page.asked.retain(|at| *at + SECOND > now);
        page.asked.push_back(now);
        let count = page.asked.len();
        assert!(count <= most, "{count} questions in a second, {most} are enough: {question:?}");
        let it = self.book_of(question);
        self.exchanges[exchange].book = it;
    }

    /// How many questions about one kind of record of one name a second may see: two look-ups, each
    /// for every full name, alias and server, cut short or too new for the server.
    fn questions_a_second_max(&self, book: usize) -> usize {
        let names = self.names();
        let suffixes = names.configurations.iter().map(|it| it.search.len()).max().unwrap_or(0);
        let is_exact = book < names.hosts.len() && names.source != Source::Typed;
        let candidates = if is_exact { 1 } else { 1 + suffixes };
        let servers = names.configurations.iter().map(|it| it.servers.len()).max().unwrap_or(0);
        let links = if self.zone.tells_aliases_one_by_one { 6 } else { 1 };
        2 * candidates * links * servers * 3 + 3
    }

    /// The gateway has got a message.
    pub fn has_received(&mut self, exchange: usize, meaning: &Meaning) {
        let (now, turn) = (self.context.turn_at, self.oracle.turns);
        let it = &self.exchanges[exchange];
        let is_stream = it.stream.is_some();
        let (book, page) = it.book.expect("an answer to a question");
        let has_edns = it.question.as_ref().is_some_and(|question| question.has_edns);
        let services = self.names().hosts.len();
        let own = match self.names().hosts.get(book) {
            Some(host) => host.text.to_ascii_lowercase(),
            None => SERVICES[book - services].to_owned(),
        };
        let is_own = it.question.as_ref().is_some_and(|question| question.name == own);
        let names = self.oracle.names();
        if !matches!(meaning, Meaning::Foreign) || is_stream {
            names.over.push(exchange);
        }
        let clamped = |life: &Duration| (*life).clamp(DNS_TTL_MIN, DNS_TTL_MAX);
        if let Meaning::Answer { subject, value: Value::Endpoints(endpoints), life, .. } = meaning {
            let answer = Answer::new(now, clamped(life), true);
            let endpoints = endpoints.iter().copied().collect();
            names.flux_in = turn;
            let seen = names.books[book].named(page, endpoints, answer, subject.is_some());
            seen.into_iter().for_each(|seen| self.oracle.saw(seen));
            let seen = if is_stream { Seen::AnsweredByStream } else { Seen::Answered };
            return self.oracle.saw(seen);
        }
        let at = &mut names.books[book].pages[page];
        match meaning {
            Meaning::Answer { value, life, .. } => {
                at.answered = Some(Answer::new(now, clamped(life), true));
                at.may_be_more = false;
                if let Value::Records(records) = value {
                    names.services[book - services] = vec![records.clone()];
                }
                names.flux_in = turn;
            }
            Meaning::Nothing { subject, life, .. } => {
                if is_own {
                    at.own_life = clamped(life);
                }
                at.answered = Some(Answer::new(now, clamped(life), false));
                at.may_be_more = false;
                if subject.is_some() {
                    (at.own, at.latest) = (Own::Nothing, None);
                    at.sure.clear();
                    if book >= services {
                        let values = &mut names.services[book - services];
                        values.retain(|value| !value.is_empty());
                        values.push(Vec::new());
                    }
                    names.flux_in = turn;
                }
            }
            Meaning::Cut | Meaning::Part { .. } => {
                at.may_be_more = true;
                names.cut += usize::from(!is_stream && !has_edns);
                if let Meaning::Part { value, .. } = meaning {
                    names.part_at = Some(now);
                    names.note_part(book, page, services, value);
                }
            }
            Meaning::Alias | Meaning::Failed | Meaning::Foreign => {}
        }
        if matches!(meaning, Meaning::Answer { .. }) {
            let seen = if is_stream { Seen::AnsweredByStream } else { Seen::Answered };
            self.oracle.saw(seen);
        }
    }

    /// Whether a host may count, and whether it surely does. Where records have changed, those that
    /// are gone count for a while, until the hosts of the new ones are known.
    fn listing(&self, host: usize) -> (bool, bool) {
        let (may, is_sure) = self.listing_now(host);
        let books = self.oracle.names.as_ref().expect("a run with names");
        let Book { gone_at, was_listed, .. } = books.books[host];
        let stopped_until = self.oracle.jumps.last().copied().unwrap_or_default();
        let retires = |at: Duration| {
            self.context.turn_at <= (at + SRV_HANDOVER).max(stopped_until) + TICK * 2
        };
        (may || was_listed || gone_at.is_some_and(retires), is_sure)
    }

    /// By the last answers alone.
    fn listing_now(&self, host: usize) -> (bool, bool) {
        let Source::Records { is_insecure } = self.names().source else { return (true, true) };
        let books = self.oracle.names.as_ref().expect("a run with names");
        let sets = &books.services[..if is_insecure { 2 } else { 1 }];
        let has = |records: &Vec<Record>| records.iter().any(|record| record.host == host);
        let may = sets.iter().any(|values| values.iter().any(has));
        let is_sure = sets.iter().any(|values| values.iter().all(has));
        (may, is_sure)
    }

    /// Whether what was received may name the endpoint, and whether it surely does.
    fn naming(&self, endpoint: usize) -> (bool, bool) {
        let names = self.names();
        let books = self.oracle.names.as_ref().expect("a run with names");
        let host = names.host_of(endpoint);
        let it = &names.hosts[host];
        if it.is_literal {
            return (true, true);
        }
        let (may, mut is_sure) = self.listing(host);
        let book = &books.books[host];
        // The file is read in the first turn in which the name is wanted, and in those after it.
        let turns = names.hosts_turns();
        let is_seen = book.wanted_since.is_some_and(|(_, turn)| turn + turns < self.oracle.turns);
        is_sure &= !it.is_in_file || is_seen;
        let is_in = |set: &dyn Fn(&Page) -> bool| book.pages.iter().any(set);
        let named = is_in(&|page| page.may.contains(&endpoint));
        let surely = is_in(&|page| page.sure.contains(&endpoint));
        (may && named, is_sure && surely)
    }

    /// Whether the gateway may believe now that there is such an endpoint, and whether it must:
    /// what it knew at the end of the last turn, and what it received since, count alike. The last
    /// of all stays although nothing names it any more.
    pub(super) fn presence(&self, endpoint: usize) -> (bool, bool) {
        if self.context.plan.names.is_none() {
            return (true, true);
        }
        let was_in = self.oracle.watches[endpoint].is_in;
        let (may, is_sure) = self.belief(endpoint);
        (may || was_in, is_sure && was_in)
    }

    /// Whether endpoints may be there that were kept though no record led to them: until the hosts
    /// of new records are known.
    fn is_handed_over(&self) -> bool {
        let books = self.oracle.names.as_ref().expect("a run with names");
        let stopped_until = self.oracle.jumps.last().copied().unwrap_or_default();
        let is_by_records = self.names().source != Source::Typed;
        let is_in_time = self.context.turn_at <= books.kept_until.max(stopped_until) + TICK * 2;
        is_by_records && (books.is_kept || is_in_time)
    }

    /// The same once the turn is over.
    fn belief(&self, endpoint: usize) -> (bool, bool) {
        let was_in = self.oracle.watches[endpoint].is_in;
        let (may, is_sure) = self.naming(endpoint);
        let all = || (0..self.context.plan.endpoints.len()).map(|it| self.naming(it));
        if all().any(|(_, is_sure)| is_sure) {
            return (may || was_in && self.is_handed_over(), is_sure);
        }
        let is_certain = all().all(|(may, _)| !may);
        (may || was_in, was_in && is_certain)
    }

    /// Whether an endpoint may have come or gone in this turn.
    pub(super) fn is_in_flux(&self) -> bool {
        let Some(books) = &self.oracle.names else { return false };
        let is_doubtful = |endpoint: usize| {
            let (may, is_sure) = self.presence(endpoint);
            may != is_sure
        };
        books.flux_in == self.oracle.turns || (0..self.places.len()).any(is_doubtful)
    }

    /// A dial was given up before its time, because its endpoint is gone.
    pub(super) fn dial_was_left(&mut self, endpoint: usize) {
        self.oracle.names().left.push(endpoint);
        self.oracle.saw(Seen::DialMovedOn);
    }

    /// Between two turns: the set of endpoints is what the answers say.
    pub(super) fn check_set(&mut self, reactor: &Reactor<SimNet>) {
        let is_over = self.oracle.terminations > 0;
        let names = self.oracle.names();
        let (over, cut) = (std::mem::take(&mut names.over), std::mem::take(&mut names.cut));
        assert!(cut == 0 || is_over, "{cut} answers did not fit, and are not asked for by stream");
        for exchange in over {
            assert!(!self.exchanges[exchange].is_open, "{exchange}: answered, and kept open");
        }
        let census = reactor.census();
        let open = self.exchanges.iter().filter(|it| it.is_open).count();
        assert_eq!(census.exchanges, open, "exchanges and their sockets");
        let mut present: Vec<Option<Endpoint>> = vec![None; self.places.len()];
        for (_, it) in reactor.endpoints().iter().filter(|(_, it)| !it.health().is_removed()) {
            present[self.endpoint_of(it.address())] = Some(*it);
        }
        let beliefs: Vec<_> = (0..present.len()).map(|it| self.belief(it)).collect();
        for (endpoint, (may, is_sure)) in beliefs.iter().enumerate() {
            let is_in = present[endpoint].is_some();
            let was_in = self.oracle.watches[endpoint].is_in;
            // Asked to end, it does not care any more.
            let is_right = if is_in { *may } else { !is_sure };
            assert!(
                is_right || is_over && is_in == was_in,
                "{endpoint}: it is {is_in}, it may be {may} and must be {is_sure}: {:?}",
                self.oracle.names
            );
        }
        // Who lists nobody at all is more likely to be wrong than to mean it.
        let was_any = self.oracle.watches.iter().any(|watch| watch.is_in);
        let is_any = present.iter().any(Option::is_some);
        assert!(is_any || !was_any, "the last known endpoints are not kept");
        let left = std::mem::take(&mut self.oracle.names().left);
        for endpoint in left {
            let is_gone = present[endpoint].is_none();
            assert!(is_gone || is_over, "{endpoint}: a dial was given up before its time");
        }
        self.take_set(&present);
        self.forget_hosts();
        self.note_shares(&present);
    }

    /// Who came begins anew; who went is remembered for a while if it was ill.
    fn take_set(&mut self, present: &[Option<Endpoint>]) {
        let (now, names_any) = (self.context.turn_at, self.any_named());
        let is_kept = (0..present.len()).all(|endpoint| !self.naming(endpoint).1);
        let names = self.oracle.names();
        if std::mem::replace(&mut names.is_kept, is_kept) && !is_kept {
            names.kept_until = now + SRV_HANDOVER;
        }
        for (endpoint, it) in present.iter().enumerate() {
            let (is_in, was_in) = (it.is_some(), self.oracle.watches[endpoint].is_in);
            if is_in && was_in && !names_any {
                self.oracle.saw(Seen::LastKnownKept);
            }
            let watch = &mut self.oracle.watches[endpoint];
            if let Some(it) = it
                && std::mem::take(&mut watch.may_be_well)
                && !was_in
                && it.health().is_active()
            {
                watch.begin_anew();
            }
            if is_in == was_in {
                continue;
            }
            self.context.note(if is_in { "comes" } else { "goes" }, endpoint, 0);
            self.oracle.rotation_changed();
            if is_in {
                if self.oracle.watches[endpoint].come(now) {
                    self.oracle.saw(Seen::CameBackIll);
                }
                self.oracle.saw(Seen::EndpointCame);
                continue;
            }
            self.oracle.watches[endpoint].go(now);
            self.oracle.saw(Seen::EndpointWent);
            for id in self.oracle.clients.clone() {
                let client = &mut self.connections[id].client;
                if client.starved_at == Some(endpoint) {
                    client.starved_at = None;
                }
            }
        }
    }

    fn any_named(&self) -> bool {
        (0..self.places.len()).any(|endpoint| self.naming(endpoint).0)
    }

    /// What is known of a host that nobody lists any more is not kept.
    fn forget_hosts(&mut self) {
        let (now, turn) = (self.context.turn_at, self.oracle.turns);
        for host in 0..self.names().hosts.len() {
            let (may, is_sure) = self.listing(host);
            let is_listed = self.listing_now(host).0;
            let it = &self.names().hosts[host];
            let is_fixed = it.is_in_file || it.is_literal;
            let book = &mut self.oracle.names().books[host];
            match (book.was_listed, is_listed) {
                (_, true) => book.gone_at = None,
                (true, false) => book.gone_at = Some(now),
                (false, false) => {}
            }
            book.was_listed = is_listed;
            // What has gone just now may count for a while.
            let may = may || book.gone_at == Some(now);
            if is_sure {
                book.wanted_since.get_or_insert((now, turn));
                continue;
            }
            book.wanted_since = None;
            if is_fixed {
                continue;
            }
            for page in &mut book.pages {
                page.sure.clear();
                if !may {
                    *page = Page::default();
                }
            }
        }
    }

    /// Takes over class and share of each endpoint, and sees that they are what the records say.
    fn note_shares(&mut self, present: &[Option<Endpoint>]) {
        if !self.any_named() || self.oracle.terminations > 0 {
            return;
        }
        let is_exact = self.is_exact();
        let mut is_changed = false;
        for (endpoint, it) in present.iter().enumerate() {
            let Some(it) = it else { continue };
            let host = self.names().host_of(endpoint);
            let mut share = f64::from(it.weight());
            if let Some(record) = self.record_of(host).filter(|_| is_exact) {
                assert_eq!(it.priority(), record.priority, "{endpoint}: in another class");
                let mates = &self.names().hosts[host].endpoints;
                let mates = mates.iter().filter(|mate| present[**mate].is_some()).count();
                share = f64::from(record.weight) / mates as f64;
            }
            let watch = &mut self.oracle.watches[endpoint];
            assert_eq!(it.check(), watch.check, "{endpoint}: has to prove itself in another way");
            is_changed |= (watch.priority, watch.weight) != (it.priority(), share);
            (watch.priority, watch.weight) = (it.priority(), share);
        }
        if is_changed {
            self.oracle.rotation_changed();
        }
    }

    /// Whether there is no doubt about anything.
    fn is_exact(&self) -> bool {
        let books = self.oracle.names.as_ref().expect("a run with names");
        let is_certain = |endpoint: usize| {
            let (may, is_sure) = self.naming(endpoint);
            may == is_sure
        };
        let all = books.services.iter().all(|values| values.len() == 1);
        all && !self.is_handed_over() && (0..self.places.len()).all(is_certain)
    }

    /// The record that counts for a host.
    fn record_of(&self, host: usize) -> Option<Record> {
        let names = self.names();
        let books = self.oracle.names.as_ref().expect("a run with names");
        match names.source {
            Source::Typed => {
                let it = &names.hosts[host];
                Some(Record { host, priority: it.priority, weight: it.weight })
            }
            Source::Records { is_insecure } => {
                let sets = &books.services[..if is_insecure { 2 } else { 1 }];
                let mut listed = sets.iter().flatten().flatten();
                listed.find(|record| record.host == host).copied()
            }
        }
    }

    /// The gateway is about to wait: it has asked again for whatever was due.
    pub(super) fn check_names_are_asked(&self) {
        let Some(books) = &self.oracle.names else { return };
        let names = self.names();
        let now = self.context.turn_at;
        let timeouts = names.configurations.iter().map(|it| it.timeout);
        let longest = timeouts.max().unwrap_or_default();
        let part_life = names.lives.iter().max().copied().unwrap_or_default().max(1);
        let part_life = Duration::from_secs(u64::from(part_life));
        // What time was over while it was stopped is seen only then.
        let stopped_until = self.oracle.jumps.last().copied().unwrap_or_default();
        let unknown = [books.short_at, books.stream_at, books.part_at].into_iter().flatten().max();
        let unknown_until = [
            books.short_at.map(|at| at + longest),
            // What was sent by stream is not sent again, as long as it may be answered.
            books.stream_at.map(|at| at + DNS_QUERY_MAX),
            books.part_at.map(|at| (at + DNS_QUERY_MAX).max(stopped_until) + part_life),
        ];
        let unknown_until = unknown_until.into_iter().flatten().max().unwrap_or_default();
        if self.oracle.terminations > 0 {
            return;
        }
        self.check_the_dead_have_turns(stopped_until.max(unknown_until));
        for (index, book) in books.books.iter().enumerate() {
            let host = names.hosts.get(index);
            let is_fixed = host.is_some_and(|it| it.is_literal || it.is_in_file);
            let Some((since, turn)) = book.wanted_since.filter(|_| !is_fixed) else { continue };
            // The file may know it, and is being read.
            if host.is_some() && turn + names.hosts_turns() > self.oracle.turns {
                continue;
            }
            let patience =
                if book.asked_by_stream { DNS_QUERY_MAX } else { longest.min(DNS_RESEND_MAX) };
            let silent_at = book.asked_at.max(since) + patience;
            let kinds = if index < names.hosts.len() { 2 } else { 1 };
            let seen_at = stopped_until.max(unknown_until);
            let own_life = book.pages.iter().map(|page| page.own_life).max().unwrap_or_default();
            let until = book.due_by(kinds, silent_at, unknown).max(seen_at + DNS_RETRY_MAX);
            let mut until = until.max(silent_at.max(seen_at) + own_life);
            if self.is_spare(index) {
                until = until.max(silent_at.max(book.heard_at()).max(seen_at) + DNS_RETRY_PARTIAL);
            }
            let mut until = until.max(self.turns_are_over_at(seen_at)) + TICK * 2;
            if names.dead > 0 {
                until += self.first_turns();
            }
            let is_known = |answer: Answer| unknown.is_none_or(|at| at < answer.at);
            if !book.pages[..kinds].iter().all(|page| page.answered.is_some_and(is_known)) {
                // It may count as one that nobody answers for, or that nobody could be asked about.
                until = until.max(silent_at.max(seen_at) + self.dead_turn());
            }
            let first_by = since.max(seen_at) + self.first_turns() + TICK * 2;
            let is_patient = book.was_asked || names.dead == 0 || now < first_by;
            assert!(is_patient, "{index} waits for names that are dead");
            assert!(now < until, "{index} is not asked for at {now:?}, by {until:?}: {book:?}");
        }
    }

    /// Whether it is about a set of records that may be empty, while the other one serves.
    fn is_spare(&self, book: usize) -> bool {
        let names = self.names();
        let Some(set) = book.checked_sub(names.hosts.len()) else { return false };
        let books = self.oracle.names.as_ref().expect("a run with names");
        let may_be = |set: usize, is_empty: bool| {
            books.services[set].iter().any(|records| records.is_empty() == is_empty)
        };
        let counts = set == 1 || names.source == Source::Records { is_insecure: true };
        counts && may_be(set, true) && may_be(1 - set, false)
    }

    /// The gateway is about to wait, and not just for a look: what it was told of is done.
    pub(super) fn check_exchanges_are_done(&self) {
        for (index, it) in self.exchanges.iter().enumerate().filter(|(_, it)| it.is_open) {
            let is_left = it.is_told && !it.inbox.is_empty();
            assert!(!is_left, "{index}: told of an answer, and did not look");
            let Some(stream) = &it.stream else { continue };
            let is_told = stream.told_readable || stream.told_writable;
            let is_decided = stream.stands || stream.death.is_some();
            assert!(!is_told || !is_decided || stream.is_known, "{index}: told that it stands");
            let has_more = stream.arrived > stream.taken || stream.has_ended;
            let is_unread = stream.is_known && stream.told_readable && has_more;
            assert!(!is_unread || it.question.is_none(), "{index}: told of bytes: {stream:?}");
            let is_unasked = stream.is_known && stream.told_writable && it.question.is_none();
            assert!(!is_unasked || stream.death.is_some(), "{index}: the question is held back");
        }
    }

    /// Whether an exchange was open before this turn and still is: then a look-up was under way all
    /// the time.
    pub(super) fn is_asking(&self) -> bool {
        self.exchanges.iter().any(|it| it.is_open && it.opened_in < self.oracle.turns)
    }

    /// The gateway goes on with a handshake.
    pub fn check_shake(&self, id: usize) {
        let connection = &self.connections[id];
        let crate::connection::Role::Probe { endpoint } = connection.role else {
            panic!("{id}: a handshake with somebody who is not probed");
        };
        let is_meant = self.oracle.watches[endpoint].check == Check::Tls;
        assert!(is_meant, "{id}: a handshake with one that need not prove itself");
        assert!(connection.stands, "{id}: a handshake before the connection stands");
        assert!(!connection.is_decided, "{id}: a handshake that is over");
    }

    /// The gateway has got the outcome of a handshake.
    pub fn handshake_ended(&mut self, id: usize, error: Option<etcd_gateway::net::NetError>) {
        let seen = if error.is_some() { Seen::HandshakeFailed } else { Seen::HandshakeSucceeded };
        self.oracle.saw(seen);
        self.dial_ended(id, error);
    }
}
