//! The ports that the kernel chooses from for the local end of a dial (ip_local_port_range, ip(7)).

use std::fs;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Age at which the range is read again: an administrator may change it at any time, but to read it
/// for every dial would cost too much.
const RANGE_AGE_MAX: Duration = Duration::from_secs(60);

/// The range as it was last read.
#[derive(Debug, Default)]
pub(super) struct EphemeralPorts {
    /// The range, and when it was read; `None` before that.
    known: Option<(RangeInclusive<u16>, Instant)>,
}

impl EphemeralPorts {
    /// Whether `port` is in the range; always, where the range cannot be read.
    pub(super) fn contains(&mut self, port: u16, now: Instant) -> bool {
        let (range, _) = match self.known.take() {
            Some((range, at)) if now.saturating_duration_since(at) < RANGE_AGE_MAX => {
                self.known.insert((range, at))
            }
            _ => {
                let text = fs::read_to_string(RANGE_FILE).unwrap_or_default();
                self.known.insert((range_of(&text), now))
            }
        };
        range.contains(&port)
    }
}

fn range_of(text: &str) -> RangeInclusive<u16> {
    parse(text).unwrap_or(0..=u16::MAX)
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
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
    fn the_text_of_the_kernel_is_read() {
        assert_eq!(range_of("32768\t60999\n"), 32768..=60999);
    }

    #[test]
    fn a_range_that_cannot_be_read_has_every_port() {
        for text in ["", "1", "1 x", "1 65536"] {
            assert_eq!(range_of(text), 0..=u16::MAX, "{text:?}");
        }
    }

    #[test]
    fn a_port_that_the_kernel_chose_is_in_the_range() {
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
