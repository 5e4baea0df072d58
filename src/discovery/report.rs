//! What the log is to be told of discovery: each thing once, and again only after it has changed.
//!
//! Owns what was told. Pure: the reactor writes the lines.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use super::configuration::Configuration;
pub use super::watch::Trouble;
use super::watch::Watch;
use crate::config::special_address::SpecialAddress;
use crate::config::{ABSENCE_MAX, LEFT_OUT_TOLD_MAX};
use crate::proto::dns::Subject;
use crate::proto::dns::resolv_conf::Problem;

/// Something that the log should tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The name is no help at present.
    NotResolved {
        /// As asked for.
        name: String,
        /// Why.
        reason: Trouble,
    },
    /// It is one again.
    ResolvedAgain {
        /// As asked for.
        name: String,
    },
    /// A record or an address is not used.
    LeftOut {
        /// `name=` with host and port of the record, or `endpoint=` with the address.
        what: String,
        /// Why.
        reason: LeftOut,
    },
    /// No name leads to an endpoint any more; those of before stay.
    Kept,
    /// Typed endpoints are used, since SRV records give none.
    FellBack {
        /// The domain of the records.
        domain: String,
        /// Why they give none.
        reason: Fallback,
    },
    /// They give some, which are used in place of those.
    InEffect {
        /// The domain of the records.
        domain: String,
    },
    /// resolv.conf(5) is not usable as it is.
    Configuration {
        /// What is wrong with it.
        problem: Problem,
        /// The servers that are asked.
        servers: Vec<SocketAddr>,
    },
    /// It is usable again.
    ConfiguredAgain {
        /// The servers that are asked.
        servers: Vec<SocketAddr>,
    },
}

/// Why something that was found is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It has port 0, where nobody can be.
    PortZero,
    /// It is listed as one without TLS, so nobody could find out who it is.
    Insecure,
    /// There are more than [`crate::config::ENDPOINTS_MAX`].
    TooMany,
    /// It is an address of ours, where this listener would accept the connection.
    OwnListener(SocketAddr),
    /// No route leads there, while to others one does.
    NoRoute,
    /// No server can be there.
    Special(SpecialAddress),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftOut::PortZero => "port_zero",
            LeftOut::Insecure => "insecure",
            LeftOut::TooMany => "too_many",
            LeftOut::NoRoute => "no_route",
            LeftOut::Special(class) => return class.fmt(f),
            LeftOut::OwnListener(listener) => {
                return write!(f, "\"leads back to our own listener {listener}\"");
            }
        })
    }
}

/// Why SRV records give no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// No name server has answered within the patience of [`super::Sources`].
    NoAnswer,
    /// There are records, but each is left out.
    NoUsableRecord,
    /// There are none, or nobody could say.
    Unresolved(Trouble),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::NoAnswer => f.write_str("no_answer"),
            Fallback::NoUsableRecord => f.write_str("no_usable_record"),
            Fallback::Unresolved(trouble) => trouble.fmt(f),
        }
    }
}

/// Whether an address can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Usable,
    /// A dial would come back to this listener of ours.
    OwnListener(SocketAddr),
    /// No route leads there.
    NoRoute,
    /// No server can be there.
    Special(SpecialAddress),
}

impl Verdict {
    pub(super) fn reason(self) -> Option<LeftOut> {
        match self {
            Verdict::Usable => None,
            Verdict::OwnListener(listener) => Some(LeftOut::OwnListener(listener)),
            Verdict::NoRoute => Some(LeftOut::NoRoute),
            Verdict::Special(class) => Some(LeftOut::Special(class)),
        }
    }
}

/// What was told, and what is still to be.
#[derive(Debug, Default)]
pub(super) struct Reports {
    untold: Vec<Report>,
    /// What is left out, or was not long ago, and when it last was.
    left_out: Vec<((String, LeftOut), Instant)>,
    is_kept: bool,
    /// The domain whose records give way to typed endpoints, as far as the log knows.
    fallback: Option<String>,
    /// What is wrong with resolv.conf(5), as far as the log knows.
    problem: Option<Problem>,
}

