//! The endpoints that the oracle watches, and how even their shares of the clients are.

use std::time::Duration;

use super::endpoint::{Standing, State, Watch};
use crate::plan::Plan;

/// How far the rotation may be from even, in connections, over any stretch of time in which no
/// endpoint failed. At both ends of it an endpoint may be owed, or have had in advance, about one.
pub(super) const UNFAIRNESS_MAX: f64 = 2.0;

/// The same where endpoints come and go all the time: what those that leave were owed is shared out
/// among those that stay, so at either end of a stretch it may be about half a connection more.
pub(super) const UNFAIRNESS_IN_FLUX_MAX: f64 = 3.0;

/// The most that all endpoints of weight 0 may get together with others present, as a part of all:
/// RFC 2782 asks for "a very small chance", and this is twice the project's one percent.
const ZERO_SHARE_MAX: f64 = 0.02;

#[derive(Debug)]
pub(super) struct Watches {
    pub(super) all: Vec<Watch>,
}

impl Watches {
    /// One for each endpoint: those whose address was typed are there from the start.
    pub(super) fn new(plan: &Plan) -> Watches {
        let mut all = Vec::new();
        for (endpoint, spec) in plan.endpoints.iter().enumerate() {
            let names = plan.names.as_ref();
            let is_typed = match &plan.followed {
                Some(followed) => followed.is_typed(endpoint),
                None => names.is_none_or(|names| names.hosts[names.host_of(endpoint)].is_literal),
            };
            all.push(Watch::new(spec, is_typed, &plan.limits.retry));
        }
        Watches { all }
    }

    /// How the best of the active endpoints do by their checks.
    pub(super) fn best_standing(&self) -> Option<Standing> {
        let active = self.all.iter().filter(|watch| watch.is_in && watch.is_active());
        active.map(|watch| watch.standing).min()
    }

    /// Whether an endpoint fails while another one serves.
    pub(super) fn is_replaceable(&self, endpoint: usize) -> bool {
        let is_failing = self.all[endpoint].standing == Standing::Failing;
        is_failing && self.has_serving()
    }

    /// Whether an endpoint is known to serve: one that is only tried as if it did gives no reason
    /// to leave another one.
    pub(super) fn has_serving(&self) -> bool {
        self.all.iter().any(|watch| watch.is_active() && watch.has_passed)
    }

    /// It is evident that the endpoint serves.
    pub(super) fn succeed(&mut self, endpoint: usize, now: Duration) {
        if !self.all[endpoint].is_active() {
            self.rotation_changed();
        }
        let watch = &mut self.all[endpoint];
        watch.state = State::Active { proven_at: now };
        watch.has_passed |= !watch.is_checked;
    }

    /// From here on shares are counted anew.
    pub(super) fn rotation_changed(&mut self) {
        self.all.iter_mut().for_each(|watch| watch.picks = 0);
    }

    /// An endpoint of a class got a client by rotation; shares may be off by `most` connections.
    /// Whether they could be checked.
    pub(super) fn check_fairness(&mut self, endpoint: usize, most: f64) -> bool {
        let class = self.all[endpoint].class();
        self.all[endpoint].picks += 1;
        let mates: Vec<&Watch> = self.all.iter().filter(|watch| watch.is_mate(class)).collect();
        let picks: u64 = mates.iter().map(|mate| mate.picks).sum();
        let zeros = mates.iter().filter(|mate| mate.weight == 0.0).count();
        if zeros > 0 && zeros < mates.len() {
            let few: u64 =
                mates.iter().filter(|mate| mate.weight == 0.0).map(|mate| mate.picks).sum();
            // Each may be owed half of `most` when this stretch of time begins, and takes whole
            // connections.
            let most = picks as f64 * ZERO_SHARE_MAX + zeros as f64 * (most / 2.0).ceil();
            assert!(few as f64 <= most, "{few} of {picks} to those of weight 0: {:?}", self.all);
            return false;
        }
        // Those of weight 0 among themselves count alike.
        let weights: f64 = mates.iter().map(|mate| if zeros > 0 { 1.0 } else { mate.weight }).sum();
        for mate in mates {
            let weight = if zeros > 0 { 1.0 } else { mate.weight };
            let want = picks as f64 * weight / weights;
            let off = (mate.picks as f64 - want).abs();
            assert!(off < most, "{off} off after {picks}: {:?}", self.all);
        }
        true
    }
}
