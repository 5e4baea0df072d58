//! The way from sources that ask servers over HTTP to the driver, and back. Pure.

use std::path::PathBuf;
use std::time::Instant;

use super::inquiry::{Ask, Candidate, Heard, Inputs, Line, Target};
use super::members::Record;
use super::source::{Host, Ranked, Server};
use super::{Discovery, Found};
use crate::address::Address;
use crate::config::{ENDPOINTS_MAX, SOURCE_ASKS_MAX, SOURCE_LINES_MAX};
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
        let members = self.candidates(standing);
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

    /// The endpoints in use that may be asked, the best standing first; and then others that
    /// sources list: those in use may be out of date, all of them.
    fn candidates(&self, standing: &dyn Fn(&Address) -> Option<Standing>) -> Vec<Candidate> {
        if !self.sources.iter().any(|ranked| ranked.source.asks_members()) {
            return Vec::new();
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for Found { spec, server, .. } in &self.found {
            let standing = standing(&spec.address);
            candidates.extend(standing.map(|standing| candidate(&spec.address, server, standing)));
        }
        candidates.sort_by_key(|candidate| candidate.standing);
        let hosts = self.sources.iter().flat_map(|ranked| ranked.source.hosts(&self.names));
        for Host { addresses, server, .. } in hosts {
            for address in addresses {
                let mut in_use = self.found.iter().map(Found::server);
                if candidates.len() < ENDPOINTS_MAX
                    && !in_use.any(|used| used == address.to_canonical())
                {
                    candidates.push(candidate(&address, &server, Standing::Failing));
                }
            }
        }
        candidates
    }

    /// Takes the result of an ask. What a source needs by now is looked up from then on.
    pub fn on_heard(&mut self, line: Line, heard: Heard, now: Instant) {
        let Some(ranked) = self.sources.get_mut(usize::from(line.source)) else {
            debug_assert!(false, "a line of no source");
            return;
        };
        if ranked.source.on_heard(line.number, heard, now) {
            self.is_changed = true;
            self.sync_names(now);
        }
        self.invariants();
    }

    /// Has `write` write the files that keep what sources list. Returns the paths of those that it
    /// could not, and why, if that is news.
    pub fn write_records<E>(
        &mut self,
        mut write: impl FnMut(&Record) -> Result<(), E>,
    ) -> Vec<(PathBuf, E)> {
        let mut failed = Vec::new();
        for Ranked { source, .. } in &mut self.sources {
            let Some(record) = source.take_record() else { continue };
            let result = write(&record);
            if source.on_recorded(result.is_ok())
                && let Err(error) = result
            {
                failed.push((record.path, error));
            }
        }
        failed
    }

    /// An endpoint fails, or the roles of members have changed: what sources list may be out of
    /// date.
    pub fn on_doubt(&mut self, now: Instant) {
        self.sources.iter_mut().for_each(|ranked| ranked.source.on_doubt(now));
    }
}

