//! What the gateway may ask, how often, and through how many sockets; and that it looks at what it
//! was told of them.

use std::collections::BTreeSet;

use etcd_gateway::config::{DNS_DESCRIPTORS_MAX, DNS_QUESTIONS_MAX, DNS_TRIES_OPEN_MAX};

use super::answers::is_behind;
use super::{NameBooks, SECOND};
use crate::message::Question;
use crate::names::{SERVICES, Source};
use crate::oracle::{Oracle, Seen};
use crate::trouble::is_dead;
use crate::world::World;
use crate::zone::{A, AAAA, SRV, Subject, Zone};

impl Oracle {
    /// The gateway opens a socket to a name server.
    pub fn check_exchange(&mut self, world: &World, server: usize, is_stream: bool) {
        let may_ask = world.signals.terminations == 0 || self.books.is_last_round(world);
        assert!(may_ask, "a question after the end was asked for");
        let names = self.names.as_mut().expect("a question although no name was typed");
        let configuration = names.configuration.expect("a question before resolv.conf was read");
        let configuration = &world.context.plan.names().configurations[configuration];
        let is_known = configuration.servers.contains(&server);
        assert!(is_known, "{server} is not a server of {configuration:?}");
        assert!(is_stream || !configuration.is_stream_only, "a datagram in spite of use-vc");
        let open = world.exchanges.open_ones().count();
        assert!(open < DNS_DESCRIPTORS_MAX, "{open} sockets for questions, and one more");
        if is_stream {
            names.stream_at = Some(world.context.turn_at);
            names.cut = names.cut.saturating_sub(1);
        }
    }

    /// A question could not even be put.
    pub fn question_fell_short(&mut self, world: &World) {
        let now = world.context.turn_at;
        self.names_mut().short_at = Some(now);
    }

    /// A question goes out.
    pub fn check_question(&mut self, world: &World, exchange: usize, question: &Question) {
        check_questions_at_a_time(world);
        let randoms = self.books.record.randoms;
        if is_dead(&question.name) {
            self.names_mut().dead.check_question(world.context.turn_at, question);
            return self.books.saw(Seen::DeadAskedFor);
        }
        self.names_mut().check_question(world, exchange, question, randoms);
    }

    /// The gateway is about to wait, and not just for a look: what it was told of is done.
    pub(in crate::oracle) fn check_exchanges_are_done(&self, world: &World) {
        for (index, exchange) in world.exchanges.all.iter().enumerate() {
            if !exchange.is_open {
                continue;
            }
            let is_left = exchange.is_reported && !exchange.inbox.is_empty();
            assert!(!is_left, "{index}: told of an answer, and did not look");
            let Some(stream) = &exchange.stream else { continue };
            let is_told = stream.reported_readable || stream.reported_writable;
            let is_decided = stream.is_established || stream.death.is_some();
            assert!(
                !is_told || !is_decided || stream.is_known,
                "{index}: no look at a dial that is reported"
            );
            let has_more = stream.arrived > stream.taken || stream.has_ended;
            let has_more = has_more || stream.death.is_some();
            let is_unread = stream.is_known && stream.reported_readable && has_more;
            assert!(!is_unread, "{index}: told of bytes or an end: {stream:?}");
            let is_unasked =
                stream.is_known && stream.reported_writable && exchange.question.is_none();
            assert!(!is_unasked || stream.death.is_some(), "{index}: the question is held back");
        }
    }

    /// Whether an exchange was open before this turn and still is: then a look-up was under way all
    /// the time.
    pub(in crate::oracle) fn is_asking(&self, world: &World) -> bool {
        world.exchanges.open_ones().any(|exchange| exchange.opened_in < world.context.turns)
    }
}

