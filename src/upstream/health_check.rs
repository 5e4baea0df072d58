//! The terms of health checks: what an endpoint is asked, what may be answered, and what follows.
//! Types alone; `checks.rs` has the states and the ways between them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::DialFailure;
use crate::scheme::Scheme;

/// What is asked of an endpoint, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// What is asked.
    pub question: Question,
    /// Whether the endpoint may turn out to be no server of that kind, which is then no failure.
    pub is_tentative: bool,
    /// Whether it is asked in the clear or by TLS.
    pub scheme: Scheme,
    /// The name of the server: the host of the request, and the name in its certificate. A DNS name
    /// or the literal of an IP address, without a port.
    pub host: Arc<str>,
    /// The port where it is asked, if that is another one than its own.
    pub port: Option<u16>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The status of a member of etcd.
    Etcd,
    /// A path, which has to be answered by a status of 200 to 299.
    Path(Arc<str>),
}

impl fmt::Display for Question {
    /// `etcd`, or the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Etcd => f.write_str("etcd"),
            Question::Path(path) => f.write_str(path),
        }
    }
}

/// When an endpoint is asked, and how many answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimits {
    /// From one check to the next, above 0.
    pub interval: Duration,
    /// From a result that is not confirmed yet to the next check, and the shortest time between two
    /// checks of an endpoint; above 0.
    pub spacing: Duration,
    /// Passes in a row that end a failure, at least 1.
    pub rise: u32,
    /// Failures in a row that make one, at least 1.
    pub fall: u32,
}

/// Why a check was not passed. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFailure {
    /// There was no connection, no TLS session, or no answer in time.
    Dial(DialFailure),
    /// The answer has this status.
    Status(u16),
    /// The answer, or its absence, in one word.
    Answer(&'static str),
    /// Etcd refuses each check because of the common name in our certificate, whether it serves or
    /// not, until a person has changed that.
    ClientCertificateHasName,
}

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The endpoint serves.
    Passed,
    /// It is a server as expected that does not serve, or it gave no answer.
    Failed(CheckFailure),
    /// It answered otherwise than such a server does. `is_certain`: no such server answers so, not
    /// even while it ends.
    Unexpected {
        /// What it did.
        failure: CheckFailure,
        /// Whether once is enough.
        is_certain: bool,
    },
}

/// What is reported of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Its result.
    pub result: CheckResult,
    /// Whether it was made over a new connection, so that it shows that the endpoint can be dialed.
    pub is_dialed: bool,
    /// Whether a check costs the server a write to its disk.
    pub is_costly: bool,
    /// The term of Raft in which the server leads, where clients prefer a leader; else `None`.
    pub leads_in: Option<u64>,
}

/// What the time until the next check depends on, besides the result.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// No endpoint serves.
    pub is_eager: bool,
    /// A check costs the server a write to its disk.
    pub is_costly: bool,
    /// 64 random bits.
    pub jitter: u64,
}

/// What the checks have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// No answer yet that decides. `unexpected`: answers in a row of another kind of server.
    Unknown {
        /// Few: see `checks.rs`.
        unexpected: u8,
        /// Checks without an answer so far.
        unanswered: u32,
    },
    /// It serves. `failures` in a row, fewer than make it fail.
    Passing {
        /// Below [`CheckLimits::fall`].
        failures: u32,
    },
    /// It does not serve. `passes` in a row, fewer than end that.
    Failing {
        /// When the check that began this failed.
        since: Instant,
        /// Why, by the last check that failed.
        reason: CheckFailure,
        /// Below [`CheckLimits::rise`].
        passes: u32,
    },
    /// It is a server of another kind than a tentative check asks, or one that can pass no check:
    /// nothing more is sent to it.
    Foreign,
}

/// What a result has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckChange {
    /// It serves. `failed_for`: how long it did not; `None` if this was not known before.
    BecamePassing {
        /// From the first failure on.
        failed_for: Option<Duration>,
    },
    /// It does not serve.
    BecameFailing {
        /// Why.
        reason: CheckFailure,
    },
    /// It still does not, for another reason.
    FailsOtherwise {
        /// Why now.
        reason: CheckFailure,
    },
    /// Several checks in a row had no answer, and nothing else is known of it.
    Unanswered {
        /// What happened to the last one.
        reason: CheckFailure,
    },
    /// It is a server of another kind, or one whose checks cannot be passed, and not checked any
    /// further.
    BecameForeign {
        /// What it did.
        reason: CheckFailure,
    },
}

/// What speaks against an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// A dial failed.
    Failed,
    /// It ended or reset a connection: a client's early, or that of its checks.
    Ended,
    /// It leaves bytes of a client without an answer, which may be as the protocol has it.
    Silent,
}

/// How clients may use an endpoint, by its checks; the first that there is counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It passes its checks, or has none.
    Serving,
    /// Its checks have shown nothing so far.
    Unknown,
    /// It fails its checks: used only while no endpoint is better.
    Failing,
}

impl CheckFailure {
    /// Whether it says something about the endpoint, and not about ourselves.
    pub fn is_evidence(self) -> bool {
        match self {
            CheckFailure::Dial(failure) => failure.is_evidence(),
            CheckFailure::Status(_)
            | CheckFailure::Answer(_)
            | CheckFailure::ClientCertificateHasName => true,
        }
    }

    /// Whether the server has answered.
    pub(super) fn is_answer(self) -> bool {
        !matches!(self, CheckFailure::Dial(_))
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckFailure::Dial(failure) => failure.fmt(f),
            CheckFailure::Status(status) => write!(f, "status_{status}"),
            CheckFailure::Answer(word) => f.write_str(word),
            CheckFailure::ClientCertificateHasName => f.write_str("client_certificate_has_name"),
        }
    }
}
