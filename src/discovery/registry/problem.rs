//! Why a registry could not be followed, and what follows from it: whether another member may do
//! better, and the pause before the next attempt. Pure.

use std::fmt;
use std::time::Duration;

use crate::config::{REGISTRY_PASSWORD_PAUSE, REGISTRY_PAUSE_MAX, REGISTRY_PAUSE_MIN};
use crate::proto::etcd::Malformed;
use crate::proto::etcd::failure::FailureKind;

/// Why a range or a watch has failed. Shown as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The member did not answer in time.
    NoAnswer,
    /// There was no connection, or no answer that is one of HTTP; in a word.
    Connection(&'static str),
    /// The answer has this status, and is not one of etcd.
    Status(u16),
    /// The answer cannot be read.
    Malformed(Malformed),
    /// Etcd refuses.
    Refused(FailureKind),
    /// The server has ended a watch.
    WatchEnded,
    /// A watch has not told of a change that was there.
    WatchLags,
}

impl Problem {
    /// Whether it is about the member, so that another one may do better.
    pub(super) fn is_of_member(self) -> bool {
        match self {
            Problem::Refused(kind) => !is_of_user(kind) && kind != FailureKind::Compacted,
            _ => true,
        }
    }

    /// Whether no member will do better until a person has changed something.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Problem::Refused(kind) if is_of_user(kind))
    }

    /// Whether the log should tell of it. `is_everywhere`: every member was tried; `reported`: the
    /// problems that the log knows since the registry could be followed. One that only a person can
    /// end is news behind others, too, each once.
    pub(super) fn is_news(self, is_everywhere: bool, reported: &[Problem]) -> bool {
        match reported {
            [] => is_everywhere || self.is_final(),
            reported => self.is_final() && !reported.contains(&self),
        }
    }

    /// Whether a new token may help, as far as the user has one.
    pub(super) fn is_about_token(self) -> bool {
        matches!(
            self,
            Problem::Refused(
                FailureKind::PermissionDenied
                    | FailureKind::TokenMissing
                    | FailureKind::TokenInvalid
            )
        )
    }

    /// The pause before the next attempt. `failures`: the number in a row with this one. Every one
    /// of the `members` is tried before there is a pause, and it grows with each round. `dice`: a
    /// random number, by which it is up to a half shorter.
    pub(super) fn pause(self, failures: u32, members: u32, dice: u64) -> Duration {
        let attempts = if self.is_of_member() { members.max(1) } else { 1 };
        let rounds = failures / attempts;
        let is_first = self == Problem::Refused(FailureKind::Compacted) && failures <= 1;
        if !failures.is_multiple_of(attempts) || is_first {
            return Duration::ZERO;
        }
        let pause = match self {
            Problem::Refused(FailureKind::PasswordWrong) => REGISTRY_PASSWORD_PAUSE,
            _ => REGISTRY_PAUSE_MIN.saturating_mul(1 << rounds.saturating_sub(1).min(16)),
        };
        let pause = pause.min(REGISTRY_PAUSE_MAX);
        pause / 2 + part(pause / 2, dice)
    }
}

/// A part of a duration, by a random number.
pub(super) fn part(whole: Duration, dice: u64) -> Duration {
    whole.mul_f64((dice >> 11) as f64 / (1_u64 << 53) as f64)
}

