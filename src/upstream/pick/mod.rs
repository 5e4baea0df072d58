//! Which endpoint a client gets: from the rotation, or as a last resort. Pure.
//!
//! Owns the order of the two. `rotation.rs` goes round the active endpoints of the best class,
//! `weight.rs` has its arithmetic, `last_resort.rs` chooses when none is active. Must not draw
//! random numbers, which would be even only in the long run, must not allocate, and changes no
//! health.

mod last_resort;
pub(super) mod rotation;
mod weight;

use std::time::Instant;

use super::{EndpointId, EndpointSet};
use crate::address::Address;

impl EndpointSet {
    /// The endpoint to dial for a client whose dials to the addresses `tried` have failed: from the
    /// rotation of the lowest class that has active ones, else as a last resort one that is due for
    /// a real attempt, else none. To be followed by [`Self::dial_begun`], or later by
    /// [`Self::pick_again`] if our own resources did not suffice.
    pub fn pick(&mut self, tried: &[Address], now: Instant) -> Option<EndpointId> {
        let id = rotation::advance(&mut self.members, tried).or_else(|| {
            last_resort::choose(&self.members, tried, self.limits.last_resort_interval, now)
        })?;
        debug_assert!(
            self.address(id).is_some_and(|address| !tried.contains(address)),
            "each endpoint is tried once"
        );
        debug_assert!(
            self.get(id).is_some_and(|endpoint| !endpoint.health.is_removed()),
            "a removed endpoint is never dialed again"
        );
        self.invariants();
        Some(id)
    }

    /// The endpoint for a client that got `postponed`, but whose dial could not begin. It had its
    /// turn, and in the rotation no other client gets that: so it is the same one, unless that has
    /// left its place in the rotation. Then the client is like any other.
    pub fn pick_again(
        &mut self,
        postponed: EndpointId,
        tried: &[Address],
        now: Instant,
    ) -> Option<EndpointId> {
        let endpoint = self.get(postponed).filter(|endpoint| endpoint.health.is_active());
        let class = rotation::class(&self.members, tried);
        let keeps_turn = endpoint.is_some_and(|endpoint| Some(endpoint.class()) == class);
        if keeps_turn { Some(postponed) } else { self.pick(tried, now) }
    }