impl NameBooks {
    /// The book and the page of a question, if it is one that may be asked.
    fn book_of(&self, world: &World, question: &Question) -> Option<(usize, usize)> {
        let names = world.context.plan.names();
        let search = &names.configurations[self.configuration?].search;
        let page = [A, AAAA].iter().position(|kind| *kind == question.kind);
        if let Source::Records { .. } = names.source {
            let service =
                SERVICES.iter().position(|stem| is_completed(&question.name, stem, search));
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
                is_typed && !is_absolute && is_completed(&question.name, &stem, search)
            }),
        }?;
        let may_be_listed = self.listing(world, host).0;
        let host_named = &names.hosts[host];
        (may_be_listed && !host_named.is_literal && !host_named.is_in_file).then_some((host, page?))
    }

    /// A question goes out, for which the gateway has drawn `randoms` random numbers at most.
    fn check_question(
        &mut self,
        world: &World,
        exchange: usize,
        question: &Question,
        randoms: u64,
    ) {
        let Some((book, page)) = self.book_of(world, question) else {
            panic!("{question:?}: a question that nothing calls for");
        };
        self.pages.resize(self.pages.len().max(exchange + 1), None);
        self.pages[exchange] = Some((book, page));
        let now = world.context.turn_at;
        let is_stream = world.exchanges.all[exchange].stream.is_some();
        // Sent once more, it is one of them.
        let is_again = world.exchanges.all[exchange].question.is_some();
        let tries = world.exchanges.open_ones().filter(|other| other.asks(question)).count();
        let others = tries - usize::from(is_again);
        assert!(others < DNS_TRIES_OPEN_MAX, "{tries} tries are open: {question:?}");
        let most = self.questions_a_second_max(world, book);
        let configuration = self.configuration.expect("checked when the socket was opened");
        let is_stream_only =
            world.context.plan.names().configurations[configuration].is_stream_only;
        if !is_again {
            self.questions += 1;
            self.ids.push_back(question.id);
        }
        let is_drawn = self.questions <= randoms;
        assert!(is_drawn, "a question whose id is not drawn: {question:?}");
        if self.ids.len() > 3 {
            self.ids.pop_front();
            let [first, ..] = self.ids.make_contiguous() else { panic!("there are three") };
            let first = *first;
            let is_same = self.ids.iter().all(|id| *id == first);
            assert!(!is_same, "one id again and again: {first}");
        }
        let is_behind = is_behind(world, book, &question.name);
        let book = &mut self.books[book];
        book.asks(page, is_behind);
        (book.asked_at, book.asked_by_stream) = (now, is_stream);
        book.was_asked = true;
        let page = &mut book.pages[page];
        let is_for_more = question.has_edns || is_stream && !is_stream_only;
        assert!(!is_for_more || page.may_be_more, "not plain for no reason: {question:?}");
        assert!(!is_stream || !question.has_edns, "EDNS by stream: {question:?}");
        page.answered = None;
        page.settle();
        page.asked.retain(|at| *at + SECOND > now);
        page.asked.push_back(now);
        let count = page.asked.len();
        assert!(count <= most, "{count} questions in a second, {most} are enough: {question:?}");
    }

    /// How many questions about one kind of record of one name a second may see: two look-ups, each
    /// for every full name, alias and server, cut short or too new for the server.
    fn questions_a_second_max(&self, world: &World, book: usize) -> usize {
        let names = world.context.plan.names();
        let suffixes = names
            .configurations
            .iter()
            .map(|configuration| configuration.search.len())
            .max()
            .unwrap_or(0);
        let is_exact = book < names.hosts.len() && names.source != Source::Typed;
        let candidates = if is_exact { 1 } else { 1 + suffixes };
        let servers = names
            .configurations
            .iter()
            .map(|configuration| configuration.servers.len())
            .max()
            .unwrap_or(0);
        let links = if world.name_servers.zone.tells_aliases_one_by_one { 6 } else { 1 };
        2 * candidates * links * servers * 3 + 3
    }
}

/// Whether the name is the stem, as it is or with a suffix of the search list.
fn is_completed(name: &str, stem: &str, search: &[&str]) -> bool {
    let Some(rest) = name.strip_prefix(stem) else { return false };
    rest.is_empty() || rest.strip_prefix('.').is_some_and(|rest| search.contains(&rest))
}

/// The gateway asks for a limited number of things at a time.
fn check_questions_at_a_time(world: &World) {
    let asked = world.exchanges.open_ones().filter_map(|exchange| exchange.question.as_ref());
    let different: BTreeSet<(&str, u16)> =
        asked.map(|question| (&*question.name, question.kind)).collect();
    let count = different.len();
    assert!(count <= DNS_QUESTIONS_MAX, "{count} questions at a time");
    const { assert!(DNS_QUESTIONS_MAX <= DNS_DESCRIPTORS_MAX) };
}
