//! The division of the weight of a host over its addresses.
//!
//! A weight is about hosts (RFC 2782): one with two addresses must not get twice as many clients as
//! one with a single address, but each of its addresses is an endpoint. Pure arithmetic.

use crate::config::ENDPOINTS_MAX;

/// A host's share of the clients of its class, and how many endpoints have it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) endpoints: usize,
}

impl Share {
    /// The weight of each endpoint, if all of the class have their weights times `multiple`.
    fn part(&self, multiple: u64) -> u64 {
        debug_assert!(self.endpoints > 0, "a share of no endpoint");
        debug_assert!(multiple >= self.endpoints as u64, "a part of nothing");
        u64::from(self.weight) * (multiple / self.endpoints as u64)
    }
}

/// The weight of each endpoint of each share, so that the ratio of the sums within a class is that
/// of the shares' weights: exactly, unless that takes more than 16 bits.
pub(super) fn divide(shares: &[Share]) -> Vec<u16> {
    let weights: Vec<u16> = shares.iter().map(|share| weight_in_class(share, shares)).collect();
    debug_assert_eq!(weights.len(), shares.len());
    for (share, weight) in shares.iter().zip(&weights).filter(|(share, _)| share.endpoints > 0) {
        debug_assert_eq!(share.weight == 0, *weight == 0, "{share:?}");
    }
    weights
}

fn weight_in_class(share: &Share, shares: &[Share]) -> u16 {
    if share.weight == 0 || share.endpoints == 0 {
        return 0;
    }
    let mates = shares.iter().filter(|other| other.priority == share.priority);
    let class: Vec<&Share> = mates.filter(|other| other.endpoints > 0).collect();
    let endpoints = class.iter().map(|mate| mate.endpoints as u64);
    let multiple = endpoints.fold(1, least_common_multiple);
    debug_assert!(class.contains(&share), "a class without its member");
    let largest = class.iter().map(|mate| mate.part(multiple)).max().unwrap_or(0);
    // Rounded up, so that the largest fits.
    let divisor = largest.div_ceil(u64::from(u16::MAX)).max(1);
    let weight = (share.part(multiple) / divisor).max(1);
    assert!(weight <= largest.max(1));
    u16::try_from(weight).expect("the largest fits, and this is at most as large")
}

/// Beyond what weights can express, any large number is as good.
fn least_common_multiple(one: u64, other: u64) -> u64 {
    const ENOUGH: u64 = 1 << 32;
    debug_assert!(one <= ENOUGH, "the product would not fit");
    debug_assert!(other <= ENDPOINTS_MAX as u64, "the product would not fit");
    let multiple = one / greatest_common_divisor(one, other) * other;
    let bounded = if multiple > ENOUGH { one.max(other) } else { multiple };
    debug_assert!(bounded >= one.max(other), "no multiple of both");
    bounded
}

fn greatest_common_divisor(mut one: u64, mut other: u64) -> u64 {
    debug_assert!(one > 0, "0 has every divisor");
    debug_assert!(other > 0, "0 has every divisor");
    while other > 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shares: &[(u16, u16, usize)], want: &[u16]) {
        let shares: Vec<Share> = shares
            .iter()
            .map(|&(priority, weight, endpoints)| Share { priority, weight, endpoints })
            .collect();
        assert_eq!(divide(&shares), want, "{shares:?}");
    }

    #[test]
    fn hosts_with_one_address_keep_their_weights() {
        check(&[(0, 3, 1), (0, 1, 1), (0, 65_535, 1)], &[3, 1, 65_535]);
        check(&[(0, 0, 1), (7, 5, 1)], &[0, 5]);
    }

    #[test]
    fn a_host_has_no_more_for_having_more_addresses() {
        check(&[(0, 1, 2), (0, 1, 1)], &[1, 2]);
        check(&[(0, 3, 2), (0, 1, 1)], &[3, 2]);
        check(&[(0, 1, 2), (0, 1, 3)], &[3, 2]);
        check(&[(0, 3, 2)], &[3]);
        check(&[(0, 1, 2), (1, 1, 1)], &[1, 1]);
        check(&[(0, 0, 2), (0, 4, 2)], &[0, 4]);
        check(&[(0, 1, 0), (0, 1, 1)], &[0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_rounded_and_no_share_gets_nothing() {
        check(&[(0, 65_535, 1), (0, 1, 64)], &[65_535, 1]);
        check(&[(0, 65_535, 1), (0, 65_535, 2)], &[65_535, 32_767]);
    }

    #[test]
    fn large_multiples_come_to_an_end() {
        let primes = [251, 241, 239, 233, 229, 227, 223, 211, 199, 197];
        let shares: Vec<Share> = primes
            .iter()
            .map(|&endpoints| Share { priority: 0, weight: u16::MAX, endpoints })
            .collect();
        assert!(divide(&shares).iter().all(|weight| *weight > 0));
    }
}
