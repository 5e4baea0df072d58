//! Which ports the kernel chooses from for our end of a dial (ip(7), ip_local_port_range).

use std::fs;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// An administrator may change the range at any time, which is no reason to read it for every dial.
const RANGE_AGE_MAX: Duration = Duration::from_secs(60);

/// The range, as it was read last.
#[derive(Debug, Default)]
pub(super) struct EphemeralPorts {
    known: Option<(RangeInclusive<u16>, Instant)>,
}

impl EphemeralPorts {
    /// Whether `port` is one of them. Where the range cannot be read, every port may be.
    pub(super) fn contains(&mut self, port: u16, now: Instant) -> bool {
        let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < RANGE_AGE_MAX;
        if !self.known.as_ref().is_some_and(|(_, at)| is_fresh(at)) {
            let text = fs::read_to_string(RANGE_FILE).unwrap_or_default();
            self.known = Some((range_of(&text), now));
        }
        self.known.as_ref().is_none_or(|(range, _)| range.contains(&port))
    }
}

fn range_of(text: &str) -> RangeInclusive<u16> {
    parse(text).unwrap_or(0..=u16::MAX)
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(|it: char| it.is_whitespace())?;
    Some(first.parse().ok()?..=last.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that the kernel just chose.
    fn chosen_port() -> u16 {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback is there");
        listener.local_addr().expect("bound").port()
    }

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(range_of("32768\t60999\n"), 32768..=60999);
    }

    #[test]
    fn where_the_range_is_unknown_it_may_be_any_port() {
        for text in ["", "1", "1 x", "1 65536"] {
            assert_eq!(range_of(text), 0..=u16::MAX, "{text:?}");
        }
    }

    #[test]
    fn a_port_that_was_chosen_is_one_of_them() {
        let mut ports = EphemeralPorts::default();
        assert!(ports.contains(chosen_port(), Instant::now()));
        assert!(!ports.contains(0, Instant::now()));
    }

    #[test]
    fn the_range_is_read_again_after_a_while() {
        let (port, now) = (chosen_port(), Instant::now());
        let mut ports = EphemeralPorts { known: Some((1..=1, now)) };
        assert!(!ports.contains(port, now + RANGE_AGE_MAX / 2));
        assert!(ports.contains(port, now + RANGE_AGE_MAX));
    }
}
