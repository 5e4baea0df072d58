//! What the reactor logs at info and warn: changes of endpoints, and summaries of what clients
//! can repeat. One event a line, `key=value`.

use std::net::SocketAddr;
use std::time::Duration;

use log::{info, warn};

use super::summary::Summary;
use super::{Reactor, Timer};
use crate::config::duration::format_duration;
use crate::discovery::{LeftOut, Report};
use crate::dns::resolv_conf::Problem;
use crate::endpoint::{Change, ChangeKind, EndpointId, Proof};
use crate::net::{Net, NetError, ResolverFile};

/// Something that a client, or a script, can cause again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Clients closed unserved.
    TurnedAway,
    /// Dials that failed for want of descriptors, ports, memory or a route of our own.
    DialFailedLocally,
    /// Accepting had to pause.
    AcceptPaused,
    /// SIGHUP asked for what is not there.
    ReloadAsked,
}

impl Topic {
    const ALL: [Topic; 4] =
        [Topic::TurnedAway, Topic::DialFailedLocally, Topic::AcceptPaused, Topic::ReloadAsked];
}

/// What is still to be told.
#[derive(Debug, Default)]
pub(super) struct Reports {
    summaries: [Summary; Topic::ALL.len()],
    /// The last error of each topic.
    errors: [Option<NetError>; Topic::ALL.len()],
    /// The endpoint of the last dial that failed locally.
    endpoint: Option<SocketAddr>,
    timer_armed: bool,
}

impl<N: Net> Reactor<N> {
    /// It happened: told at once or, if a line about it is less than a second old, later.
    pub(super) fn report(&mut self, topic: Topic, error: Option<NetError>) {
        self.reports.errors[topic as usize] = error;
        if let Some(count) = self.reports.summaries[topic as usize].note(self.now) {
            self.tell(topic, count);
        }
        self.arm_report();
    }

    /// A dial of a client failed for reasons of our own.
    pub(super) fn report_local_failure(&mut self, endpoint: EndpointId, error: NetError) {
        self.reports.endpoint = self.endpoints.address(endpoint);
        self.report(Topic::DialFailedLocally, Some(error));
    }

    /// Tells what has waited for long enough.
    pub(super) fn report_due(&mut self) {
        self.reports.timer_armed = false;
        for topic in Topic::ALL {
            if let Some(count) = self.reports.summaries[topic as usize].take_due(self.now) {
                self.tell(topic, count);
            }
        }
        self.arm_report();
    }

    fn arm_report(&mut self) {
        let deadline = self.reports.summaries.iter().filter_map(Summary::deadline).min();
        if let Some(deadline) = deadline.filter(|_| !self.reports.timer_armed) {
            self.reports.timer_armed = true;
            self.wheel.arm(deadline, Timer::Summary);
        }
    }

    fn tell(&self, topic: Topic, count: u64) {
        let pairs = self.slots.len();
        let reason = self.reports.errors[topic as usize]
            .map(|error| format!("reason={error} "))
            .unwrap_or_default();
        match topic {
            Topic::TurnedAway => warn!("clients turned away {reason}count={count} pairs={pairs}"),
            Topic::DialFailedLocally => {
                let endpoint = self.reports.endpoint;
                let endpoint = endpoint.map_or_else(String::new, |it| format!("endpoint={it} "));
                warn!("dials failed locally {endpoint}{reason}count={count} pairs={pairs}");
            }
            Topic::AcceptPaused => warn!("accept paused {reason}count={count} pairs={pairs}"),
            Topic::ReloadAsked => tell_reload_ignored(count),
        }
    }

    /// Tells of an endpoint's new state.
    pub(super) fn tell_change(&self, change: &Change, source: &str) {
        let Change { address, kind, .. } = change;
        match kind {
            ChangeKind::BecameActive { down_for } if self.has_to_prove(change.id) => {
                let after = in_milliseconds(*down_for);
                info!("endpoint verified endpoint={address} after={after}");
            }
            ChangeKind::BecameActive { down_for } => {
                let down_for = in_milliseconds(*down_for);
                info!("endpoint active endpoint={address} reason={source} down_for={down_for}");
            }
            ChangeKind::BecameInactive { reason, retry_at } => {
                let retry_in = in_milliseconds(retry_at.saturating_duration_since(self.now));
                warn!("endpoint inactive endpoint={address} reason={reason} retry_in={retry_in}");
            }
            ChangeKind::StillInactive { is_news: false, .. } => {}
            ChangeKind::StillInactive { reason, retry_at, .. } => {
                let retry_in = in_milliseconds(retry_at.saturating_duration_since(self.now));
                warn!(
                    "endpoint not verified endpoint={address} reason={reason} retry_in={retry_in}"
                );
            }
        }
    }

    fn has_to_prove(&self, id: EndpointId) -> bool {
        self.endpoints.get(id).is_some_and(|endpoint| endpoint.proof() == Proof::Handshake)
    }

    /// Tells what came of looking for endpoints.
    pub(super) fn tell_finding(&self, report: &Report) {
        match report {
            Report::NotResolved { name, reason } => {
                warn!("name not resolved name={name} reason={reason}");
            }
            Report::ResolvedAgain { name } => info!("name resolved again name={name}"),
            // On a host with one family of addresses it is the usual case.
            Report::LeftOut { what, reason: LeftOut::NoRoute } => {
                info!("endpoint left out {what} reason={}", LeftOut::NoRoute);
            }
            Report::LeftOut { what, reason } => {
                warn!("endpoint left out {what} reason={reason}");
            }
            Report::Kept => {
                let count = self.endpoints.count();
                warn!("endpoints kept although no name leads to one any more count={count}");
            }
            Report::Configuration { problem, servers } => tell_problem(problem, servers),
            Report::ConfiguredAgain { servers } => {
                let (file, servers) = (ResolverFile::Configuration.path(), join(servers));
                info!("name servers known again file={file} servers=[{servers}]");
            }
        }
    }
}

/// Tells that there is nothing to reload.
pub(super) fn tell_reload_ignored(count: u64) {
    warn!("signal ignored signal=SIGHUP reason=no_reload count={count}");
}

fn tell_problem(problem: &Problem, servers: &[SocketAddr]) {
    let (file, servers) = (ResolverFile::Configuration.path(), join(servers));
    let what = if problem.is_about_servers() {
        "no name server given, asking others"
    } else {
        "file too long, using its beginning"
    };
    warn!("{what} file={file} reason={problem} servers=[{servers}]");
}

fn join(servers: &[SocketAddr]) -> String {
    servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
}

/// For the log, where more digits only look exact.
pub(super) fn in_milliseconds(duration: Duration) -> String {
    // Durations here are differences of times within a run: far below 2^64 ms.
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format_duration(Duration::from_millis(milliseconds))
}
