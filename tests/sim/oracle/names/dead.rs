//! What holds of names that no server answers for, and how long the others may have to wait for
//! them.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_gateway::config::{
    DNS_QUERY_MAX, DNS_QUESTIONS_DEAD_MAX, DNS_QUESTIONS_DEAD_MIN, DNS_QUESTIONS_MAX,
    DNS_RETRY_MAX, DNS_TURN_MIN, DNS_TURNS_MAX,
};

use super::{NameBooks, SECOND};
use crate::message::Question;
use crate::trouble::dead_index;
use crate::world::World;

/// Questions a second about one kind of record of a name without an answer: six turns, with
/// a question to each server where none can be sent.
const DEAD_QUESTIONS_MAX: usize = 20;

/// What is known of names without an answer: when each was asked for last, and how often in
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

    /// A question for a name that no server answers for.
    pub(super) fn check_question(&mut self, now: Duration, question: &Question) {
        let page = usize::from(question.kind != crate::zone::A);
        let index = dead_index(&question.name);
        self.asked_at[index] = now;
        let lately = &mut self.lately[index][page];
        lately.retain(|at| *at + SECOND > now);
        lately.push_back(now);
        let count = lately.len();
        assert!(count <= DEAD_QUESTIONS_MAX, "{count} questions in a second: {question:?}");
    }
}

impl NameBooks {
    /// The gateway is about to wait: of the names without an answer each has its turn.
    pub(super) fn check_the_dead_have_turns(&self, world: &World, since: Duration) {
        let longest = self.dead_turn(world);
        for (index, asked_at) in self.dead.asked_at.iter().enumerate() {
            let until = since.max(*asked_at) + longest;
            assert!(
                world.context.turn_at < until,
                "dead name {index} was last asked for at {asked_at:?}"
            );
        }
    }

    /// How long a name without an answer may have to wait; zero where there is none.
    pub(super) fn dead_turn(&self, world: &World) -> Duration {
        let count = world.context.plan.names().dead;
        if count == 0 {
            return Duration::ZERO;
        }
        let places = DNS_QUESTIONS_DEAD_MAX - DNS_QUESTIONS_DEAD_MIN;
        let rounds = (2 * count).div_ceil(places) as u32;
        // Once for the turns before it counts as dead, and once after.
        (DNS_QUERY_MAX + DNS_RETRY_MAX) * (rounds + 1) + 2 * SECOND
    }

    /// How long it takes until each name has had its first turn.
    pub(super) fn first_turns(&self, world: &World) -> Duration {
        let names = world.context.plan.names();
        let questions = 2 * (names.dead + names.hosts.len());
        SECOND / 10 + DNS_TURN_MIN * (questions / DNS_QUESTIONS_MAX) as u32
    }

    /// By when names without an answer have had all their turns, and one whose answers were
    /// lost meanwhile has had another, too. Zero if there are none.
    pub(super) fn turns_are_over_at(&self, world: &World, since: Duration) -> Duration {
        let names = world.context.plan.names();
        if names.dead == 0 {
            return Duration::ZERO;
        }
        let questions = 2 * (names.dead + names.hosts.len());
        let places = DNS_QUESTIONS_DEAD_MAX - DNS_QUESTIONS_DEAD_MIN;
        let turns = DNS_TURN_MIN * (1 << DNS_TURNS_MAX);
        since + turns * questions.div_ceil(places) as u32 + 2 * DNS_RETRY_MAX
    }
}
