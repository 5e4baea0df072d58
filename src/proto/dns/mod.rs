//! A stub resolver: from a name to its records, by asking the name servers of this host.
//!
//! Owns messages, the files' meaning, and the state machine that asks. Pure: no socket, no clock,
//! no file; the reactor carries out its [`Command`]s. How long an answer is used is decided in
//! `discovery`.
//!
//! ```text
//!   look_up ──► queue    which names have their turn, of many that wait
//!               lookup   a name through the search list, both families at once
//!                 └► query    one question: servers in turn, ids, aliases, datagram or stream
//!                      └► message    bytes of a question and of a reply
//! ```

pub mod hosts;
pub(crate) mod hosts_file;
mod lookup;
pub mod message;
pub mod name;
mod query;
pub(crate) mod queue;
pub mod resolv_conf;
pub(crate) mod resolver;
pub mod search;
pub mod stream;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use message::{Kind, Records, ServerFailure};
use name::Name;

/// Identifies a question to one server, and the socket that is opened for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId(u64);

/// How a question is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By UDP.
    Datagram,
    /// By TCP, in the framing of [`stream::Framing`].
    Stream,
}

/// An order of the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a socket to the server, send the message, and hand back the outcome.
    Open {
        /// Identifies the question to the resolver.
        question: QuestionId,
        /// The name server.
        server: SocketAddr,
        /// How the question is sent.
        transport: Transport,
        /// The question, without framing.
        message: Vec<u8>,
    },
    /// Send the message once more, through the socket of a datagram, if it is still open.
    Resend {
        /// The question, as opened.
        question: QuestionId,
        /// The question, as it was sent before.
        message: Vec<u8>,
    },
    /// Close the socket, if it is still open.
    Close(QuestionId),
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server has replied in time.
    TimedOut,
    /// The servers' hosts refuse, or cannot be reached.
    Unreachable,
    /// A server replied that it cannot or will not answer.
    Server(ServerFailure),
    /// The reply was not an answer.
    Malformed,
    /// This process had no descriptor or memory for a socket.
    Shortage,
    /// No full name can be made of the text that was typed.
    NoName,
}

impl Failure {
    /// How many failures are told apart by [`Failure::index`].
    pub const COUNT: usize = Failure::WORDS.len();

    /// Their words, each at its [`Failure::index`]. That of what a server replied is a general one,
    /// for counts; what is shown of a single failure says more.
    ///
    /// What is true of the name server names it: next to the name of a host a bare `unreachable` or
    /// `refused` would be read as that host's.
    pub const WORDS: [&str; 6] = [
        "name_server_timed_out",
        "name_server_unreachable",
        "name_server_error",
        "malformed_answer",
        "local_shortage",
        "no_name",
    ];

    /// 0 to [`Failure::COUNT`] - 1, for arrays with an entry per failure; all that servers reply
    /// are one.
    pub fn index(self) -> usize {
        let index = self.place();
        debug_assert!(index < Failure::COUNT, "an array of an entry for each has no such place");
        index
    }

    fn place(self) -> usize {
        match self {
            Failure::TimedOut => 0,
            Failure::Unreachable => 1,
            Failure::Server(_) => 2,
            Failure::Malformed => 3,
            Failure::Shortage => 4,
            Failure::NoName => 5,
        }
    }

    /// Whether no server has replied.
    fn is_silence(self) -> bool {
        matches!(self, Failure::TimedOut | Failure::Unreachable | Failure::Shortage)
    }
}

impl fmt::Display for Failure {
    /// One word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Server(failure) => write!(f, "name_server_{failure}"),
            _ => f.write_str(Failure::WORDS[self.index()]),
        }
    }
}

/// The purpose of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The addresses of a host: A and AAAA.
    Host,
    /// The servers of a service: SRV.
    Service,
}

/// The name that is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// As typed, to be completed by the search list if it is not a full name.
    Typed(String),
    /// A full name.
    Exact(Name),
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Typed(text) => f.write_str(text),
            Wanted::Exact(name) => name.fmt(f),
        }
    }
}

/// Identifies a look-up to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookupId(pub usize);

/// The result of a look-up for one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The look-up.
    pub id: LookupId,
    /// The kind of record.
    pub kind: Kind,
    /// The full name of the search list that the answer is about. None if there was none to ask
    /// for.
    pub name: Option<Name>,
    /// The answer about that name.
    pub answer: Answer,
    /// Other full names of the search list, in its order, for which no server could say whether
    /// they have records of this kind. What an earlier look-up learned from one of them is neither
    /// refuted nor replaced by `answer`.
    pub unanswered: Vec<(Name, Failure)>,
    /// Whether a server has replied in the course of the look-up, whatever it said.
    pub is_heard: bool,
}

impl Answered {
    /// An answer about no full name in particular, such as one that no server was asked for.
    pub(crate) fn new(id: LookupId, kind: Kind, answer: Answer) -> Answered {
        Answered { id, kind, name: None, answer, unanswered: Vec::new(), is_heard: false }
    }
}

/// The result of a query: what is known now of one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The name has records.
    Records {
        /// All of them.
        records: Records,
        /// For how long, as the servers say.
        ttl: Duration,
    },
    /// The name has no such records, as a server says.
    Nothing {
        /// Whether the name exists, with other kinds of records.
        exists: bool,
        /// For how long, if the servers say so.
        ttl: Option<Duration>,
    },
    /// No server could or would say, so nothing is known anew.
    Failed(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_name_server_is_not_read_as_what_is_wrong_with_the_host() {
        for (failure, want) in [
            (Failure::TimedOut, "name_server_timed_out"),
            (Failure::Unreachable, "name_server_unreachable"),
            (Failure::Server(ServerFailure::Refused), "name_server_refused"),
            (Failure::Server(ServerFailure::Failure), "name_server_failure"),
            (Failure::Server(ServerFailure::NotImplemented), "name_server_not_implemented"),
            (Failure::Server(ServerFailure::Other(9)), "name_server_rcode_9"),
            (Failure::Malformed, "malformed_answer"),
            (Failure::Shortage, "local_shortage"),
        ] {
            assert_eq!(failure.to_string(), want);
        }
    }
}
