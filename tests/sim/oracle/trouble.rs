//! What holds of names that nobody answers for, and of a wildcard of the search list.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use etcd_gateway::config::{
    DNS_DESCRIPTORS_MAX, DNS_QUERY_MAX, DNS_QUESTIONS_DEAD_MAX, DNS_QUESTIONS_DEAD_MIN,
    DNS_QUESTIONS_MAX, DNS_RETRY_MAX, DNS_TURN_MIN, DNS_TURNS_MAX,
};

use super::Seen;
use super::names::{Answer, Book, Own, Page};
use crate::message::Question;
use crate::trouble::dead_index;
use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);
/// Questions a second about one kind of record of a name that nobody answers for: six turns, with
/// a question to each server where none can be sent.
const DEAD_QUESTIONS_MAX: usize = 20;

/// What is known of names that nobody answers for: when each was asked for last, and how often in
/// the last second for each kind of record.
#[derive(Debug, Default)]
pub(super) struct Dead {
    asked_at: Vec<Duration>,
    lately: Vec<[VecDeque<Duration>; 2]>,
}

impl Dead {
    pub(super) fn new(count: usize) -> Dead {
        Dead { asked_at: vec![Duration::ZERO; count], lately: vec![Default::default(); count] }
    }
}

impl World {
    /// The gateway asks for so many things at a time, and no more.
    pub(super) fn check_questions_at_a_time(&self) {
        let open = self.exchanges.iter().filter(|it| it.is_open);
        let asked = open.filter_map(|it| it.question.as_ref());
        let different: BTreeSet<(&str, u16)> = asked.map(|it| (&*it.name, it.kind)).collect();
        let count = different.len();
        assert!(count <= DNS_QUESTIONS_MAX, "{count} questions at a time");
        const { assert!(DNS_QUESTIONS_MAX <= DNS_DESCRIPTORS_MAX) };
    }

    /// A question for a name that nobody answers for.
    pub(super) fn check_dead_question(&mut self, question: &Question) {
        let now = self.context.turn_at;
        let page = usize::from(question.kind != crate::zone::A);
        let dead = &mut self.oracle.names().dead;
        let index = dead_index(&question.name);
        dead.asked_at[index] = now;
        let lately = &mut dead.lately[index][page];
        lately.retain(|at| *at + SECOND > now);
        lately.push_back(now);
        let count = lately.len();
        assert!(count <= DEAD_QUESTIONS_MAX, "{count} questions in a second: {question:?}");
        self.oracle.saw(Seen::DeadAskedFor);
    }

    /// The gateway is about to wait: of those that nobody answers for each has its turn.
    pub(super) fn check_the_dead_have_turns(&self, since: Duration) {
        let names = self.oracle.names.as_ref().expect("a run with names");
        let longest = self.dead_turn();
        for (index, asked_at) in names.dead.asked_at.iter().enumerate() {
            let until = since.max(*asked_at) + longest;
            assert!(
                self.context.turn_at < until,
                "dead name {index} was last asked for at {asked_at:?}"
            );
        }
    }

    /// How long a name that nobody answers for may have to wait; zero where there is none.
    pub(super) fn dead_turn(&self) -> Duration {
        let count = self.names().dead;
        if count == 0 {
            return Duration::ZERO;
        }
        let places = DNS_QUESTIONS_DEAD_MAX - DNS_QUESTIONS_DEAD_MIN;
        let rounds = (2 * count).div_ceil(places) as u32;
        // Once for the turns before it counts as dead, and once after.
        (DNS_QUERY_MAX + DNS_RETRY_MAX) * (rounds + 1) + 2 * SECOND
    }
}

impl World {
    /// How long it takes until each name has had its first turn.
    pub(super) fn first_turns(&self) -> Duration {
        let names = self.names();
        let questions = 2 * (names.dead + names.hosts.len());
        SECOND / 10 + DNS_TURN_MIN * (questions / DNS_QUESTIONS_MAX) as u32
    }

    /// By when names that nobody answers for have had all their turns, and one whose answers were
    /// lost meanwhile has had another, too. Zero if there are none.
    pub(super) fn turns_are_over_at(&self, since: Duration) -> Duration {
        let names = self.names();
        if names.dead == 0 {
            return Duration::ZERO;
        }
        let questions = 2 * (names.dead + names.hosts.len());
        let places = DNS_QUESTIONS_DEAD_MAX - DNS_QUESTIONS_DEAD_MIN;
        let turns = DNS_TURN_MIN * (1 << DNS_TURNS_MAX);
        since + turns * questions.div_ceil(places) as u32 + 2 * DNS_RETRY_MAX
    }
}

impl Book {
    /// Endpoints were named: by the name itself (`is_own`), or by a wildcard behind it.
    pub(super) fn named(
        &mut self,
        page: usize,
        endpoints: BTreeSet<usize>,
        answer: Answer,
        is_own: bool,
    ) -> Option<Seen> {
        if is_own {
            self.true_name_answered(page, endpoints, answer);
            return None;
        }
        let is_believed = self.wildcard_answered(page, &endpoints, answer);
        Some(if is_believed { Seen::WildcardBelieved } else { Seen::WildcardPassedOver })
    }

    /// Somebody else was named, by a wildcard behind the name itself. Whether that may be believed:
    /// not while the name itself was last heard to have something. Whether that it has nothing was
    /// heard to the end is not always known: then it may be, and need not be.
    fn wildcard_answered(
        &mut self,
        page: usize,
        strangers: &BTreeSet<usize>,
        answer: Answer,
    ) -> bool {
        let is_believed = self.pages.iter().all(|page| page.own != Own::Something);
        let is_sure = self.pages.iter().all(|page| page.own == Own::Nothing);
        let page = &mut self.pages[page];
        page.answered = is_believed.then_some(answer.doubted(!is_sure));
        page.may_be_more = false;
        if is_believed {
            page.may.extend(strangers);
            page.latest = None;
        }
        is_believed
    }

    /// The name itself has an answer. Where a wildcard may have led elsewhere that may wait for the
    /// other family, to know whether the name is back.
    fn true_name_answered(&mut self, page: usize, endpoints: BTreeSet<usize>, answer: Answer) {
        let page = &mut self.pages[page];
        page.answered = Some(answer);
        page.may_be_more = false;
        page.own = Own::Something;
        if self.has_stranger {
            page.may.extend(&endpoints);
            page.sure.retain(|endpoint| endpoints.contains(endpoint));
            page.latest = Some(endpoints);
        } else {
            (page.may, page.sure) = (endpoints.clone(), endpoints);
        }
    }
}

impl Page {
    /// The kind is asked for again: by now what was held of the last look-up is taken over.
    pub(super) fn settle(&mut self) {
        if let Some(latest) = self.latest.take() {
            (self.may, self.sure) = (latest.clone(), latest);
        }
    }
}
