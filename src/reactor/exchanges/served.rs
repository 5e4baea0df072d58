//! Exchanges that a client has opened: connections to the admin side, in which we are the server.
//! Does not know what is asked, or answered.
//!
//! Only [`Context::advance_served`] reads and writes, and its owner decides when: an event of such
//! a socket is noted, and handled when pairs have had their turn.

use std::time::{Duration, Instant};

use super::{Exchange, Exchanges, Owner, Socket};
use crate::arena::Key;
use crate::config::limits::{
    ADMIN_ANSWER_TIMEOUT, ADMIN_FIELDS_MAX, ADMIN_HEAD_BYTES_MAX, ADMIN_HEAD_TIMEOUT,
    ADMIN_IDLE_TIMEOUT, ADMIN_LINGER_TIMEOUT, ADMIN_PIECE_BYTES, ADMIN_READS_PER_STEP,
    ADMIN_TARGET_BYTES_MAX,
};
use crate::net::{Host, Net, Read, Telemetry, Write};
use crate::observe::render::HttpDate;
use crate::proto::http1::{ServedRequest, Server, ServerLimits, Stage};
use crate::reactor::context::Context;
use crate::reactor::token::{Kind, Token};

/// The limits of what clients send.
const LIMITS: ServerLimits = ServerLimits {
    head_bytes_max: ADMIN_HEAD_BYTES_MAX,
    target_bytes_max: ADMIN_TARGET_BYTES_MAX,
    fields_max: ADMIN_FIELDS_MAX,
};

/// The connection of a client.
pub(super) struct Served<N: Net> {
    pub(super) stream: N::Stream,
    server: Box<Server>,
    /// How far the client has come, and since when: its time limit runs from there.
    progressed: Progressed,
    progressed_at: Instant,
    /// Bytes of answers that its socket has taken.
    taken: u64,
    /// Bytes that the client had not acknowledged when its socket was found full, or when its time
    /// was last renewed since; `None`: the socket may take more, and we are to go on.
    unacknowledged: Option<usize>,
    /// Whether it is shut for writing.
    is_shut: bool,
}

/// How far a client has come: each change gives it its time anew. A pause of the admin side may
/// pass in it, but not one as long as the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progressed {
    stage: Stage,
    /// Requests that were whole.
    asked: u64,
    /// Bytes of answers that its socket took.
    taken: u64,
}

/// What is to be done next for the connection of a client.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::reactor) enum Progress {
    /// A request is to be answered.
    Request(ServedRequest),
    /// The next piece of an answer can be taken.
    WantsBody,
    /// An event of the socket is awaited, or a time limit.
    Blocked,
    /// There is more to be read, in a later turn.
    Yielded,
    /// The connection is over, and is to be closed.
    Over,
}

impl<N: Net> Served<N> {
    fn new(stream: N::Stream, now: Instant) -> Served<N> {
        let server = Box::new(Server::new(LIMITS));
        let progressed = Progressed { stage: Stage::Idle, asked: 0, taken: 0 };
        Served {
            stream,
            server,
            progressed,
            progressed_at: now,
            taken: 0,
            unacknowledged: None,
            is_shut: false,
        }
    }

    /// Sets the date of the next answer. One that is being given has its own.
    fn date_answers(&mut self, now: Duration) {
        if !self.server.wants_body() && self.server.outgoing().is_empty() {
            self.server.set_date(HttpDate(now).to_string());
        }
    }

    /// The dialogue.
    pub(super) fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// The longest time of a stage.
fn time_limit(stage: Stage, asked: u64) -> Duration {
    match stage {
        // One without a first request has no answer to keep it for.
        Stage::Idle if asked > 0 => ADMIN_IDLE_TIMEOUT,
        Stage::Idle | Stage::Head => ADMIN_HEAD_TIMEOUT,
        Stage::Answering => ADMIN_ANSWER_TIMEOUT,
        Stage::Lingering | Stage::Over => ADMIN_LINGER_TIMEOUT,
    }
}

impl<N: Net> Exchanges<N> {
    /// Since when a client has not gone on, neither with a request nor with an answer; `None` if
    /// the connection is closed.
    pub(in crate::reactor) fn progressed_at(&self, key: Key) -> Option<Instant> {
        match &self.table.get(key)?.socket {
            Socket::Served(served) => Some(served.progressed_at),
            Socket::Datagram(_) | Socket::Stream { .. } => None,
        }
    }
}

impl<N: Net + Host> Context<N> {
    /// The token of the client that is accepted next, for [`Context::begin_served`].
    pub(in crate::reactor) fn reserve_served(&mut self) -> (Key, Token) {
        let key = self.exchanges.table.reserve();
        (key, Token::new(Kind::Exchange, key))
    }

    /// Begins to serve a client that was accepted by the token just reserved.
    pub(in crate::reactor) fn begin_served(&mut self, key: Key, owner: Owner, stream: N::Stream) {
        let limit = Some(time_limit(Stage::Idle, 0));
        let timer = self.arm_exchange(key, limit);
        let socket = Socket::Served(Served::new(stream, self.now));
        self.exchanges.table.fill(key, Exchange::new(owner, socket, limit, timer));
    }

