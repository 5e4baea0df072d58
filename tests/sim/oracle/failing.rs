//! What follows from failed checks for clients: they are led elsewhere, and those that are there
//! are closed, as many as the rate allows, while another endpoint serves.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_gateway::config::health::CloseOnFailure;

use super::TICK;
use super::check::State;
use super::checks::{Checking, Doubt};
use super::endpoint::Standing;
use crate::connection::Id;
use crate::plan::Plan;
use crate::world::World;

/// How late a closing may be made up for.
const CATCH_UP: Duration = Duration::from_millis(20);
/// How many closings are remembered.
const CLOSINGS_MAX: usize = 500;

/// Pairs that were closed since their endpoint fails.
#[derive(Debug, Default)]
pub(super) struct Closings {
    /// When, the last ones.
    at: VecDeque<Duration>,
    /// When a pair of such an endpoint last ended, for whatever reason.
    possible_at: Duration,
    /// Since when an endpoint serves.
    served_since: Option<Duration>,
    /// The last turn in which a dial was left since its endpoint fails.
    left_in: u64,
}

impl Checking<'_> {
    /// Whether an endpoint fails while another one serves, or did at some point in this turn, when
    /// a dial was left.
    pub(super) fn may_be_left(&mut self, world: &World, endpoint: usize) -> bool {
        let is_failing = self.watches.all[endpoint].standing == Standing::Failing;
        let turn = world.context.turns;
        if self.watches.is_replaceable(endpoint) {
            self.checks.closings.left_in = turn;
        }
        is_failing && self.checks.closings.left_in == turn
    }

    /// A dial to an endpoint that fails may have been left or have failed, whichever came first in
    /// its last turn. `is_active`: what the gateway takes it for now. Where that does not tell,
    /// its next check may or may not have been brought forward.
    pub(super) fn end_doubt(&mut self, endpoint: usize, is_active: bool) {
        for doubt in std::mem::take(&mut self.checks.in_doubt) {
            if doubt.endpoint != endpoint {
                self.checks.in_doubt.push(doubt);
                continue;
            }
            let Doubt { before, due_at, .. } = doubt;
            let watch = &mut self.watches.all[endpoint];
            let has_failed = before.is_active() && !is_active;
            if is_active != watch.is_active() {
                watch.state = before.state;
            }
            if !is_active && !before.is_active() {
                watch.may_have_failed_again(&before);
            }
            if let (Some(book), Some(due_at), false) =
                (&mut self.checks.all[endpoint], due_at, has_failed)
            {
                book.due_at = book.due_at.max(due_at);
            }
        }
    }

    /// When the pairs of an endpoint are to be closed.
    fn closes_at(&self, plan: &Plan, endpoint: usize) -> Option<Duration> {
        let checked = plan.checked.as_ref().filter(|_| self.watches.is_replaceable(endpoint))?;
        let State::Failing { since, .. } = self.checks.all[endpoint].as_ref()?.state else {
            return None;
        };
        let delay = match plan.limits.close_on_failure {
            CloseOnFailure::ByCheck if checked.is_for_etcd() => Duration::ZERO,
            CloseOnFailure::ByCheck | CloseOnFailure::Never => return None,
            CloseOnFailure::After(delay) => delay,
        };
        Some(since + delay)
    }

    /// Whether the client's pair may be closed since its endpoint fails.
    pub(super) fn may_leave(&self, world: &World, client: Id) -> bool {
        let Some((_, server)) = self.books.accounts.pair_of(world, client) else { return false };
        let endpoint = server.role.endpoint().expect("a pair has a server");
        let at = self.closes_at(&world.context.plan, endpoint);
        at.is_some_and(|at| at <= world.context.turn_at)
    }

    /// A pair of an endpoint that fails has ended: it may have been closed for that.
    pub(super) fn note_possible_closing(&mut self, world: &World) {
        self.checks.closings.possible_at = world.context.turn_at;
    }

    /// A pair is closed for no other reason than that its endpoint fails.
    pub(super) fn note_closing(&mut self, world: &World) {
        let (now, rate) = (world.context.turn_at, world.context.plan.limits.close_rate);
        let at = &mut self.checks.closings.at;
        at.push_back(now);
        if at.len() > CLOSINGS_MAX {
            at.pop_front();
        }
        for (index, first) in at.iter().enumerate() {
            let closed = (at.len() - index) as f64;
            let time = now - *first + CATCH_UP;
            let most = 1.0 + f64::from(rate) * time.as_secs_f64();
            assert!(closed <= most + 1e-6, "{closed} pairs closed in {time:?}, at most {most}");
        }
    }

    /// Pairs that are to be closed are, one after the other.
    pub(super) fn check_closings_go_on(&mut self, world: &World) {
        let now = world.context.turn_at;
        let serves = self.watches.has_serving();
        let served_since = match self.checks.closings.served_since.filter(|_| serves) {
            None => serves.then_some(now),
            since => since,
        };
        self.checks.closings.served_since = served_since;
        let Some(served_since) = served_since else { return };
        let plan = &world.context.plan;
        let last = self.checks.closings.possible_at;
        let step = (Duration::from_secs(1) / plan.limits.close_rate).max(TICK);
        for client in &self.books.accounts.clients {
            let Some((own, server)) = self.books.accounts.pair_of(world, *client) else { continue };
            let endpoint = server.role.endpoint().expect("a pair has a server");
            // One that has lost a side ends by itself.
            let is_lost = own.loss_is_reported() || server.loss_is_reported();
            if !is_lost && self.watches.is_replaceable(endpoint) {
                let known_at = world.network.connections[*client].server;
                let known_at =
                    known_at.map_or(Duration::ZERO, |id| self.books.account(id).known_at);
                let Some(at) = self.closes_at(plan, endpoint) else { continue };
                let due = at.max(served_since).max(known_at).max(last);
                assert!(
                    now < due + step + 2 * TICK,
                    "{client} is kept at {endpoint}, which fails, since {due:?}"
                );
            }
        }
    }
}
