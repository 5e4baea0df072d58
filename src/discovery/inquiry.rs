//! What a source asks servers over HTTP, and what it hears. Types alone.
//!
//! A source opens no connection: it says what to send over which of its *lines*, and hears the
//! results. The driver in the reactor carries that out.
//!
//! ```text
//!   source ── Ask: open, send, close ──► driver ──► exchange
//!     ▲                                              │
//!     └──────────────── Heard ◄──────────────────────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use crate::address::Address;
use crate::proto::http1::{Delivery, Request, Response};
use crate::scheme::Scheme;
use crate::upstream::Standing;

/// A connection of a source, or the place for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The source, by its position.
    pub source: u16,
    /// The number that the source gives it, below [`crate::config::SOURCE_LINES_MAX`].
    pub number: u8,
}

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is. A connection that leads back to this gateway is refused.
    pub address: Address,
    /// Whether it is asked in the clear or by TLS.
    pub scheme: Scheme,
    /// The name that its certificate has to be for, and the host of requests: a DNS name or the
    /// literal of an IP address, without a port.
    pub host: Arc<str>,
}

impl Target {
    /// The host and port of a URL, as the `Host` field of a request has them.
    pub fn authority(&self) -> String {
        let port = self.address.port().unwrap_or(0);
        match self.host.contains(':') {
            true => format!("[{}]:{port}", self.host),
            false => format!("{}:{port}", self.host),
        }
    }
}

/// What is to be done over a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Opens a connection and sends a request; one that is there is closed before. A request is
    /// whole: no connection is ever opened without one.
    Open {
        /// The server.
        target: Target,
        /// The request.
        request: Request,
        /// How the answers over this connection are delivered.
        delivery: Delivery,
        /// The time limit for connecting, and again for an answer or the head of a streamed one.
        time_limit: Duration,
    },
    /// Sends a further request over the connection, once the answer before it was whole. Where the
    /// server has closed that meanwhile, [`Heard::Closed`] comes, and the request is to be sent
    /// over a new one.
    Send {
        /// The request.
        request: Request,
        /// The time limit for the answer, or for the head of a streamed one.
        time_limit: Duration,
    },
    /// Closes the connection, whatever is under way over it, if it is there.
    Close,
}

/// The result. After [`Heard::Closed`] and [`Heard::Failed`] there is no connection. The time
/// limit of an answer that is whole, or whose streaming has begun, is over: a source that waits on
/// has to have a deadline of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole answer.
    Response(Response),
    /// The status of a streamed answer.
    Head(u16),
    /// More of its body, never empty.
    Part(Vec<u8>),
    /// Its end, which was orderly.
    End,
    /// The server has closed the connection between two answers, or has answered a further request
    /// by no byte. Nothing speaks against it.
    Closed,
    /// There was no connection, or it failed, or the answer cannot be read; in one word of the log.
    Failed(&'static str),
}

/// An endpoint, as a server that a source may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The server.
    pub target: Target,
    /// Its standing by its checks; [`Standing::Failing`] also where dials fail.
    pub standing: Standing,
}

/// What a source knows when it decides what to ask.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is known of its names.
    pub names: &'a Names,
    /// The endpoints in use that may be members of etcd: the best standing first, then in their
    /// order; and others that sources list, as failing. Empty unless the source asks for it.
    pub members: &'a [Candidate],
}
