//! The rotation: priority class, weight, and turns. Pure.
//!
//! It is nginx's smooth weighted round robin (`ngx_stream_upstream_get_peer`): in each round every
//! endpoint that takes part gets a share of one connection as credit, the highest credit wins and
//! pays what was handed out. So credits always sum up to zero.
//!
//! ```text
//!   weights 2,1,1   credit before      share         wins   credit after
//!   round 1           0    0    0    1/2 1/4 1/4      0     -1/2  1/4  1/4
//!   round 2         -1/2  1/4  1/4   1/2 1/4 1/4      1       0  -1/2  1/2
//!   round 3           0  -1/2  1/2   1/2 1/4 1/4      2      1/2 -1/4 -1/4
//!   round 4          1/2 -1/4 -1/4   1/2 1/4 1/4      0       0    0    0
//! ```
//!
//! nginx counts credit in units of weight. We count it in connections, because those that take part
//! change: credit that is half a connection next to a weight of 65535 would be a burst of 32767
//! connections once that endpoint is gone. Those that do not take part get no credit meanwhile, so
//! an endpoint returns with what it left with, and is not made up for its absence.

use super::weight::{CONNECTION, Class, Contest};
use crate::address::Address;
use crate::upstream::members::Members;
use crate::upstream::{Endpoint, EndpointId, Standing};

/// Holds one round; `None` if no endpoint takes part.
pub(super) fn advance(members: &mut Members, tried: &[Address]) -> Option<EndpointId> {
    let contest = contest(members, tried)?;
    let mut winner: Option<(EndpointId, i64)> = None;
    let mut handed_out = 0;
    members.change_live(|id, endpoint| {
        if endpoint.class() != contest.class || !endpoint.takes_part(tried) {
            return;
        }
        let share = contest.share(endpoint.weight);
        endpoint.credit += share;
        handed_out += share;
        // The first of equals wins, which makes equal weights a plain rotation.
        if winner.is_none_or(|(_, credit)| endpoint.credit > credit) {
            winner = Some((id, endpoint.credit));
        }
    });
    debug_assert!(handed_out > 0, "a round about nothing");
    debug_assert!(handed_out <= CONNECTION as i64, "more than one connection was handed out");
    let (id, _) = winner.expect("a contest has at least the one it was opened for");
    let winner = members.get_mut(id).expect("the winner takes part");
    debug_assert!(winner.takes_part(tried), "one that is tried or inactive wins");
    debug_assert_eq!(winner.class(), contest.class, "the winner is of another class");
    winner.credit -= handed_out;
    Some(id)
}

/// The class from which the next round would take an endpoint.
pub(super) fn class(members: &Members, tried: &[Address]) -> Option<Class> {
    contest(members, tried).map(|contest| contest.class)
}

/// Makes credits of each class sum up to zero again after its members changed. Without that the
/// rest would drift away from zero, and a newcomer at zero get a burst.
pub(in crate::upstream) fn recentre(members: &mut Members) {
    let mut done: Option<u16> = None;
    while let Some(priority) = next_class(members, done) {
        recentre_class(members, priority);
        done = Some(priority);
    }
}

/// The lowest class above `done`, or of all.
fn next_class(members: &Members, done: Option<u16>) -> Option<u16> {
    let classes = members.live().map(|(_, endpoint)| endpoint.priority);
    classes.filter(|priority| done.is_none_or(|done| *priority > done)).min()
}

fn recentre_class(members: &mut Members, priority: u16) {
    let (mut count, mut credits) = (0, 0);
    for (_, endpoint) in members.live().filter(|(_, endpoint)| endpoint.priority == priority) {
        count += 1;
        credits += endpoint.credit;
    }
    debug_assert!(count > 0, "called for the class of a member");
    let mut odd_units: i64 = credits.rem_euclid(count);
    members.change_live(|_, endpoint| {
        if endpoint.priority == priority {
            let odd_unit = i64::from(odd_units > 0);
            endpoint.credit -= credits.div_euclid(count) + odd_unit;
            odd_units -= odd_unit;
        }
    });
    debug_assert_eq!(odd_units, 0, "fewer members than odd units");
    debug_assert_eq!(credits_of(members, priority), 0, "a class that owes something to another");
}

/// The sum of the credits of one class.
fn credits_of(members: &Members, priority: u16) -> i64 {
    let class = members.live().filter(|(_, endpoint)| endpoint.priority == priority);
    class.map(|(_, endpoint)| endpoint.credit).sum()
}

/// The lowest class in which an endpoint takes part, and what its shares depend on. One that fails
/// its checks takes no part while another one does better, even if that was tried: a client had
/// better be rejected than led to a server that does not serve.
fn contest(members: &Members, tried: &[Address]) -> Option<Contest> {
    let mut best: Option<Contest> = None;
    let mut best_standing = Standing::Failing;
    for (_, endpoint) in members.live() {
        if !endpoint.health.is_active() {
            continue;
        }
        let class = endpoint.class();
        best_standing = best_standing.min(class.standing);
        if tried.contains(&endpoint.address) {
            continue;
        }
        let contest = match &mut best {
            Some(contest) if contest.class < class => continue,
            Some(contest) if contest.class == class => contest,
            _ => best.insert(Contest { class, weights: 0, zeros: 0 }),
        };
        contest.weights += u64::from(endpoint.weight);
        contest.zeros += u64::from(endpoint.weight == 0);
    }
    debug_assert!(best.is_none_or(|contest| contest.weights + contest.zeros > 0));
    best.filter(|contest| contest.class.standing == best_standing)
}

impl Endpoint {
    #[inline]
    pub(super) fn class(&self) -> Class {
        let is_second = !self.is_preferred;
        Class { standing: self.standing(), priority: self.priority, is_second }
    }

    fn takes_part(&self, tried: &[Address]) -> bool {
        self.health.is_active() && !tried.contains(&self.address)
    }
}