fn candidate(address: &Address, server: &Server, standing: Standing) -> Candidate {
    let scheme = server.scheme.unwrap_or(Scheme::Http);
    let target = Target { address: address.clone(), scheme, host: server.name.clone() };
    Candidate { target, standing }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::address::EndpointAddress;
    use crate::discovery::{Environment, Finding, FollowMembers, Sources, StartingPoints};
    use crate::proto::http1::Response;

    const SECOND: Duration = Duration::from_secs(1);

    /// Two typed endpoints, the second one a URL, and the list of members.
    fn discover() -> (Discovery, Instant) {
        let now = Instant::now();
        let typed: Vec<EndpointAddress> =
            ["10.0.0.1:1", "https://10.0.0.2:2"].map(|text| text.parse().expect(text)).into();
        let (interval, time_limit) = (30 * SECOND, SECOND);
        let starting_points = StartingPoints::default();
        let (file, remembered) = (None, None);
        let follow = FollowMembers { interval, time_limit, file, starting_points, remembered };
        let sources = Sources::new(SECOND, Environment::default());
        (Discovery::new(sources.with(typed).with(Some(follow)), now), now)
    }

    fn found(discovery: &mut Discovery, now: Instant) -> Vec<String> {
        let found = discovery.take_found(&mut |_, _| Ok(()), now).unwrap_or_default();
        found.iter().map(|one| one.spec.address.to_string()).collect()
    }

    /// The lines that are asked over, and the servers that are asked.
    fn asked(discovery: &mut Discovery, now: Instant) -> Vec<String> {
        // The first endpoint fails its checks.
        let asks = discovery.take_asks(
            &|address| match address.to_string().as_str() {
                "10.0.0.1:1" => Some(Standing::Failing),
                _ => Some(Standing::Serving),
            },
            now,
            &mut || 0,
        );
        let shown = asks.into_iter().map(|(line, ask)| match ask {
            Ask::Open { target, .. } => {
                format!(
                    "{} {} {}://{}",
                    line.source,
                    line.number,
                    target.scheme,
                    target.authority()
                )
            }
            Ask::Send { .. } => "send".to_owned(),
            Ask::Close => "close".to_owned(),
        });
        shown.collect()
    }

    fn hear(discovery: &mut Discovery, body: &str, now: Instant) {
        let body =
            body.replace('H', r#""header":{"cluster_id":"1","member_id":"2","raft_term":"3"}"#);
        let heard = Heard::Response(Response { status: 200, body: body.into() });
        discovery.on_heard(Line { source: 2, number: 0 }, heard, now);
    }

    #[test]
    fn members_take_the_place_of_what_was_typed_without_a_word_about_a_fallback() {
        let (mut discovery, now) = discover();
        assert!(discovery.may_change());
        assert_eq!(found(&mut discovery, now), ["10.0.0.1:1", "10.0.0.2:2"]);
        assert_eq!(asked(&mut discovery, now), ["2 0 https://10.0.0.2:2"], "the one that serves");
        assert!(discovery.is_asking(now) && asked(&mut discovery, now).is_empty());
        hear(&mut discovery, r#"{H,"leader":"2"}"#, now);
        assert_eq!(asked(&mut discovery, now), ["send"]);
        let list = r#"{H,"members":[{"ID":"2","name":"a","clientURLs":["http://10.0.0.3:3"]}]}"#;
        hear(&mut discovery, list, now);
        assert_eq!(asked(&mut discovery, now), ["send"]);
        hear(&mut discovery, r#"{H,"leader":"2"}"#, now);
        assert_eq!(found(&mut discovery, now), ["10.0.0.3:3"]);
        assert_eq!(asked(&mut discovery, now), ["close"]);
        let findings = discovery.take_findings();
        assert!(matches!(findings[..], [Finding::MembersFollowed { .. }]), "{findings:?}");
    }

    #[test]
    fn where_the_members_cannot_be_asked_those_of_the_start_are() {
        let (mut discovery, now) = discover();
        found(&mut discovery, now);
        asked(&mut discovery, now);
        hear(&mut discovery, r#"{H,"leader":"2"}"#, now);
        asked(&mut discovery, now);
        let list = r#"{H,"members":[{"ID":"2","name":"a","clientURLs":["http://10.0.0.3:3"]}]}"#;
        hear(&mut discovery, list, now);
        assert_eq!(asked(&mut discovery, now), ["send"]);
        hear(&mut discovery, r#"{H,"leader":"2"}"#, now);
        found(&mut discovery, now);
        asked(&mut discovery, now);
        let now = discovery.next_deadline().expect("the next round");
        discovery.advance(now, &mut || 0);
        let mut all = asked(&mut discovery, now);
        for _ in 0..2 {
            let line = Line { source: 2, number: 0 };
            discovery.on_heard(line, Heard::Failed("refused"), now);
            all.extend(asked(&mut discovery, now));
        }
        let want = ["2 0 http://10.0.0.3:3", "2 0 http://10.0.0.1:1", "2 0 https://10.0.0.2:2"];
        assert_eq!(all, want);
    }
}