    /// Reads, writes and parses as far as the socket and the limits of a step allow.
    pub(in crate::reactor) fn advance_served(&mut self, key: Key) -> Progress {
        let now = self.net.telemetry().unix_time();
        if let Some(served) = self.exchanges.served_mut(key) {
            served.date_answers(now);
        }
        let mut reads = 0;
        let progress = loop {
            let Context { net, exchanges, scratch, .. } = self;
            let Some(served) = exchanges.served_mut(key) else { return Progress::Over };
            let Served { stream, server, is_shut, taken, unacknowledged, .. } = served;
            let taken_before = *taken;
            match write_out(net, stream, server, taken) {
                Written::All => *unacknowledged = None,
                Written::Blocked => {
                    // A look in which nothing is taken must not hide what was sent before it.
                    if unacknowledged.is_none() || *taken > taken_before {
                        *unacknowledged = Some(net.unsent(stream));
                    }
                    break Progress::Blocked;
                }
                Written::Lost => break Progress::Over,
            }
            if let Some(request) = server.poll() {
                break Progress::Request(request);
            }
            if server.wants_body() {
                break Progress::WantsBody;
            }
            match server.stage() {
                Stage::Over => break Progress::Over,
                Stage::Lingering if !*is_shut => {
                    *is_shut = true;
                    if net.shutdown_write(stream).is_err() {
                        break Progress::Over;
                    }
                }
                _ => {}
            }
            debug_assert!(server.wants_input(), "neither in nor out");
            if reads == ADMIN_READS_PER_STEP {
                break Progress::Yielded;
            }
            reads += 1;
            match net.read(stream, &mut scratch[..ADMIN_PIECE_BYTES]) {
                Read::Data(bytes) => server.incoming(&scratch[..bytes]),
                Read::Eof => server.end(),
                Read::WouldBlock => break Progress::Blocked,
                Read::Failed(_) => break Progress::Over,
            }
        };
        self.sync_served_timer(key);
        progress
    }

    /// Handles the end of a stage's time: a head that is late is answered, and all else is over.
    /// Returns whether the connection goes on.
    pub(in crate::reactor) fn expire_served(&mut self, key: Key) -> bool {
        let now = self.net.telemetry().unix_time();
        let Some(exchange) = self.exchanges.table.get_mut(key) else { return false };
        exchange.timer = None;
        let Socket::Served(served) = &mut exchange.socket else { return false };
        match served.server.stage() {
            Stage::Head => {
                served.date_answers(now);
                served.server.time_out_head();
                self.sync_served_timer(key);
                true
            }
            // A socket that was full says that it takes more only when much of it is free: a slow
            // reader may be at it all the time.
            Stage::Answering => {
                let unsent = self.net.unsent(&mut served.stream);
                let goes_on = goes_on(served.unacknowledged, unsent);
                if goes_on {
                    served.unacknowledged = served.unacknowledged.map(|_| unsent);
                    self.restart_timer(key);
                }
                goes_on
            }
            Stage::Idle | Stage::Lingering | Stage::Over => false,
        }
    }

    /// Gives a client that went on its time anew.
    fn sync_served_timer(&mut self, key: Key) {
        let now = self.now;
        let Some(served) = self.exchanges.served_mut(key) else { return };
        let (stage, asked) = (served.server.stage(), served.server.asked());
        let progressed = Progressed { stage, asked, taken: served.taken };
        if std::mem::replace(&mut served.progressed, progressed) == progressed {
            return;
        }
        served.progressed_at = now;
        self.exchanges.table[key].time_limit = Some(time_limit(stage, asked));
        self.restart_timer(key);
    }
}

/// Whether a client goes on with its answer, by the bytes that it has not acknowledged: when its
/// socket was full, if it was, and now. One that has acknowledged all of them is not what is waited
/// for: the socket was full for want of memory, and the gateway has not written again yet.
fn goes_on(before: Option<usize>, now: usize) -> bool {
    now == 0 || before.is_none_or(|before| now < before)
}

enum Written {
    All,
    Blocked,
    Lost,
}

fn write_out<N: Net>(
    net: &mut N,
    stream: &mut N::Stream,
    server: &mut Server,
    taken: &mut u64,
) -> Written {
    loop {
        let bytes = server.outgoing();
        if bytes.is_empty() {
            return Written::All;
        }
        match net.write(stream, bytes) {
            Write::Data(bytes) => {
                *taken += bytes as u64;
                server.wrote(bytes);
            }
            Write::WouldBlock => return Written::Blocked,
            Write::Failed(_) => return Written::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::goes_on;

    #[test]
    fn client_that_takes_bytes_or_has_taken_all_goes_on() {
        for (before, now, wanted) in [
            (None, 8192, true),
            (None, 0, true),
            (Some(8192), 8192, false),
            (Some(8192), 8191, true),
            (Some(8192), 0, true),
            (Some(1), 1, false),
            // It was full for want of memory, with nothing in it.
            (Some(0), 0, true),
        ] {
            assert_eq!(goes_on(before, now), wanted, "{before:?} {now}");
        }
    }
}
