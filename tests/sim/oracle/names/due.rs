//! When a name has to be asked for again at the latest.

use std::time::Duration;

use etcd_gateway::config::{DNS_QUERY_MAX, DNS_RESEND_MAX, DNS_RETRY_MAX, DNS_RETRY_PARTIAL};

use super::{Answer, Book, NameBooks, TICK};
use crate::names::Source;
use crate::world::World;

impl Book {
    /// When it has to be asked for again at the latest: what was found lives so long, and what was
    /// not is asked for soon, or with the rest. `silent_at`: when the last question is given up;
    /// `unknown`: when something was last asked without success, whatever it was.
    fn due_by(&self, kinds: usize, silent_at: Duration, unknown: Option<Duration>) -> Duration {
        // Of an answer that need not be believed both may be true.
        let all: Vec<Answer> =
            self.pages[..kinds].iter().filter_map(|page| page.answered).collect();
        let mut sure = all.clone();
        sure.retain(|answer| !answer.is_doubtful);
        let by_all = self.due_by_answers(&all, kinds, silent_at, unknown);
        by_all.max(self.due_by_answers(&sure, kinds, silent_at, unknown))
    }

    fn due_by_answers(
        &self,
        answers: &[Answer],
        kinds: usize,
        silent_at: Duration,
        unknown: Option<Duration>,
    ) -> Duration {
        let is_whole = answers.len() == kinds;
        let last_ends = answers.iter().map(|answer| answer.ends()).max().unwrap_or_default();
        if answers.iter().any(|answer| unknown.is_some_and(|at| answer.at <= at)) {
            return last_ends.max(silent_at + DNS_RETRY_MAX);
        }
        let found = answers.iter().filter(|answer| answer.is_found);
        let fresh_until = found.map(|answer| answer.ends()).min();
        match fresh_until {
            Some(fresh_until) if is_whole => fresh_until.max(self.heard_at()),
            Some(fresh_until) => fresh_until.max(silent_at),
            // That there is nothing may be a guess, if a server failed to say so of another name.
            None if is_whole => last_ends.max(self.heard_at() + DNS_RETRY_MAX),
            None => silent_at + DNS_RETRY_MAX,
        }
    }
}

impl NameBooks {
    /// The gateway is about to wait: it has asked again for whatever was due.
    pub(in crate::oracle) fn check_names_are_asked(&self, world: &World) {
        let names = world.context.plan.names();
        let now = world.context.turn_at;
        let timeouts = names.configurations.iter().map(|file| file.timeout);
        let longest = timeouts.max().unwrap_or_default();
        let part_life = names.lives.iter().max().copied().unwrap_or_default().max(1);
        let part_life = Duration::from_secs(u64::from(part_life));
        // What time was over while it was stopped is seen only then.
        let stopped_until = world.context.jumps.last().copied().unwrap_or_default();
        let unknown = [self.short_at, self.stream_at, self.part_at].into_iter().flatten().max();
        let unknown_until = [
            self.short_at.map(|at| at + longest),
            // What was sent by stream is not sent again, as long as it may be answered.
            self.stream_at.map(|at| at + DNS_QUERY_MAX),
            self.part_at.map(|at| (at + DNS_QUERY_MAX).max(stopped_until) + part_life),
        ];
        let unknown_until = unknown_until.into_iter().flatten().max().unwrap_or_default();
        if world.signals.terminations > 0 {
            return;
        }
        self.check_the_dead_have_turns(world, stopped_until.max(unknown_until));
        for (index, book) in self.books.iter().enumerate() {
            let host = names.hosts.get(index);
            let is_fixed = host.is_some_and(|host| host.is_literal || host.is_in_file);
            let Some((since, turn)) = book.wanted_since.filter(|_| !is_fixed) else { continue };
            // The file may know it, and is being read.
            if host.is_some() && turn + names.hosts_turns() > world.context.turns {
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
            if self.is_spare(world, index) {
                until = until.max(silent_at.max(book.heard_at()).max(seen_at) + DNS_RETRY_PARTIAL);
            }
            let mut until = until.max(self.turns_are_over_at(world, seen_at)) + TICK * 2;
            if names.dead > 0 {
                until += self.first_turns(world);
            }
            let is_known = book.pages[..kinds].iter().all(|page| {
                page.answered.is_some_and(|answer| unknown.is_none_or(|at| at < answer.at))
            });
            if !is_known {
                // It may count as one without an answer, or that could not be asked for.
                until = until.max(silent_at.max(seen_at) + self.dead_turn(world));
            }
            let first_by = since.max(seen_at) + self.first_turns(world) + TICK * 2;
            // A question for which there was no descriptor takes the first turn as any other does.
            let has_missed_it = self.short_at.is_some_and(|at| since <= at);
            let is_patient = book.was_asked || names.dead == 0 || now < first_by || has_missed_it;
            assert!(is_patient, "{index} waits for names that are dead");
            assert!(now < until, "{index} is not asked for at {now:?}, by {until:?}: {book:?}");
        }
    }

    /// Whether it is about a set of records that may be empty, while the other one serves.
    fn is_spare(&self, world: &World, book: usize) -> bool {
        let names = world.context.plan.names();
        let Some(set) = book.checked_sub(names.hosts.len()) else { return false };
        let may_be_empty = self.services[set].iter().any(Vec::is_empty);
        let may_the_other_serve = self.services[1 - set].iter().any(|records| !records.is_empty());
        let counts = set == 1 || names.source == Source::Records { is_insecure: true };
        counts && may_be_empty && may_the_other_serve
    }
}
