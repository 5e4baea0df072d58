//! How long a server leaves bytes of its client without an answer. Pure.
//!
//! The protocol is not read: an answer is any byte that the server sends after bytes of the client
//! were read, but for the frames by which HTTP/2 keeps a connection up, which are known by their
//! length where the server is one of etcd ([`Framing`]). Some bytes need no answer all the same, so
//! silence is a reason to ask the server (`upstream/checks.rs`), and never one to end a pair.
//!
//! ```text
//!   client's bytes       T            2T     2T + 0.5 s       4 s                    8 s
//! ──────┴────────────────┴────────────┴──────────┴──── … ──────┴──────────────────────┴── looks
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

/// Silence is looked at in steps until it is so long: a member of etcd that has lost its peers says
/// so only after its election timeout, by default a second or two.
const STEADY_UNTIL: Duration = Duration::from_secs(4);
const STEADY_STEP: Duration = Duration::from_millis(500);

/// Which bytes of a connection are neither a question nor an answer.
///
/// The peers of an HTTP/2 connection answer PING, SETTINGS and DATA by frames of their own accord,
/// even if the server behind them serves nothing. Of these, WINDOW_UPDATE has 13 bytes, PING 17 and
/// the acknowledgement of SETTINGS 9 (RFC 9113, section 6); one or two of them are read at a time.
/// Of etcd's calls, the shortest has 24 (a lease kept alive), and the shortest answer about 50.
/// Reading the frames themselves would cost each pair more than this is worth, and what is taken
/// for one of them costs a check at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Nothing is known: all bytes count.
    #[default]
    Unknown,
    /// HTTP/2 in the clear.
    Http2,
    /// HTTP/2 over TLS 1.3.
    Http2OverTls,
}

/// What a record of TLS 1.3 adds to what is in it: a header, the type of the content and a tag
/// (RFC 8446, section 5.2).
const TLS_RECORD_OVERHEAD: usize = 5 + 1 + 16;
/// The lengths of one or two frames that keep a connection up, as bits.
const UPKEEP_LENGTHS: u64 = 1 << 9 | 1 << 13 | 1 << 17 | 1 << 26 | 1 << 30 | 1 << 34;

impl Framing {
    /// Whether some of `bytes` bytes, read at once, may ask for something or answer it.
    #[inline]
    pub fn has_content(self, bytes: usize) -> bool {
        let framed = match self {
            Framing::Unknown => return bytes > 0,
            Framing::Http2 => bytes,
            Framing::Http2OverTls => bytes.saturating_sub(TLS_RECORD_OVERHEAD),
        };
        bytes > 0 && (framed >= 64 || UPKEEP_LENGTHS & (1 << framed) == 0)
    }
}

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
    /// doubled, but in steps for a while.
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
    fn frames_that_keep_a_connection_up_are_no_content() {
        for framing in [Framing::Unknown, Framing::Http2, Framing::Http2OverTls] {
            assert!(!framing.has_content(0));
            for bytes in [24, 24 + 22, 37, 37 + 22, 50, 64, 1 << 20] {
                assert!(framing.has_content(bytes), "{framing:?} {bytes}");
            }
            for frames in [9, 13, 17, 13 + 13, 13 + 17, 17 + 17] {
                let found = [frames, frames + 22].map(|bytes| framing.has_content(bytes));
                let want = match framing {
                    Framing::Unknown => [true, true],
                    Framing::Http2 => [false, true],
                    Framing::Http2OverTls => [true, false],
                };
                assert_eq!(found, want, "{framing:?} {frames}");
            }
        }
    }

    #[test]
    fn looks_are_at_the_longest_time_so_far_then_in_steps_then_whenever_it_has_doubled() {
        for (longest, unanswered, want) in [
            (0, 0, 200),
            (0, 199, 200),
            (0, 200, 400),
            (300, 0, 300),
            (300, 700, 1100),
            (0, 800, 1300),
            (0, 1600, 1800),
            (0, 3700, 3800),
            (0, 3800, 4300),
            (0, 4300, 8600),
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
