//! Why a request is refused before it reaches the caller: each with its status and one line of
//! text for a person.

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It breaks the grammar of HTTP/1.1.
    Malformed,
    /// It has no host, two, or one with characters that none has (RFC 9112, 3.2).
    Host,
    /// The end of its body is unclear (RFC 9112, 6.3).
    Length,
    /// Its head did not come in time.
    TimedOut,
    TargetTooLong,
    HeadTooLong,
    TooManyFields,
    /// It is of another version than HTTP/1.0 and HTTP/1.1.
    Version,
}

impl Refusal {
    /// The status (RFC 9110, 15; RFC 6585, 5).
    pub(super) fn status(self) -> u16 {
        match self {
            Refusal::Malformed | Refusal::Host | Refusal::Length => 400,
            Refusal::TimedOut => 408,
            Refusal::TargetTooLong => 414,
            Refusal::HeadTooLong | Refusal::TooManyFields => 431,
            Refusal::Version => 505,
        }
    }

    /// The body of the answer.
    pub(super) fn text(self) -> &'static str {
        match self {
            Refusal::Malformed => "the request is malformed\n",
            Refusal::Host => "the request needs one Host field with a host and its port\n",
            Refusal::Length => "the fields of the request leave open where its body ends\n",
            Refusal::TimedOut => "the head of the request did not come in time\n",
            Refusal::TargetTooLong => "the target of the request is too long\n",
            Refusal::HeadTooLong => "the head of the request is too long\n",
            Refusal::TooManyFields => "the head of the request has too many fields\n",
            Refusal::Version => "only HTTP/1.1 and HTTP/1.0 are supported\n",
        }
    }
}
