//! The driver of discovery: runs it when something is due, executes the resolver's commands with a
//! socket for each question, by UDP or TCP, and passes on the endpoints that were found. Does not
//! interpret names or answers; limits are the resolver's.

use std::net::SocketAddr;
use std::time::Instant;

use super::files::HostsReading;
use super::findings::log_finding;
use super::lines::Lines;
use crate::address::Address;
use crate::config::{DNS_DESCRIPTORS_MAX, SOURCE_ATTEMPTS_MAX};
use crate::discovery::{Discovery, Found, Heard, Line, Record, Unusable};
use crate::net::{Host, Net, NetError};
use crate::observe::events::{Event, Quoted};
use crate::proto::dialogue::Dialogue;
use crate::proto::dns::stream::Framing;
use crate::proto::dns::{Command, Failure, QuestionId, Transport};
use crate::reactor::context::{Context, Timer};
use crate::reactor::exchanges::{Destination, ExchangeError, Owner, Report};
use crate::reactor::faults::question_failure;
use crate::reactor::wheel::TimerKey;
use crate::upstream::{DialFailure, Standing};

/// Discovery, with its timer and its files.
pub(super) struct DiscoveryDriver<N: Net + Host> {
    pub(super) discovery: Discovery,
    lines: Lines,
    timer: Option<TimerKey>,
    pub(super) hosts: HostsReading<N>,
    /// Whether discovery has to run before this turn ends.
    is_dirty: bool,
    /// Whether its timer has fired since the last run.
    is_overdue: bool,
    /// Whether the next round is to check the resolver's files even if no look-up is due.
    rereads: bool,
    /// Whether the process is to end, so that names are no longer looked up.
    is_stopped: bool,
}

impl<N: Net + Host> DiscoveryDriver<N> {
    /// A driver that has not asked anything yet.
    pub(super) fn new(discovery: Discovery, lines: Lines) -> DiscoveryDriver<N> {
        let is_dirty = discovery.may_change();
        DiscoveryDriver {
            discovery,
            lines,
            timer: None,
            hosts: HostsReading::default(),
            is_dirty,
            is_overdue: false,
            rereads: false,
            is_stopped: false,
        }
    }