fn is_of_user(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::PasswordWrong
            | FailureKind::PermissionDenied
            | FailureKind::TokenMissing
            | FailureKind::TokenInvalid
            | FailureKind::ClientCertificateHasName
    )
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoAnswer => f.write_str("no_answer"),
            Problem::Connection(word) => f.write_str(word),
            Problem::Status(status) => write!(f, "status_{status}"),
            Problem::Malformed(malformed) => malformed.fmt(f),
            Problem::Refused(kind) => kind.fmt(f),
            Problem::WatchEnded => f.write_str("watch_ended"),
            Problem::WatchLags => f.write_str("watch_lags"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(problem: Problem, members: u32, dice: u64) -> Vec<u128> {
        (1..=8).map(|failures| problem.pause(failures, members, dice).as_millis()).collect()
    }

    #[test]
    fn every_member_is_tried_before_a_pause() {
        let gone = Problem::Connection("refused");
        assert_eq!(milliseconds(gone, 3, 0), [0, 0, 125, 0, 0, 250, 0, 0]);
        assert_eq!(milliseconds(gone, 1, 0), [125, 250, 500, 1000, 2000, 4000, 5000, 5000]);
        let most = milliseconds(gone, 1, u64::MAX);
        assert_eq!((most[0], most[7]), (250, 10_000), "a half more at most");
        assert_eq!(gone.pause(u32::MAX, 1, u64::MAX).as_secs(), 10);
    }

    #[test]
    fn what_no_member_does_better_has_a_pause_each_time() {
        let denied = Problem::Refused(FailureKind::PermissionDenied);
        assert_eq!(milliseconds(denied, 3, 0)[..3], [125, 250, 500]);
        let wrong = Problem::Refused(FailureKind::PasswordWrong);
        assert_eq!(milliseconds(wrong, 3, 0)[..2], [5000, 5000]);
        let compacted = Problem::Refused(FailureKind::Compacted);
        assert_eq!(milliseconds(compacted, 3, 0)[..3], [0, 250, 500]);
    }

    #[test]
    fn the_first_problem_is_news_and_each_that_only_a_person_can_end() {
        let gone = Problem::Connection("refused");
        let denied = Problem::Refused(FailureKind::PermissionDenied);
        let wrong = Problem::Refused(FailureKind::PasswordWrong);
        for (problem, is_everywhere, reported, want) in [
            (gone, false, &[][..], false),
            (gone, true, &[], true),
            (denied, false, &[], true),
            (Problem::NoAnswer, true, &[gone], false),
            (denied, false, &[gone], true),
            (denied, true, &[gone, denied], false),
            (wrong, true, &[gone, denied], true),
        ] {
            let found = problem.is_news(is_everywhere, reported);
            assert_eq!(found, want, "{problem} {reported:?}");
        }
    }

    #[test]
    fn problems_are_words_and_have_consequences() {
        use FailureKind as Kind;
        // Whether another member may help, a new token, or only a person.
        for (problem, word, member, token, person) in [
            (Problem::NoAnswer, "no_answer", true, false, false),
            (Problem::Connection("refused"), "refused", true, false, false),
            (Problem::Status(404), "status_404", true, false, false),
            (Problem::Malformed(Malformed::NotJson), "not_json", true, false, false),
            (Problem::WatchEnded, "watch_ended", true, false, false),
            (Problem::WatchLags, "watch_lags", true, false, false),
            (Problem::Refused(Kind::NoLeader), "no_leader", true, false, false),
            (Problem::Refused(Kind::Learner), "learner", true, false, false),
            (Problem::Refused(Kind::Unavailable), "unavailable", true, false, false),
            (Problem::Refused(Kind::Other(4)), "grpc_code_4", true, false, false),
            (Problem::Refused(Kind::AuthDisabled), "auth_disabled", true, false, false),
            (Problem::Refused(Kind::Compacted), "compacted", false, false, false),
            (Problem::Refused(Kind::TokenInvalid), "token_invalid", false, true, true),
            (Problem::Refused(Kind::TokenMissing), "token_missing", false, true, true),
            (Problem::Refused(Kind::PermissionDenied), "permission_denied", false, true, true),
            (Problem::Refused(Kind::PasswordWrong), "password_wrong", false, false, true),
            (
                Problem::Refused(Kind::ClientCertificateHasName),
                "client_certificate_has_name",
                false,
                false,
                true,
            ),
        ] {
            assert_eq!(problem.to_string(), word);
            let found = (problem.is_of_member(), problem.is_about_token(), problem.is_final());
            assert_eq!(found, (member, token, person), "{word}");
        }
    }
}