    /// A dial for a client to the endpoint has begun, or failed for any reason but a shortage of
    /// ours: as a last resort it is not due again so soon.
    pub fn dial_begun(&mut self, id: EndpointId, now: Instant) {
        if let Some(endpoint) = self.members.get_mut(id) {
            debug_assert!(endpoint.dialed_at.is_none_or(|at| at <= now), "dialed in the future");
            endpoint.dialed_at = Some(now);
            endpoint.tally.dials.begun += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::weight::CONNECTION;
    use super::*;
    use crate::upstream::{Check, DialFailure, EndpointSpec, RetryLimits};

    const LIMITS: RetryLimits = RetryLimits {
        delay_min: Duration::from_secs(1),
        delay_max: Duration::from_secs(60),
        last_resort_interval: Duration::from_millis(100),
        absence_max: Duration::from_secs(600),
        absent_max: 512,
    };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn spec((port, &(priority, weight)): (usize, &(u16, u16))) -> EndpointSpec {
        let address = Address::from(([10, 0, 0, 1], 1 + port as u16));
        EndpointSpec { address, priority, weight, check: Check::Connect, health_check: None }
    }

    fn specs(places: &[(u16, u16)]) -> Vec<EndpointSpec> {
        places.iter().enumerate().map(spec).collect()
    }

    fn set_of(places: &[(u16, u16)]) -> (EndpointSet, Vec<EndpointId>, Instant) {
        let now = Instant::now();
        let mut set = EndpointSet::new(LIMITS);
        let ids = set.reconcile(&specs(places), now).added;
        assert_eq!(ids.len(), places.len());
        (set, ids, now)
    }

    fn weighted(weights: &[u16]) -> (EndpointSet, Vec<EndpointId>, Instant) {
        let places: Vec<(u16, u16)> = weights.iter().map(|&weight| (0, weight)).collect();
        set_of(&places)
    }

    /// The addresses of those that were tried.
    fn addresses(set: &EndpointSet, ids: &[EndpointId]) -> Vec<Address> {
        ids.iter().filter_map(|id| set.address(*id).cloned()).collect()
    }

    /// The positions of those that were picked.
    fn picks(set: &mut EndpointSet, count: usize, tried: &[Address]) -> Vec<usize> {
        let now = Instant::now();
        (0..count).map(|_| set.pick(tried, now).expect("one is active").0.slot()).collect()
    }

    fn counts(picks: &[usize], of: usize) -> Vec<usize> {
        let mut counts = vec![0; of];
        picks.iter().for_each(|&index| counts[index] += 1);
        counts
    }

    fn longest_run(picks: &[usize]) -> usize {
        let runs = picks.chunk_by(|one, next| one == next).map(<[usize]>::len);
        runs.max().unwrap_or(0)
    }

    /// Picks an endpoint for a client, and begins the dial.
    fn send(set: &mut EndpointSet, tried: &[Address], now: Instant) -> Option<EndpointId> {
        let id = set.pick(tried, now)?;
        set.dial_begun(id, now);
        Some(id)
    }

    fn fail(set: &mut EndpointSet, id: EndpointId, now: Instant) {
        set.dial_failed(id, now, DialFailure::Refused, now, 0);
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn shares_are_exact_to_the_connection() {
        for (weights, rounds, want) in [
            (&[1][..], 10, &[10][..]),
            (&[1, 1], 300, &[150, 150]),
            (&[1, 1, 1], 300, &[100, 100, 100]),
            (&[0, 0, 0], 300, &[100, 100, 100]),
            (&[10, 10, 10], 300, &[100, 100, 100]),
            (&[3, 1], 300, &[225, 75]),
            (&[5, 1, 1], 700, &[500, 100, 100]),
            (&[7, 11, 13], 31_000, &[7000, 11_000, 13_000]),
            (&[65_535, 65_535, 1], 131_071, &[65_535, 65_535, 1]),
            (&[1, 0], 10_000, &[9900, 100]),
            (&[5, 1, 0], 60_000, &[49_500, 9900, 600]),
            (&[1, 1, 0, 0], 10_000, &[4950, 4950, 50, 50]),
        ] {
            let (mut set, _, _) = weighted(weights);
            for _ in 0..3 {
                let found = picks(&mut set, rounds, &[]);
                assert_eq!(counts(&found, weights.len()), want, "weights {weights:?}");
            }
        }
    }

    #[test]
    fn rotation_is_plain_or_smooth() {
        let (mut set, _, _) = weighted(&[4, 4, 4]);
        assert_eq!(picks(&mut set, 7, &[]), [0, 1, 2, 0, 1, 2, 0]);
        let (mut set, _, _) = weighted(&[2, 1, 1]);
        assert_eq!(picks(&mut set, 8, &[]), [0, 1, 2, 0, 0, 1, 2, 0]);
        let (mut set, _, _) = weighted(&[5, 1, 1]);
        assert_eq!(longest_run(&picks(&mut set, 700, &[])), 4, "two rounds meet: aa b a c aa|aa");
    }

    #[test]
    fn zero_weights_get_one_percent_and_none_starves() {
        for zeros in [1, 2, 5, 20] {
            let mut weights = vec![0; zeros];
            weights.extend([3, 1]);
            let (mut set, _, _) = weighted(&weights);
            for _ in 0..4 {
                let found = counts(&picks(&mut set, 100 * zeros, &[]), weights.len());
                assert_eq!(found[..zeros], vec![1; zeros], "each once in {zeros} hundreds");
            }
        }
    }

    #[test]
    fn lowest_class_takes_all() {
        let (mut set, ids, now) = set_of(&[(3, 0), (1, 0), (2, 0), (1, 0)]);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 4), [0, 150, 0, 150]);
        fail(&mut set, ids[1], now);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 4), [0, 0, 0, 300]);
        fail(&mut set, ids[3], now);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 4), [0, 0, 300, 0]);
        fail(&mut set, ids[2], now);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 4), [300, 0, 0, 0]);
        set.dial_succeeded(ids[1], now);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 4), [0, 300, 0, 0], "and back at once");
    }

    #[test]
    fn failover_tries_each_once_in_order_of_class() {
        let (mut set, ids, now) = set_of(&[(2, 1), (1, 1), (1, 0), (3, 5), (1, 65_535)]);
        for _ in 0..500 {
            let (mut order, mut tried) = (Vec::new(), Vec::new());
            while let Some(id) = set.pick(&tried, now) {
                order.push(id);
                tried.extend(set.address(id).cloned());
            }
            assert_eq!(order.len(), ids.len());
            assert_eq!(order[3..], [ids[0], ids[3]]);
        }
    }

    /// The shares of a contest in exact fractions, to compare with: `parts[i] / whole`.
    struct Shares {
        parts: Vec<i64>,
        whole: i64,
    }

    impl Shares {
        /// Of the contest of those with a weight; the others are out of it.
        fn of(weights: &[Option<u16>]) -> Shares {
            let sum: i64 = weights.iter().flatten().map(|&weight| i64::from(weight)).sum();
            let zeros = weights.iter().filter(|&&weight| weight == Some(0)).count() as i64;
            let mut parts = Vec::new();
            for weight in weights {
                parts.push(match (weight.map(i64::from), sum, zeros) {
                    (None, ..) => 0,
                    (Some(_), 0, _) => 1,
                    (Some(weight), _, 0) => weight,
                    (Some(0), ..) => sum,
                    (Some(weight), ..) => 99 * weight * zeros,
                });
            }
            Shares { whole: parts.iter().sum(), parts }
        }

        /// The least number of connections of which each share is a whole number.
        fn period(&self) -> i64 {
            let mut counts = 1..=self.whole;
            counts.find(|&count| self.is_period(count)).expect("the whole itself is one")
        }

        fn is_period(&self, count: i64) -> bool {
            self.parts.iter().all(|part| count * part % self.whole == 0)
        }

        /// Checks a whole period of picks, at every prefix of it.
        ///
        /// Of `n` takers none is ever ahead of its share by more than `1 - 1/n`: the winner has
        /// the highest of credits that sum up to one connection, so at least `1/n`, and pays one.
        /// And none is behind by more than `1/2 + 1/3 + ... + 1/n`. For let `A(j)` be the most
        /// that the `j` highest credits can be on average after a round. If the winner is among
        /// them, they got one at most and paid one: no more than before. Else the winner was no
        /// lower, so they are at most the average of `j + 1` of which none paid yet, which is
        /// `A(j + 1) + 1/(j + 1)`. And `A(n)` is zero, as is the sum of all.
        fn check(&self, set: &mut EndpointSet, tried: &[Address], now: Instant) -> Vec<usize> {
            let takers = self.parts.iter().filter(|&&part| part > 0).count();
            // In sixtieths of a connection, which two to five divide.
            let ahead_max = (60 - 60 / takers as i64) * self.whole;
            let behind_max = [0, 0, 30, 50, 65, 77][takers] * self.whole;
            let mut counts = vec![0; self.parts.len()];
            let mut order = Vec::new();
            for round in 1..=self.period() {
                let id = set.pick(tried, now).expect("one is active and untried");
                order.push(id.0.slot());
                counts[id.0.slot()] += 1;
                for (&part, &count) in self.parts.iter().zip(&counts) {
                    let ahead = 60 * (count * self.whole - round * part);
                    assert!((-behind_max..=ahead_max).contains(&ahead), "{order:?}");
                }
            }
            let want = self.parts.iter().map(|part| part * self.period() / self.whole);
            assert!(want.eq(counts), "{:?} of {}: {order:?}", self.parts, self.whole);
            order
        }
    }

    /// Every contest of up to five with these weights, among endpoints that are out of it: tried,
    /// inactive, or of a class that is not their turn.
    #[test]
    fn every_contest_is_shared_exactly() {
        const WEIGHTS: [Option<u16>; 4] = [None, Some(0), Some(1), Some(3)];
        for contest in 1..4_usize.pow(5) {
            let digits = (0..5).map(|position| contest / 4_usize.pow(position) % 4);
            let weights: Vec<Option<u16>> = digits.map(|digit| WEIGHTS[digit]).collect();
            // Those that are out take turns in the ways to be so.
            let (mut places, mut inactive, mut tried) = (Vec::new(), Vec::new(), Vec::new());
            for (position, weight) in weights.iter().enumerate() {
                let way = (contest + position) % 3;
                match weight {
                    None if way == 0 => places.push((1, 1)),
                    None => {
                        places.push((0, 7));
                        if way == 1 { &mut inactive } else { &mut tried }.push(position);
                    }
                    Some(weight) => places.push((0, *weight)),
                }
            }
            let (mut set, ids, now) = set_of(&places);
            inactive.into_iter().for_each(|position| fail(&mut set, ids[position], now));
            let tried: Vec<_> = tried.into_iter().map(|position| ids[position]).collect();
            let tried = addresses(&set, &tried);
            let shares = Shares::of(&weights);
            let first = shares.check(&mut set, &tried, now);
            assert!(
                set.members.live().all(|(_, endpoint)| endpoint.credit.abs() < 1 << 20),
                "back at zero"
            );
            if set.members.live().all(|(_, endpoint)| endpoint.credit == 0) {
                assert_eq!(shares.check(&mut set, &tried, now), first, "the same again");
            }
        }
    }

    /// Up to five endpoints, each in one of two classes, active or not, and tried or not.
    #[test]
    fn the_lowest_class_serves_that_has_one_left() {
        for size in 1..=5 {
            for number in 0..1 << (2 * size) {
                let (classes, active) = (number >> size, number % (1 << size));
                let mut places = Vec::new();
                for bit in 0..size {
                    let weight = [0, 1, 3, 1, 65_535][(bit + classes + active) % 5];
                    places.push((u16::from(has(classes, bit)), weight));
                }
                let (mut set, ids, mut now) = set_of(&places);
                let dead = (0..size).filter(|&bit| !has(active, bit));
                dead.for_each(|bit| fail(&mut set, ids[bit], now));
                for tried in 0..1 << size {
                    let given: Vec<_> =
                        (0..size).filter(|&bit| has(tried, bit)).map(|bit| ids[bit]).collect();
                    let given = addresses(&set, &given);
                    // Long enough for the last resort, which is the others that were not tried.
                    now += ms(1000);
                    let found = send(&mut set, &given, now).map(|id| id.0.slot());
                    let left = active & !tried;
                    let [low, high] = [left & !classes, left & classes];
                    let may_serve = match (low, high) {
                        (0, 0) => !tried & ((1 << size) - 1),
                        (0, high) => high,
                        (low, _) => low,
                    };
                    assert_eq!(found.is_some(), may_serve != 0);
                    assert!(found.is_none_or(|bit| has(may_serve, bit)), "{found:?}");
                }
            }
        }
    }

    fn has(mask: usize, bit: usize) -> bool {
        mask >> bit & 1 == 1
    }

    /// Every set of survivors out of five, in every spread over two classes.
    #[test]
    fn every_subset_rotates_evenly_in_its_lowest_class() {
        for classes in 0..32_u16 {
            let places: Vec<(u16, u16)> = (0..5).map(|bit| (classes >> bit & 1, 1)).collect();
            for survivors in 1..32_usize {
                let (mut set, ids, now) = set_of(&places);
                picks(&mut set, survivors % 7, &[]);
                let dead = (0..5).filter(|&bit| !has(survivors, bit));
                dead.for_each(|bit| fail(&mut set, ids[bit], now));
                let low = survivors & !usize::from(classes);
                let served = if low == 0 { survivors } else { low };
                let share = 60 / served.count_ones() as usize;
                let found = counts(&picks(&mut set, 60, &[]), 5);
                for (bit, &count) in found.iter().enumerate() {
                    let want = if has(served, bit) { share } else { 0 };
                    assert!(count.abs_diff(want) <= usize::from(has(served, bit)), "{found:?}");
                }
            }
        }
    }

    #[test]
    fn one_that_returns_gets_no_burst() {
        for phase in 0..40 {
            let (mut set, ids, now) = weighted(&[9, 9, 9, 9]);
            picks(&mut set, phase, &[]);
            let gone = ids[phase / 4 % 4];
            fail(&mut set, gone, now);
            let found = picks(&mut set, 30, &[]);
            assert!(longest_run(&found) == 1, "phase {phase}: {found:?}");
            set.dial_succeeded(gone, now);
            let found = picks(&mut set, 40, &[]);
            assert!(longest_run(&found) <= 2, "phase {phase}: {found:?}");
            let even = counts(&found, 4).iter().all(|&count| count.abs_diff(10) <= 1);
            assert!(even, "phase {phase}: {found:?}");
        }
    }

    /// The light ones wait for half a connection each when the heavy one goes: in units of weight
    /// that is a burst of thousands.
    #[test]
    fn those_that_remain_get_no_burst() {
        for light_ones in 1..4 {
            let (mut set, ids, now) = weighted(&[1, 65_535, 1, 1]);
            let mut served = 0;
            while served < light_ones {
                let id = set.pick(&[], now).expect("all are active");
                served += usize::from(id != ids[1]);
            }
            fail(&mut set, ids[1], now);
            let found = picks(&mut set, 30, &[]);
            assert!(longest_run(&found) <= 2, "after {light_ones}: {found:?}");
            set.dial_succeeded(ids[1], now);
            assert!(counts(&picks(&mut set, 1000, &[]), 4)[1] >= 997);
        }
    }

    #[test]
    fn one_that_is_passed_over_gathers_no_credit() {
        let (mut set, ids, _) = weighted(&[1, 1, 1]);
        let tried = addresses(&set, &ids[..1]);
        let found = counts(&picks(&mut set, 1000, &tried), 3);
        assert_eq!(found, [0, 500, 500]);
        assert_eq!(counts(&picks(&mut set, 300, &[]), 3), [100, 100, 100]);
    }

    /// Credits stay small whichever endpoints are passed over, so no history leads to a long burst.
    #[test]
    fn credit_is_bounded_under_any_choice_of_takers() {
        let mut seed = 0x1234_5678_9abc_def1;
        for size in [2_usize, 3, 5, 12] {
            let drawn = (0..size).map(|_| xorshift(&mut seed) as usize % 6);
            let weights: Vec<u16> = drawn.map(|at| [0, 1, 1, 3, 50, 65_535][at]).collect();
            let (mut set, ids, now) = weighted(&weights);
            for _ in 0..4000 {
                let mask = xorshift(&mut seed);
                let skipped = ids.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
                let skipped: Vec<_> = skipped.map(|(_, id)| *id).collect();
                let tried = addresses(&set, &skipped);
                set.pick(&tried, now);
                let bound = CONNECTION as i64 * size as i64;
                assert!(set.members.live().all(|(_, endpoint)| endpoint.credit.abs() < bound));
            }
        }
    }

    #[test]
    fn new_lists_keep_the_rotation_even() {
        let mut seed = 0xfeed_5eed_0bad_cafe;
        let (mut set, _, now) = weighted(&[1, 1, 1]);
        for _ in 0..300 {
            picks(&mut set, xorshift(&mut seed) as usize % 9, &[]);
            let mask = xorshift(&mut seed) | 1;
            let places: Vec<(u16, u16)> =
                (0..8).map(|_| (xorshift(&mut seed) as u16 % 2, 1)).collect();
            let mut wanted = specs(&places);
            wanted.retain(|spec| mask >> (spec.address.port().expect("a port") - 1) & 1 == 1);
            set.reconcile(&wanted, now);
            for class in [0, 1] {
                let members = set.members.live().filter(|(_, endpoint)| endpoint.priority == class);
                let credits: i64 = members.map(|(_, endpoint)| endpoint.credit).sum();
                assert_eq!(credits, 0, "each class is even in itself");
            }
        }
        let wanted = specs(&[(0, 1); 8]);
        set.reconcile(&wanted, now);
        let found = picks(&mut set, 80, &[]);
        let even = counts(&found, 8).iter().all(|&count| count.abs_diff(10) <= 1);
        assert!(even && longest_run(&found) <= 2, "{found:?}");
    }

    #[test]
    fn last_resort_is_ten_dials_a_second_each() {
        let (mut set, ids, start) = set_of(&[(0, 1), (1, 1)]);
        ids.iter().for_each(|&id| fail(&mut set, id, start));
        let mut dials = [0, 0];
        for millisecond in 0..1000 {
            let now = start + ms(millisecond);
            if let Some(id) = send(&mut set, &[], now) {
                dials[id.0.slot()] += 1;
                fail(&mut set, id, now);
            }
        }
        assert_eq!(dials, [10, 10]);
        let now = start + ms(2000);
        let tried = addresses(&set, &ids);
        assert_eq!(send(&mut set, &[], now), Some(ids[0]));
        assert_eq!(send(&mut set, &tried[..1], now), Some(ids[1]), "the same client goes on");
        assert_eq!(send(&mut set, &[], now), None, "the next one is rejected");
        assert_eq!(send(&mut set, &[], now + ms(99)), None);
        assert_eq!(send(&mut set, &[], now + ms(100)), Some(ids[0]));
        let now = now + ms(1100);
        assert_eq!(send(&mut set, &tried[..1], now), Some(ids[1]), "after a second of silence");
        assert_eq!(send(&mut set, &tried, now + ms(1000)), None, "each is tried once");
    }

    #[test]
    fn a_client_that_had_to_wait_keeps_its_turn_unless_the_endpoint_left_its_place() {
        let (mut set, ids, now) = set_of(&[(0, 1), (0, 1), (1, 1)]);
        assert_eq!(set.pick(&[], now), Some(ids[0]));
        assert_eq!(set.pick_again(ids[0], &[], now), Some(ids[0]));
        assert_eq!(set.pick(&[], now), Some(ids[1]), "it was one turn, not two");
        // Another one that is active goes before one that no longer is,
        fail(&mut set, ids[0], now);
        assert_eq!(set.pick_again(ids[0], &[], now), Some(ids[1]));
        // and so does a better class that came back.
        fail(&mut set, ids[1], now);
        assert_eq!(set.pick(&[], now), Some(ids[2]));
        set.dial_succeeded(ids[1], now);
        assert_eq!(set.pick_again(ids[2], &[], now), Some(ids[1]));
    }

    #[test]
    fn a_dial_that_could_not_begin_is_no_attempt() {
        let (mut set, ids, now) = set_of(&[(0, 1)]);
        assert_eq!(set.pick(&[], now), Some(ids[0]));
        fail(&mut set, ids[0], now);
        assert_eq!(set.pick_again(ids[0], &[], now), Some(ids[0]), "it was not dialed yet");
        assert_eq!(send(&mut set, &[], now + ms(1)), Some(ids[0]));
        assert_eq!(set.pick_again(ids[0], &[], now + ms(100)), None, "now it was");
        assert_eq!(set.pick_again(ids[0], &[], now + ms(101)), Some(ids[0]));
    }

    #[test]
    fn last_resort_takes_the_longest_untried() {
        let (mut set, ids, start) = set_of(&[(0, 1), (5, 1), (3, 1), (9, 1)]);
        for (id, failed_at) in [(0, 40), (1, 20), (2, 20), (3, 10)] {
            fail(&mut set, ids[id], start + ms(failed_at));
        }
        let mut now = start + ms(1005);
        for want in [3, 2, 1, 0, 3] {
            now += ms(100);
            let tried = addresses(&set, &[ids[(want + 1) % 4]]);
            let last = if want == 2 { &[][..] } else { &tried };
            let id = send(&mut set, last, now).expect("rested");
            assert_eq!(id, ids[want], "then in order of failure, and of class in a tie");
            fail(&mut set, id, now + ms(1));
        }
    }

    /// A probe that began before the last failure does not bring an endpoint forward.
    #[test]
    fn last_resort_counts_failures_during_a_probe() {
        let (mut set, ids, start) = set_of(&[(0, 1), (0, 1)]);
        for id in ids.iter().rev() {
            assert!(send(&mut set, &[], start).is_some());
            fail(&mut set, *id, start);
        }
        assert!(set.begin_probe(ids[0], start + ms(1000)));
        fail(&mut set, ids[1], start + ms(1100));
        fail(&mut set, ids[0], start + ms(1200));
        assert_eq!(send(&mut set, &[], start + ms(1300)), Some(ids[1]));
        assert_eq!(send(&mut set, &[], start + ms(1300)), Some(ids[0]));
    }

    #[test]
    fn last_resort_counts_dials_in_flight() {
        let (mut set, ids, start) = set_of(&[(0, 1), (0, 1)]);
        ids.iter().for_each(|&id| fail(&mut set, id, start));
        // Neither dial comes back: the silent one must not take every client.
        let order = [0, 1, 0, 1].map(|want| ids[want]);
        for (turn, want) in (1..).zip(order) {
            assert_eq!(send(&mut set, &[], start + ms(150 * turn)), Some(want));
        }
        // A probe in flight is an attempt too, and a candidate all the same.
        assert!(set.begin_probe(ids[0], start + ms(1000)));
        assert_eq!(send(&mut set, &[], start + ms(1100)), Some(ids[1]));
        assert_eq!(send(&mut set, &[], start + ms(1110)), Some(ids[0]));
        set.probe_succeeded(ids[0], start + ms(1120));
        let tried = addresses(&set, &ids);
        assert_eq!(send(&mut set, &[], start + ms(1121)), Some(ids[0]), "active ones need no rest");
        assert_eq!(
            send(&mut set, &tried[..1], start + ms(1121)),
            None,
            "the other was dialed just now"
        );
    }
}
