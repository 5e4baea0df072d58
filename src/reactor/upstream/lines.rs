//! The driver of lines: carries out what sources of endpoints ask servers over HTTP, and passes the
//! results on. Does not know what is asked, or which server is next.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use super::http;
use crate::config::{ETCD_ANSWER_BYTES_MAX, HTTP_HEAD_BYTES_MAX};
use crate::discovery::{Ask, Heard, Line, Target};
use crate::net::{Host, Net};
use crate::proto::dialogue::DialogueError;
use crate::proto::http1::{Client, Delivery, Limits, Received, Request};
use crate::proto::tls::Connector;
use crate::reactor::context::Context;
use crate::reactor::exchanges::{Destination, ExchangeError, Owner, Report};
use crate::reactor::faults::dial_failure;

const LIMITS: Limits =
    Limits { head_bytes_max: HTTP_HEAD_BYTES_MAX, body_bytes_max: ETCD_ANSWER_BYTES_MAX };

/// The lines of all sources.
pub(super) struct Lines {
    /// Begins the TLS sessions with servers.
    connector: Option<Rc<dyn Connector>>,
    /// Lines over which a further request was sent, and nothing was heard since: the server may
    /// have closed the connection just before.
    reused: BTreeSet<Line>,
}

impl Lines {
    /// No line so far.
    pub(super) fn new(connector: Option<Rc<dyn Connector>>) -> Lines {
        Lines { connector, reused: BTreeSet::new() }
    }

    /// Carries an ask out. Returns its result, where that is known at once.
    pub(super) fn carry_out<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        line: Line,
        ask: Ask,
    ) -> Option<Heard> {
        let owner = Owner::Source(line);
        self.reused.remove(&line);
        match ask {
            Ask::Close => {
                context.close_exchange_of(owner);
                None
            }
            Ask::Send { request, time_limit } => {
                // An answer that is still under way must not count as that of the next request.
                let is_idle = context.has_idle_connection(owner);
                debug_assert!(is_idle || !context.close_exchange_of(owner), "one at a time");
                if !is_idle || !context.send_request(owner, request, time_limit) {
                    context.close_exchange_of(owner);
                    return Some(Heard::Closed);
                }
                self.reused.insert(line);
                context.metrics.asks.begun += 1;
                None
            }
            Ask::Open { target, request, delivery, time_limit } => {
                context.close_exchange_of(owner);
                context.metrics.asks.begun += 1;
                self.open(context, owner, &target, (request, delivery), time_limit).err()
            }
        }
    }

    fn open<N: Net + Host>(
        &self,
        context: &mut Context<N>,
        owner: Owner,
        target: &Target,
        (request, delivery): (Request, Delivery),
        time_limit: Duration,
    ) -> Result<(), Heard> {
        let client = Client::new(request, LIMITS, delivery);
        let dialogue =
            http::dialogue(client, target.scheme, self.connector.as_deref(), &target.host);
        let dialogue = dialogue.map_err(|error| Heard::Failed(error.word()))?;
        let destination = Destination::Checked(&target.address);
        let opened = context.open_stream(owner, destination, dialogue, Some(time_limit));
        opened.map_err(|error| Heard::Failed(dial_failure(error).word()))
    }

    /// What the report on a line means for its source.
    pub(super) fn on_report(&mut self, line: Line, report: Report) -> Option<Heard> {
        let was_reused = self.reused.remove(&line);
        Some(match report {
            Report::Http(Received::Response(response)) => Heard::Response(response),
            Report::Http(Received::Head(status)) => Heard::Head(status),
            Report::Http(Received::Part(part)) => Heard::Part(part),
            Report::Http(Received::End) => Heard::End,
            Report::Http(Received::Closed) => Heard::Closed,
            Report::Failed(error) if was_reused && http::is_lost(error) => Heard::Closed,
            Report::Failed(error) => Heard::Failed(word(error)),
            Report::Message(_) | Report::Done => {
                debug_assert!(false, "a line carries requests");
                return None;
            }
        })
    }

    /// Closes all lines.
    pub(super) fn stop<N: Net + Host>(&mut self, context: &mut Context<N>) {
        self.reused.clear();
        let owners: Vec<Owner> = context.exchanges.owners().collect();
        for owner in owners {
            if let Owner::Source(_) = owner {
                context.close_exchange_of(owner);
            }
        }
    }
}

fn word(error: ExchangeError) -> &'static str {
    match error {
        ExchangeError::Net(error) => dial_failure(error).word(),
        ExchangeError::Dialogue(DialogueError::Http(error)) => error.word(),
        ExchangeError::Dialogue(DialogueError::Handshake(error)) => error.word(),
    }
}
