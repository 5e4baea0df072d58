//! A stub resolver: from a name to its records, by asking the name servers of this host.
//!
//! Owns messages, the files' meaning, and the state machine that asks. Pure: no socket, no clock,
//! no file; the reactor carries out its [`Command`]s. What the answers are good for is decided in
//! `discovery`.
//!
//! ```text
//!   look_up ──► queue    which names have their turn, of many that wait
//!               lookup   a name through the search list, both families at once
//!                 └► query    one question: servers in turn, ids, aliases, datagram or stream
//!                      └► message    bytes of a question and of a reply
//! ```

pub mod hosts;
pub mod hosts_file;
mod lookup;
pub mod message;
pub mod name;
mod query;
pub mod queue;
pub mod resolv_conf;
pub mod resolver;
pub mod search;
pub mod stream;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use message::{Kind, Records, ServerFailure};
use name::Name;

/// One question to one server, and the socket that is to be opened for it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Exchange(u64);

/// How a question is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// By UDP.
    Datagram,
    /// By TCP, in the framing of [`stream::Framing`].
    Stream,
}

/// What the resolver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a socket to the server and send the message. Whatever comes of it is to be told.
    Open {
        /// Under which name to tell it.
        exchange: Exchange,
        /// Whom to ask.
        server: SocketAddr,
        /// How.
        transport: Transport,
        /// The question, without framing.
        message: Vec<u8>,
    },
    /// Send the message once more, through the socket of a datagram, if it is still open.
    Resend {
        /// Which one.
        exchange: Exchange,
        /// The question, as it was sent before.
        message: Vec<u8>,
    },
    /// Give the socket up, if it is still open.
    Close(Exchange),
}

/// Why nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server said anything in time.
    TimedOut,
    /// The servers' hosts refuse, or cannot be reached.
    Unreachable,
    /// A server answered that it cannot or will not.
    Server(ServerFailure),
    /// What came was no answer.
    Malformed,
    /// We had no descriptor or memory to ask.
    Shortage,
    /// The name is none that could be asked for.
    NoName,
}

impl Failure {
    /// Whether no server said anything.
    fn is_silence(self) -> bool {
        matches!(self, Failure::TimedOut | Failure::Unreachable | Failure::Shortage)
    }
}

impl fmt::Display for Failure {
    /// One word. What is true of the name server names it: beside the name of a host a bare
    /// `unreachable` or `refused` would be read as that host's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::TimedOut => "name_server_timed_out",
            Failure::Unreachable => "name_server_unreachable",
            Failure::Server(failure) => return write!(f, "name_server_{failure}"),
            Failure::Malformed => "malformed_answer",
            Failure::Shortage => "local_shortage",
            Failure::NoName => "no_name",
        })
    }
}

/// What a name is looked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The addresses of a host: A and AAAA.
    Host,
    /// The servers of a service: SRV.
    Service,
}

/// The name that is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// As typed, to be completed by the search list where it is no full name.
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

/// By which its caller knows a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LookupId(pub usize);

/// What came of a look-up, for one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Of which look-up.
    pub id: LookupId,
    /// Of which kind.
    pub kind: Kind,
    /// The full name of the search list that the answer is about. None if there was none to ask
    /// for.
    pub name: Option<Name>,
    /// What.
    pub answer: Answer,
    /// Other full names of the search list, in its order, of which no server could say whether
    /// they have records of this kind. What an earlier look-up learned from one of them is neither
    /// refuted nor replaced by `answer`.
    pub undecided: Vec<(Name, Failure)>,
    /// Whether some server said something in the course of the look-up, whatever it was.
    pub is_heard: bool,
}

/// What is known now of one kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These.
    Records {
        /// All of them.
        records: Records,
        /// For how long, as the servers say.
        ttl: Duration,
    },
    /// For sure none.
    Nothing {
        /// Whether the name exists, with other kinds of records.
        exists: bool,
        /// For how long, if the servers say so.
        ttl: Option<Duration>,
    },
    /// Nothing new.
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