    /// Whether discovery has to run before this turn ends.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty && !self.is_stopped
    }

    /// Requires a run before this turn ends.
    pub(super) fn mark_dirty(&mut self) {
        self.is_dirty = true;
    }

    /// Whether the endpoints may still change.
    pub(super) fn is_discovering(&self) -> bool {
        self.discovery.may_change() && !self.is_stopped
    }

    /// Whether an answer is under way or due that may bring an endpoint.
    pub(super) fn is_asking(&self, now: Instant) -> bool {
        self.discovery.is_asking(now)
    }

    /// Rechecks the name of an address after a failed dial: its records may be out of date.
    pub(super) fn recheck(&mut self, address: &Address, failure: DialFailure, now: Instant) {
        if !self.discovery.may_change() {
            return;
        }
        match failure.is_evidence() {
            true => self.discovery.names_mut().on_dial_failed(address, now),
            false => self.discovery.reconsider(now),
        }
        self.mark_dirty();
    }

    /// Rechecks every name, because no endpoint works.
    pub(super) fn recheck_all(&mut self, now: Instant) {
        if self.discovery.may_change() {
            self.discovery.on_none_active(now);
            self.mark_dirty();
        }
    }

    /// Begins a run, which consists of rounds.
    pub(super) fn begin_run(&mut self, context: &Context<N>) {
        self.is_dirty = false;
        self.hosts.begin_turn();
        let is_timer = std::mem::take(&mut self.is_overdue);
        // A name server did not answer in time: by now resolv.conf(5) may name others. A reading of
        // /etc/hosts goes on to its end, even if the host that it began for is no longer needed.
        let is_overdue = is_timer && self.discovery.names().is_overdue(context.now);
        self.rereads = is_overdue || self.hosts.is_under_way();
    }

    /// Begins a round: starts the look-ups that are due, and processes the answers.
    pub(super) fn begin_round(&mut self, context: &mut Context<N>) {
        if std::mem::take(&mut self.rereads) || self.discovery.names().is_refresh_due(context.now) {
            self.refresh_names(context);
        }
        let net = &mut context.net;
        self.discovery.advance(context.now, &mut || net.random());
    }

    /// The endpoints that should exist; `None` if they are those of the last call.
    pub(super) fn take_found(&mut self, context: &mut Context<N>) -> Option<Vec<Found>> {
        let now = context.now;
        let found = self.discovery.take_found(
            &mut |address, is_resolved| match context.own_listener(address) {
                Some(listener) => Err(Unusable::OwnListener(listener.clone())),
                None => context.check_route(address, is_resolved),
            },
            now,
        );
        found.map(<[Found]>::to_vec)
    }

    /// Ends a round: executes the resolver's commands, carries out what sources ask, and logs.
    /// `standing` as for [`Discovery::take_asks`]. Returns whether another round is
    /// needed: SRV records may name hosts to look up, which /etc/hosts may have. Each round ends or
    /// begins a look-up, so there are few.
    pub(super) fn end_round(
        &mut self,
        context: &mut Context<N>,
        standing: &dyn Fn(&Address) -> Option<Standing>,
    ) -> bool {
        self.execute(context);
        self.ask_servers(context, standing);
        self.write_records(context);
        for finding in self.discovery.take_findings() {
            log_finding(context, &finding);
        }
        !self.hosts.is_under_way() && self.discovery.names().is_refresh_due(context.now)
    }

    /// Ends a run. Returns whether no look-up is under way, so that no client has to wait for one.
    pub(super) fn end_run(&mut self, context: &mut Context<N>) -> bool {
        if self.hosts.is_under_way() {
            self.mark_dirty();
        } else {
            let wanted = self.discovery.next_deadline();
            context.rearm(&mut self.timer, wanted, Timer::Discovery);
        }
        !self.is_asking(context.now)
    }

    /// Handles the timer: a look-up is due, or a name server did not answer in time.
    pub(super) fn on_timer(&mut self) {
        self.timer = None;
        self.is_overdue = true;
        self.mark_dirty();
    }

    /// Handles the report on a question.
    pub(super) fn on_report(
        &mut self,
        context: &mut Context<N>,
        question: QuestionId,
        report: Report,
    ) {
        let outcome = match &report {
            Report::Message(message) => Ok(&message[..]),
            Report::Failed(ExchangeError::Net(error)) => Err(question_failure(*error)),
            Report::Failed(ExchangeError::Dialogue(_)) | Report::Http(_) | Report::Done => {
                debug_assert!(false, "a question is asked in the clear, and ends with its answer");
                Err(Failure::Unreachable)
            }
        };
        let Context { net, now, .. } = context;
        self.discovery.on_outcome(question, outcome, *now, &mut || net.random());
        self.execute(context);
        self.mark_dirty();
    }

    /// Handles the report on a line of a source.
    pub(super) fn on_line_report(&mut self, context: &mut Context<N>, line: Line, report: Report) {
        if let Some(heard) = self.lines.on_report(line, report) {
            context.metrics.asks.failed += u64::from(matches!(heard, Heard::Failed(_)));
            self.discovery.on_heard(line, heard, context.now);
            self.mark_dirty();
        }
    }

    /// Has what sources list looked at again: an endpoint fails, or roles of members changed.
    pub(super) fn on_doubt(&mut self, now: Instant) {
        if self.is_discovering() {
            self.discovery.on_doubt(now);
            self.mark_dirty();
        }
    }

    /// Carries out what sources ask until there is nothing more.
    fn ask_servers(
        &mut self,
        context: &mut Context<N>,
        standing: &dyn Fn(&Address) -> Option<Standing>,
    ) {
        for _ in 0..SOURCE_ATTEMPTS_MAX {
            let Context { net, now, .. } = &mut *context;
            let asks = self.discovery.take_asks(standing, *now, &mut || net.random());
            if asks.is_empty() {
                return;
            }
            for (line, ask) in asks {
                if let Some(heard) = self.lines.carry_out(context, line, ask) {
                    context.metrics.asks.failed += u64::from(matches!(heard, Heard::Failed(_)));
                    self.discovery.on_heard(line, heard, context.now);
                }
            }
        }
        debug_assert!(false, "a source asks without a pause");
    }

    fn write_records(&mut self, context: &mut Context<N>) {
        let net = &mut context.net;
        let failed = self.discovery.write_records(|Record { path, bytes }| {
            net.replace_file(path, bytes, Record::may_replace)
        });
        for (path, reason) in failed {
            let (file, reason) = (&path.to_string_lossy(), &reason);
            context.log(Event::StateFileNotWritten { file: Quoted(file), reason });
        }
    }

    /// Ends all look-ups, and begins none from now on.
    pub(super) fn stop(&mut self, context: &mut Context<N>) {
        self.is_stopped = true;
        self.hosts.abandon();
        self.lines.stop(context);
        if let Some(timer) = self.timer.take() {
            context.wheel.cancel(timer);
        }
        let owners: Vec<Owner> = context.exchanges.owners().collect();
        for owner in owners {
            if let Owner::Discovery(_) = owner {
                context.close_exchange_of(owner);
            }
        }
    }

    /// Executes the resolver's commands until there are none. The resolver may react to a question
    /// that could not be sent with further commands, a limited number of times for each.
    fn execute(&mut self, context: &mut Context<N>) {
        loop {
            let commands = self.discovery.names_mut().take_commands();
            if commands.is_empty() {
                break;
            }
            for command in commands {
                let (question, outcome) = match command {
                    Command::Close(question) => {
                        context.close_exchange_of(Owner::Discovery(question));
                        (question, Ok(()))
                    }
                    Command::Open { question, server, transport, message } => {
                        (question, ask(context, question, server, transport, &message))
                    }
                    Command::Resend { question, message } => {
                        (question, context.send_datagram(Owner::Discovery(question), &message))
                    }
                };
                if let Err(error) = outcome {
                    let Context { net, now, .. } = context;
                    let outcome = Err(question_failure(error));
                    self.discovery.on_outcome(question, outcome, *now, &mut || net.random());
                }
            }
        }
        let questions = context.exchanges.questions();
        debug_assert!(questions <= DNS_DESCRIPTORS_MAX, "more than was reserved");
    }
}

