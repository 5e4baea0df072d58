//! One look-up of a name: its answers so far, and the outcome once all have come. Pure.

use std::fmt;
use std::time::{Duration, Instant};

use crate::config::{
    DNS_NEGATIVE_TTL_MAX, DNS_RETRY_MAX, DNS_RETRY_MIN, DNS_RETRY_PARTIAL, DNS_TTL_MAX, DNS_TTL_MIN,
};
use crate::proto::dns::name::Name;
use crate::proto::dns::{Answered, Failure};

/// Why a name has no usable answer. Shown as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// No server could say; what was known before stays.
    Failed(Failure),
    /// The servers say that there is no such name.
    NoSuchName,
    /// The name exists, but has no record of the kind that is asked for.
    NoRecord,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::Failed(failure) => failure.fmt(f),
            ResolveError::NoSuchName => f.write_str("no_such_name"),
            ResolveError::NoRecord => f.write_str("no_record"),
        }
    }
}

/// The outcome of the last look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The first look-up is not over.
    Unknown,
    /// There are records.
    Resolved,
    /// There are none, or no server could say.
    Failed(ResolveError),
}

/// The answers of the look-up so far.
#[derive(Debug)]
pub(super) struct Round {
    /// Answers that are still to come.
    pub(super) outstanding: usize,
    /// Until when everything holds that was found.
    pub(super) fresh_until: Option<Instant>,
    /// How long it holds that the rest is not there.
    pub(super) absent_for: Option<Duration>,
    /// What is known came into doubt meanwhile.
    pub(super) is_doubtful: bool,
    pub(super) failure: Option<Failure>,
    /// A server has replied, be it that it cannot help.
    pub(super) is_heard: bool,
    pub(super) exists: bool,
    /// Answers about another full name than the one that what is known is of, each with the time
    /// of its arrival. Whether that one has records itself is clear only once all have come.
    pub(super) parked: Vec<(Answered, Instant)>,
    /// Full names that gave a part of what is known, and why no server could say whether they still
    /// have that. Not more than there are kinds.
    pub(super) doubts: Vec<(Name, Failure)>,
}

impl Round {
    /// No answer so far, of that many.
    pub(super) fn new(answers: usize) -> Round {
        debug_assert!(answers > 0, "nothing would end the look-up");
        Round {
            outstanding: answers,
            fresh_until: None,
            absent_for: None,
            is_doubtful: false,
            failure: None,
            is_heard: false,
            exists: false,
            parked: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// The outcome, and until when it holds. `pause`: until the next look-up after a failure. What
    /// a family lacks is asked for again with the rest, and not sooner: a server that knows nothing
    /// of AAAA is common, and no reason to ask all the time.
    pub(super) fn outcome(
        &self,
        is_vital: bool,
        pause: Duration,
        now: Instant,
    ) -> (Status, Instant) {
        debug_assert_eq!(self.outstanding, 0, "answers are missing");
        debug_assert!(self.parked.is_empty(), "answers are not read");
        debug_assert!((DNS_RETRY_MIN..=DNS_RETRY_MAX).contains(&pause));
        let (status, until) = self.outcome_unbounded(is_vital, pause, now);
        debug_assert_ne!(status, Status::Unknown, "a look-up that is over has an outcome");
        debug_assert!(until <= now + DNS_TTL_MAX, "believed for too long");
        (status, until)
    }

    fn outcome_unbounded(
        &self,
        is_vital: bool,
        pause: Duration,
        now: Instant,
    ) -> (Status, Instant) {
        match (self.fresh_until, self.failure) {
            (Some(fresh_until), None) => (Status::Resolved, fresh_until),
            (Some(fresh_until), Some(_)) => {
                (Status::Resolved, fresh_until.min(now + DNS_RETRY_PARTIAL))
            }
            (None, Some(failure)) => {
                let pause = if is_vital { pause } else { DNS_RETRY_PARTIAL };
                (Status::Failed(ResolveError::Failed(failure)), now + pause)
            }
            (None, None) => {
                let error =
                    if self.exists { ResolveError::NoRecord } else { ResolveError::NoSuchName };
                let most = if is_vital { DNS_NEGATIVE_TTL_MAX } else { DNS_TTL_MAX };
                (Status::Failed(error), now + self.absent_for.unwrap_or(most).min(most))
            }
        }
    }

    /// To be called after each answer.
    pub(super) fn invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        if self.fresh_until.is_some() || self.absent_for.is_some() {
            assert!(self.is_heard, "known from no server");
        }
        assert!(!self.exists || self.absent_for.is_some(), "exists by no answer");
        assert!(self.doubts.is_empty() || self.failure.is_some(), "in doubt without a failure");
        if let Some(life) = self.absent_for {
            assert!((DNS_TTL_MIN..=DNS_TTL_MAX).contains(&life));
        }
        assert!(self.parked.is_empty() || self.outstanding > 0, "answers that are never read");
    }
}
