//! What the reactor logs at info and warn: changes of endpoints and names, gathered where there are
//! many, and summaries of what clients can repeat. One event a line, `key=value`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use log::{Level, info, log, warn};

use super::gathering::{Gathering, Line, News};
use super::summary::Summary;
use super::{Reactor, Timer};
use crate::config::duration::format_duration;
use crate::config::{CHANGES_AT_ONCE, NEWCOMERS_AT_ONCE, NEWCOMERS_KNOWN_MAX, TROUBLES_AT_ONCE};
use crate::discovery::{Exclusion, Item, Report, Unusable};
use crate::net::{Net, NetError, ResolverFile};
use crate::proto::dns::resolv_conf::Problem;
use crate::upstream::{Change, ChangeKind, Check, EndpointId};

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
#[derive(Debug)]
pub(super) struct Reports {
    /// Endpoints that come and go, and those that are verified.
    endpoints: Gathering,
    /// Endpoints that come for the first time.
    newcomers: Gathering,
    /// Those that have come, the latest last.
    known: VecDeque<SocketAddr>,
    /// Names that are no help or are one again, what is left out of what they lead to, and which
    /// endpoints are not verified.
    troubles: Gathering,
    summaries: [Summary; Topic::ALL.len()],
    /// The last error of each topic.
    errors: [Option<NetError>; Topic::ALL.len()],
    /// The endpoint of the last dial that failed locally.
    endpoint: Option<SocketAddr>,
    /// Why the last client was rejected.
    rejection: &'static str,
    timer_armed: bool,
}

impl Default for Reports {
    fn default() -> Reports {
        Reports {
            endpoints: Gathering::new("endpoints", CHANGES_AT_ONCE),
            newcomers: Gathering::new("endpoints", NEWCOMERS_AT_ONCE),
            known: VecDeque::new(),
            troubles: Gathering::new("discovery", TROUBLES_AT_ONCE),
            summaries: Default::default(),
            errors: Default::default(),
            endpoint: None,
            rejection: "",
            timer_armed: false,
        }
    }
}

impl Reports {
    /// An endpoint has come; whether it is not known from before.
    fn meet(&mut self, address: SocketAddr) -> bool {
        let before = self.known.iter().position(|known| *known == address);
        if let Some(position) = before {
            self.known.remove(position);
        } else if self.known.len() == NEWCOMERS_KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back(address);
        before.is_none()
    }
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

    /// A client found no server.
    pub(super) fn report_rejection(&mut self) {
        self.reports.rejection = match (self.endpoints.count(), self.endpoints.active_count()) {
            (0, _) => "no_endpoint_known",
            (_, 0) => "no_endpoint_active",
            _ => "no_dial_succeeded",
        };
        self.report(Topic::TurnedAway, None);
    }

    /// A dial of a client failed for reasons of our own.
    pub(super) fn report_local_failure(&mut self, endpoint: EndpointId, error: NetError) {
        self.reports.endpoint = self.endpoints.address(endpoint);
        self.report(Topic::DialFailedLocally, Some(error));
    }

    /// Tells what has waited for long enough.
    pub(super) fn report_due(&mut self) {
        self.reports.timer_armed = false;
        let now = self.now;
        self.tell_waiting(|summary| summary.take_due(now), |gathering| gathering.take_due(now));
        self.arm_report();
    }

    /// Tells all that waits, since the end has come.
    pub(super) fn report_rest(&mut self) {
        self.tell_waiting(Summary::take_rest, Gathering::take_rest);
    }

    fn tell_waiting(
        &mut self,
        count: impl Fn(&mut Summary) -> Option<u64>,
        line: impl Fn(&mut Gathering) -> Option<Line>,
    ) {
        for topic in Topic::ALL {
            if let Some(count) = count(&mut self.reports.summaries[topic as usize]) {
                self.tell(topic, count);
            }
        }
        let Reports { endpoints, newcomers, troubles, .. } = &mut self.reports;
        for gathering in [endpoints, newcomers, troubles] {
            line(gathering).iter().for_each(write_line);
        }
    }

    /// An endpoint has come or gone, or is verified.
    pub(super) fn tell_of_endpoint(
        &mut self,
        kind: &'static str,
        address: SocketAddr,
        line: String,
    ) {
        let line = Line { level: Level::Info, text: line };
        let news = News { kind, what: address.to_string(), line };
        let is_new = kind == "added" && self.reports.meet(address);
        let Reports { endpoints, newcomers, .. } = &mut self.reports;
        let gathering = if is_new { newcomers } else { endpoints };
        gathering.note(news, self.now).iter().for_each(write_line);
        self.arm_report();
    }