fn ask<N: Net + Host>(
    context: &mut Context<N>,
    question: QuestionId,
    server: SocketAddr,
    transport: Transport,
    message: &[u8],
) -> Result<(), NetError> {
    let owner = Owner::Discovery(question);
    match transport {
        Transport::Datagram => {
            context.open_datagram(owner, server)?;
            // The socket stays even if sending failed: the resolver commands when it is closed.
            context.send_datagram(owner, message)
        }
        Transport::Stream => {
            let dialogue = Dialogue::Dns(Framing::new(message));
            let address = Address::Inet(server);
            context.open_stream(owner, Destination::Unchecked(&address), dialogue, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::discovery::late::Late;
    use crate::discovery::{Environment, Sources};
    use crate::net::mio::{MioNet, SocketOptions};

    /// A source that no name is looked up for is led by the clock alone.
    #[test]
    fn discovery_runs_without_a_name() {
        let options = SocketOptions { keepalive: None, user_timeout: None, reuse_port: false };
        let net = MioNet::new(options).expect("a net");
        let mut context = Context::new(net, Instant::now());
        let at = context.now + Duration::from_secs(1);
        let late = Late { address: ([127, 0, 0, 1], 1).into(), at: Some(at), is_first: false };
        let sources = Sources::new(Duration::ZERO, Environment::default()).with([late]);
        let discovery = Discovery::new(sources, context.now);
        let mut driver = DiscoveryDriver::new(discovery, Lines::new(None));
        assert!(driver.is_dirty() && driver.is_discovering());
        for (now, want) in [(context.now, 0), (at, 1)] {
            context.now = now;
            while let Some((_, timer)) = context.wheel.expire(now) {
                assert!(matches!(timer, Timer::Discovery));
                driver.on_timer();
            }
            assert!(driver.is_dirty());
            driver.begin_run(&context);
            driver.begin_round(&mut context);
            assert_eq!(driver.take_found(&mut context).map(|found| found.len()), Some(want));
            assert!(!driver.end_round(&mut context, &|_| None));
            assert!(driver.end_run(&mut context) && !driver.is_dirty());
        }
        assert!(!driver.is_discovering(), "nothing is to come");
    }
}
