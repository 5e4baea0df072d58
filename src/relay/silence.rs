//! How long a server leaves bytes of its client without an answer. Pure.
//!
//! Nothing is known of the protocol: an answer is any byte that the server sends after bytes of the
//! client were read. Some bytes need none, such as those by which an HTTP/2 client makes room, so
//! silence is a reason to ask the server (`upstream/checks.rs`), and never one to end a pair.
//!
//! ```text
//!   client's bytes       T            2T                       4T
//! ──────┴────────────────┴────────────┴────────────────────────┴──────── looks
//!   T: the longest time so far on this connection, within limits
//! ```

use std::num::NonZeroU32;
use std::time::Duration;

/// The answers of one server connection, in few bytes, since each pair has them. Times are
/// milliseconds of a clock that may begin anew every seven weeks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    /// When the first bytes without an answer were read; `None` while there are none.
    asked_at_ms: Option<NonZeroU32>,
    /// The longest time until an answer so far.
    longest_ms: u32,
}

/// Silence is looked at each second until it is so long.
const STEADY_UNTIL: Duration = Duration::from_secs(8);
const STEADY_STEP: Duration = Duration::from_secs(1);

/// The times between which silence gets suspicious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceLimits {
    /// Not before this time; above 0.
    pub min: Duration,
    /// After this time in any case; at least `min`.
    pub max: Duration,
}

impl Answers {
    /// Bytes of these sides were read. Where it was both, the server's may have been first.
    #[inline]
    pub fn note(&mut self, client: bool, server: bool, now_ms: u32) {
        if server && let Some(asked_at) = self.asked_at_ms.take() {
            self.longest_ms = self.longest_ms.max(now_ms.wrapping_sub(asked_at.get()));
        }
        if client && self.asked_at_ms.is_none() {
            // A millisecond early, once in seven weeks.
            self.asked_at_ms = Some(NonZeroU32::new(now_ms).unwrap_or(NonZeroU32::MAX));
        }
    }

    /// How long bytes have been without an answer; `None` while there are none.
    #[inline]
    pub fn unanswered(&self, now_ms: u32) -> Option<Duration> {
        let asked_at = self.asked_at_ms?.get();
        Some(Duration::from_millis(now_ms.wrapping_sub(asked_at).into()))
    }

    /// The longest time until an answer so far.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.into())
    }
}

impl SilenceLimits {
    /// The time after which silence is suspicious where an answer took `longest` at most.
    fn first(&self, longest: Duration) -> Duration {
        debug_assert!(!self.min.is_zero() && self.min <= self.max);
        longest.clamp(self.min, self.max)
    }

    /// When to look next at a silence of this length: after the first time, and whenever it has
    /// doubled, but each second for a while: a member without a quorum says so only after some.
    pub fn next_look(&self, unanswered: Duration, longest: Duration) -> Duration {
        let mut look = self.first(longest);
        while look <= unanswered {
            look += if look < STEADY_UNTIL { look.min(STEADY_STEP) } else { look };
        }
        look
    }

    /// Whether a look was due since the silence was `before` long.
    pub fn is_due(&self, before: Duration, unanswered: Duration, longest: Duration) -> bool {
        debug_assert!(before <= unanswered);
        self.next_look(before, longest) <= unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SilenceLimits =
        SilenceLimits { min: Duration::from_millis(200), max: Duration::from_millis(500) };

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_bytes_without_an_answer_count() {
        for start in [0, 7, u32::MAX - 100] {
            let mut answers = Answers::default();
            answers.note(false, true, start);
            assert_eq!(answers.unanswered(start), None, "what a server says first answers nothing");
            answers.note(true, false, start);
            answers.note(true, false, start.wrapping_add(300));
            let waited =
                answers.unanswered(start.wrapping_add(400)).expect("no answer").as_millis();
            assert!((400..=401).contains(&waited));
            answers.note(false, true, start.wrapping_add(450));
            let longest = answers.longest().as_millis();
            assert!((450..=451).contains(&longest));
            assert_eq!(answers.unanswered(start.wrapping_add(500)), None);
            answers.note(true, false, start.wrapping_add(500));
            answers.note(true, true, start.wrapping_add(510));
            assert_eq!(
                answers.unanswered(start.wrapping_add(510)),
                Some(ms(0)),
                "asked again perhaps"
            );
            assert_eq!(answers.longest().as_millis(), longest);
        }
    }

    #[test]
    fn looks_are_at_the_longest_time_so_far_then_each_second_then_whenever_it_has_doubled() {
        for (longest, unanswered, want) in [
            (0, 0, 200),
            (0, 199, 200),
            (0, 200, 400),
            (300, 0, 300),
            (300, 700, 1200),
            (0, 1000, 1600),
            (0, 1600, 2600),
            (0, 8700, 17_200),
            (60_000, 0, 500),
            (60_000, 500, 1000),
        ] {
            assert_eq!(LIMITS.next_look(ms(unanswered), ms(longest)), ms(want));
        }
        assert!(LIMITS.is_due(ms(199), ms(200), ms(1)));
        assert!(!LIMITS.is_due(ms(200), ms(399), ms(1)));
        assert!(LIMITS.is_due(ms(350), ms(5000), ms(1)), "late, and once");
    }
}
