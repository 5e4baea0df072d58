//! The worth of a weight: an endpoint's share of one connection among others of its class. Pure.
//!
//! Owns the arithmetic of RFC 2782's weights. What takes part and wins is decided in `rotation.rs`.

use crate::upstream::Standing;

/// One connection in the fixed-point unit of credit. Every number up to 16 and 100 divide it, so
/// that the usual shares are exact and ties are real ones. It is near 2^40: the smallest share,
/// weight 1 among 255 endpoints of weight 65535, is still 2^15 units.
pub(super) const CONNECTION: u64 = 3_603_600 << 18;
/// Share in percent that all endpoints of weight 0 together have among others; RFC 2782 asks for
/// "a very small chance", etcd's code gives one percent.
const ZERO_WEIGHT_PERCENT: u64 = 1;
const _: () = assert!(CONNECTION.checked_mul(100 * u16::MAX as u64).is_some(), "shares fit");

/// The endpoints that share clients; one class is used at a time, the lowest that can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) standing: Standing,
    pub(super) priority: u16,
    /// Whether others of the priority are preferred.
    pub(super) is_second: bool,
}

/// One class, and the weights that take part in a round.
#[derive(Clone, Copy)]
pub(super) struct Contest {
    pub(super) class: Class,
    /// Sum of the weights above zero.
    pub(super) weights: u64,
    /// Count of the others.
    pub(super) zeros: u64,
}

impl Contest {
    /// An endpoint's part of one connection. Rounded down; the winner pays the sum of what was
    /// really handed out, so nothing adds up over time.
    pub(super) fn share(&self, weight: u16) -> i64 {
        let weight = u64::from(weight);
        debug_assert!(self.weights >= weight, "the weight is not in the sum");
        debug_assert!(self.zeros > 0 || weight > 0, "the zero is not counted");
        let units = match (self.weights, self.zeros) {
            (0, zeros) => CONNECTION / zeros,
            (_, zeros) if weight == 0 => CONNECTION * ZERO_WEIGHT_PERCENT / (100 * zeros),
            (weights, 0) => CONNECTION * weight / weights,
            (weights, _) => CONNECTION * (100 - ZERO_WEIGHT_PERCENT) * weight / (100 * weights),
        };
        debug_assert!(units > 0, "an endpoint without a share would starve");
        debug_assert!(units <= CONNECTION, "more than there is to hand out");
        units as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: Class = Class { standing: Standing::Serving, priority: 0, is_second: true };

    /// All that is handed out is one connection, but for what rounding keeps back.
    #[test]
    fn shares_make_up_one_connection() {
        for weights in [&[1][..], &[0], &[0, 0, 0], &[7, 1, 3], &[5, 0], &[65_535, 1, 0, 0, 0]] {
            let zeros = weights.iter().filter(|&&weight| weight == 0).count() as u64;
            let sum = weights.iter().map(|&weight| u64::from(weight)).sum();
            let contest = Contest { class: CLASS, weights: sum, zeros };
            let handed_out: i64 = weights.iter().map(|&weight| contest.share(weight)).sum();
            let rest = CONNECTION as i64 - handed_out;
            assert!((0..weights.len() as i64).contains(&rest), "{weights:?}: {rest}");
        }
    }

    #[test]
    fn the_smallest_share_is_worth_something() {
        let light_one = Contest { class: CLASS, weights: 1 + 255 * u64::from(u16::MAX), zeros: 0 };
        assert!(light_one.share(1) >= 1 << 15);
        let zero_one = Contest { class: CLASS, weights: 255 * u64::from(u16::MAX), zeros: 1 };
        assert_eq!(zero_one.share(0), CONNECTION as i64 / 100);
    }
}
