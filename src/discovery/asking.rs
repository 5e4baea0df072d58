//! The way from sources that ask servers over HTTP to the driver, and back. Pure.

use std::time::Instant;

use super::inquiry::{Ask, Candidate, Heard, Inputs, Line, Target};
use super::source::{Ranked, Server};
use super::{Discovery, Found};
use crate::address::Address;
use crate::config::{SOURCE_ASKS_MAX, SOURCE_LINES_MAX};
use crate::scheme::Scheme;
use crate::upstream::Standing;

impl Discovery {
    /// Whether a look-up, or an answer that may bring the first endpoint of a source, is under way
    /// or due: then an endpoint may turn up soon.
    pub fn is_asking(&self, now: Instant) -> bool {
        let mut sources = self.sources.iter();
        self.names.is_asking(now) || sources.any(|ranked| ranked.source.is_asking(now))
    }

    /// What is to be done over lines of sources, in this order. To be called until there is
    /// nothing, after each run. `standing` is that of an endpoint in use; `None` where it
    /// cannot be a member of etcd, or is gone.
    pub fn take_asks(
        &mut self,
        standing: &dyn Fn(&Address) -> Option<Standing>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<(Line, Ask)> {
        let members = candidates(&self.found, standing);
        let inputs = Inputs { names: &self.names, members: &members };
        let mut asks = Vec::new();
        for (position, Ranked { source, .. }) in self.sources.iter_mut().enumerate() {
            let most = asks.len() + SOURCE_ASKS_MAX;
            while let Some((number, ask)) = source.next_ask(&inputs, now, random) {
                debug_assert!(usize::from(number) < SOURCE_LINES_MAX, "a line too many");
                asks.push((Line { source: position as u16, number }, ask));
                if asks.len() == most {
                    debug_assert!(false, "{source:?} asks without end");
                    break;
                }
            }
        }
        asks
    }

    /// Takes the result of an ask.
    pub fn on_heard(&mut self, line: Line, heard: Heard, now: Instant) {
        let Some(ranked) = self.sources.get_mut(usize::from(line.source)) else {
            debug_assert!(false, "a line of no source");
            return;
        };
        self.is_changed |= ranked.source.on_heard(line.number, heard, now);
    }

    /// An endpoint fails, or the roles of members have changed: what sources list may be out of
    /// date.
    pub fn on_doubt(&mut self, now: Instant) {
        self.sources.iter_mut().for_each(|ranked| ranked.source.on_doubt(now));
    }
}

/// The endpoints in use that may be asked, the best standing first.
fn candidates(found: &[Found], standing: &dyn Fn(&Address) -> Option<Standing>) -> Vec<Candidate> {
    let candidates = found.iter().filter_map(|Found { spec, server, .. }| {
        let Server { name, scheme, .. } = server;
        let scheme = scheme.unwrap_or(Scheme::Http);
        let target = Target { address: spec.address.clone(), scheme, host: name.clone() };
        Some(Candidate { standing: standing(&spec.address)?, target })
    });
    let mut candidates: Vec<Candidate> = candidates.collect();
    candidates.sort_by_key(|candidate| candidate.standing);
    candidates
}