impl Reports {
    /// Notes what is news about the names.
    pub(super) fn look_at<'a>(&mut self, watches: impl Iterator<Item = &'a mut Watch>) {
        let watches: Vec<&mut Watch> = watches.collect();
        let is_service = |watch: &&&mut Watch| watch.subject() == Subject::Service;
        let mut services = watches.iter().filter(is_service);
        let has_service = services.clone().any(|watch| !watch.services().is_empty());
        let is_settled = services.all(|watch| watch.is_settled());
        for watch in watches {
            // Of the two sets of records one is enough, so to lack the other is no trouble.
            let is_missing = watch.subject() == Subject::Service && watch.is_absent();
            if is_missing && (has_service || !is_settled) {
                continue;
            }
            let Some(news) = watch.tell_trouble() else { continue };
            let name = watch.wanted().to_string();
            self.untold.push(match news {
                Some(reason) => Report::NotResolved { name, reason },
                None => Report::ResolvedAgain { name },
            });
        }
    }

    /// Notes what is left out now. What comes and goes with every answer is told once.
    pub(super) fn note_left_out(&mut self, left_out: Vec<(String, LeftOut)>, now: Instant) {
        self.left_out.retain(|(_, at)| *at + ABSENCE_MAX > now);
        for item in left_out {
            if let Some(position) = self.left_out.iter().position(|(told, _)| *told == item) {
                self.left_out.remove(position);
            } else {
                let (what, reason) = item.clone();
                self.untold.push(Report::LeftOut { what, reason });
            }
            self.left_out.push((item, now));
        }
        let excess = self.left_out.len().saturating_sub(LEFT_OUT_TOLD_MAX);
        self.left_out.drain(..excess);
    }

    /// Notes whether endpoints are kept that nobody lists.
    pub(super) fn note_kept(&mut self, is_kept: bool) {
        if is_kept && !self.is_kept {
            self.untold.push(Report::Kept);
        }
        self.is_kept = is_kept;
    }

    /// Notes whether typed endpoints are used in place of those that a domain's records list.
    pub(super) fn note_fallback(&mut self, fallback: Option<(String, Fallback)>) {
        match (self.fallback.take(), fallback) {
            (known, Some((domain, reason))) => {
                if known.is_none() {
                    self.untold.push(Report::FellBack { domain: domain.clone(), reason });
                }
                self.fallback = Some(domain);
            }
            (Some(domain), None) => self.untold.push(Report::InEffect { domain }),
            (None, None) => {}
        }
    }

    /// Notes what is wrong with the configuration.
    pub(super) fn note_configuration(&mut self, configuration: &Configuration) {
        let problem = configuration.problem();
        if self.problem.as_ref() == problem {
            return;
        }
        self.problem = problem.cloned();
        let servers = configuration.current().servers.clone();
        self.untold.push(match problem.cloned() {
            Some(problem) => Report::Configuration { problem, servers },
            None => Report::ConfiguredAgain { servers },
        });
    }

    pub(super) fn take(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_again_and_again_is_told_once() {
        let now = Instant::now();
        let mut reports = Reports::default();
        let item = |i: usize| (format!("endpoint=10.0.0.{i}:1"), LeftOut::NoRoute);
        for round in 0..10 {
            reports.note_left_out(vec![item(round % 3)], now);
        }
        assert_eq!(reports.take().len(), 3);
        reports.note_left_out(vec![item(0)], now + ABSENCE_MAX);
        assert_eq!(reports.take().len(), 1, "that was long ago");
        reports.note_left_out((0..2 * LEFT_OUT_TOLD_MAX).map(item).collect(), now);
        assert_eq!(reports.left_out.len(), LEFT_OUT_TOLD_MAX);
    }
}