    fn arm_report(&mut self) {
        let reports = &self.reports;
        let gatherings = [&reports.endpoints, &reports.newcomers, &reports.troubles];
        let gathered = gatherings.into_iter().filter_map(Gathering::deadline);
        let summed_up = reports.summaries.iter().filter_map(Summary::deadline);
        let deadline = gathered.chain(summed_up).min();
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
            Topic::TurnedAway => {
                let reason = self.reports.rejection;
                warn!("clients rejected reason={reason} count={count} pairs={pairs}");
            }
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
    pub(super) fn tell_change(&mut self, change: &Change, source: &str) {
        let Change { address, kind, .. } = change;
        match kind {
            ChangeKind::BecameActive { down_for } if self.has_to_prove(change.id) => {
                let after = in_milliseconds(*down_for);
                let line = format!("endpoint verified endpoint={address} after={after}");
                self.tell_of_endpoint("verified", *address, line);
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
                let text = format!(
                    "endpoint not verified endpoint={address} reason={reason} retry_in={retry_in}"
                );
                let what = format!("{address}/{reason}");
                self.tell_of_trouble("not_verified", what, Line { level: Level::Warn, text });
            }
        }
    }

    fn has_to_prove(&self, id: EndpointId) -> bool {
        self.endpoints.get(id).is_some_and(|endpoint| endpoint.check() == Check::Tls)
    }

    /// Tells what came of looking for endpoints.
    pub(super) fn tell_finding(&mut self, report: &Report) {
        let (kind, what, level, text) = match report {
            Report::NotResolved { name, reason } => {
                let text = format!("name not resolved name={name} reason={reason}");
                ("not_resolved", format!("{name}/{reason}"), Level::Warn, text)
            }
            Report::Resolved { name } => {
                let text = format!("name resolved again name={name}");
                ("resolved", name.clone(), Level::Info, text)
            }
            Report::Excluded { item, reason } => {
                // On a host with one family of addresses it is the usual case.
                let is_usual = *reason == Exclusion::Unusable(Unusable::NoRoute);
                let level = if is_usual { Level::Info } else { Level::Warn };
                let (fields, what) = match item {
                    Item::Name(name) => (format!("name={name}"), name.clone()),
                    Item::Address(address) => (format!("endpoint={address}"), address.to_string()),
                    Item::AddressOf { address, name } => {
                        (format!("endpoint={address} name={name}"), address.to_string())
                    }
                };
                let mut text = format!("endpoint left out {fields} reason={reason}");
                if let Some(listener) = reason.listener() {
                    text += &format!(" listener={listener}");
                }
                ("left_out", what, level, text)
            }
            Report::Kept { endpoints: count } => {
                let text = "endpoints kept although no name leads to one any more";
                ("kept", "endpoints".to_owned(), Level::Warn, format!("{text} count={count}"))
            }
            Report::FellBack { domain, reason, endpoints: count } => {
                let text = "no endpoint from SRV records, using those of --endpoints unverified";
                let text = format!("{text} domain={domain} reason={reason} count={count}");
                ("fallback", domain.clone(), Level::Warn, text)
            }
            Report::Discovered { domain } => {
                let text = format!("endpoints from SRV records in use domain={domain}");
                ("discovered", domain.clone(), Level::Info, text)
            }
            Report::NameServers { problem: Some(problem), servers } => {
                ("resolv_conf", problem.to_string(), Level::Warn, problem_line(problem, servers))
            }
            Report::NameServers { problem: None, servers } => {
                let (file, servers) = (ResolverFile::Configuration.path(), join(servers));
                let text = format!("name servers known again file={file} servers=[{servers}]");
                ("name_servers", servers, Level::Info, text)
            }
        };
        self.tell_of_trouble(kind, what, Line { level, text });
    }

    fn tell_of_trouble(&mut self, kind: &'static str, what: String, line: Line) {
        let news = News { kind, what, line };
        self.reports.troubles.note(news, self.now).iter().for_each(write_line);
        self.arm_report();
    }
}

/// Tells that there is nothing to reload.
pub(super) fn tell_reload_ignored(count: u64) {
    warn!("signal ignored signal=SIGHUP reason=no_reload count={count}");
}

fn problem_line(problem: &Problem, servers: &[SocketAddr]) -> String {
    let (file, servers) = (ResolverFile::Configuration.path(), join(servers));
    let what = if problem.is_about_servers() {
        "no name server given, asking others"
    } else {
        "file too long, using its beginning"
    };
    format!("{what} file={file} reason={problem} servers=[{servers}]")
}

fn join(servers: &[SocketAddr]) -> String {
    servers.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
}

fn write_line(line: &Line) {
    log!(line.level, "{}", line.text);
}

/// For the log, where more digits only look exact.
pub(super) fn in_milliseconds(duration: Duration) -> String {
    // Durations here are differences of times within a run: far below 2^64 ms.
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    format_duration(Duration::from_millis(milliseconds))
}
