//! Services whose hosts are names, as discovery finds them.

use std::time::{Duration, Instant};

use data_encoding::BASE64;

use super::super::super::inquiry::{Heard, Line};
use super::super::super::{Discovery, Environment, Finding, Sources};
use super::super::RegistrySettings;
use super::super::follower::{RANGES, WATCH};
use crate::config::registry::Registry;
use crate::config::{ENDPOINTS_MAX, SRV_HANDOVER};
use crate::proto::dns::hosts;
use crate::proto::http1::Response;

const HEADER: &str = r#""cluster_id":"1","member_id":"2","raft_term":"3""#;

/// Discovery by a registry alone, whose watch runs.
struct Scene {
    discovery: Discovery,
    now: Instant,
    revision: u64,
}

impl Scene {
    /// With these values under the keys `svc/000`, `svc/001` and so on.
    fn new(values: &[&str]) -> Scene {
        let now = Instant::now();
        let members = vec!["10.9.0.0:1".parse().expect("an address")];
        let registry = Registry { prefix: "svc/".to_owned(), members, user: None };
        let settings = RegistrySettings { registry, credentials: None };
        let sources = Sources::new(Duration::ZERO, Environment::default());
        let discovery = Discovery::new(sources.with(Some(settings)), now);
        let mut scene = Scene { discovery, now, revision: 5 };
        scene.discovery.advance(now, &mut || 0);
        scene.carry_out();
        let keys = values.iter().enumerate().map(|(at, value)| kv(at, Some(value), 5));
        let kvs = keys.collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"header":{{{HEADER},"revision":"5"}},"kvs":[{kvs}]}}"#);
        scene.hear(RANGES, Heard::Response(Response { status: 200, body: body.into() }));
        scene.carry_out();
        scene.hear(WATCH, Heard::Head(200));
        scene.say(r#""created":true"#);
        scene
    }

    fn carry_out(&mut self) {
        self.discovery.take_asks(&|_| None, self.now, &mut || 0);
    }

    fn hear(&mut self, number: u8, heard: Heard) {
        self.discovery.on_heard(Line { source: 0, number }, heard, self.now);
    }

    fn say(&mut self, rest: &str) {
        let header = format!(r#"{{{HEADER},"revision":"{}"}}"#, self.revision);
        let text = format!("{{\"result\":{{\"header\":{header},{rest}}}}}\n");
        self.hear(WATCH, Heard::Part(text.into()));
    }

    /// Changes the value of a key; `None` deletes it.
    fn change(&mut self, key: usize, value: Option<&str>) {
        self.revision += 1;
        let kind = if value.is_some() { "PUT" } else { "DELETE" };
        let kv = kv(key, value, self.revision);
        self.say(&format!(r#""events":[{{"type":"{kind}","kv":{kv}}}]"#));
    }

    /// Looks the names up that are due: by this table of hosts, or else by a server.
    fn look_up(&mut self, table: &str) {
        let names: Vec<String> = self.discovery.names().host_names(None).collect();
        let table = hosts::addresses(table.as_bytes(), names.iter().map(String::as_str));
        self.discovery.refresh(Some(&table), self.now);
        self.discovery.advance(self.now, &mut || 0);
    }

    /// How often the log is to say that the last known endpoints are kept.
    fn kept(&mut self) -> usize {
        let findings = self.discovery.take_findings();
        findings.iter().filter(|finding| matches!(finding, Finding::Kept { .. })).count()
    }

    fn found(&mut self) -> Vec<String> {
        let found = self.discovery.take_found(&mut |_, _| Ok(()), self.now).unwrap_or_default();
        found.iter().map(|one| one.spec.address.to_string()).collect()
    }
}

/// A key in JSON.
fn kv(key: usize, value: Option<&str>, revision: u64) -> String {
    let key = BASE64.encode(format!("svc/{key:03}").as_bytes());
    let value = value.map(|value| BASE64.encode(value.as_bytes()));
    let value = value.map_or(String::new(), |value| format!(r#","value":"{value}""#));
    format!(r#"{{"key":"{key}","mod_revision":"{revision}"{value}}}"#)
}

#[test]
fn a_name_that_comes_by_a_watch_is_looked_up_until_it_goes() {
    let mut scene = Scene::new(&["10.0.0.1:1"]);
    assert_eq!(scene.found(), ["10.0.0.1:1"]);
    scene.change(1, Some("a.test:2"));
    scene.look_up("10.0.0.2 a.test");
    assert_eq!(scene.found(), ["10.0.0.1:1", "10.0.0.2:2"]);
    scene.change(1, None);
    scene.look_up("10.0.0.2 a.test");
    assert!(scene.discovery.names().is_empty());
    assert_eq!(scene.found(), ["10.0.0.1:1"]);
}

/// The only endpoint stays while the name in its place is looked up, which is not worth a line
/// unless it takes long.
#[test]
fn a_service_that_moves_to_a_name_is_not_missed_meanwhile() {
    for is_local in [true, false] {
        let mut scene = Scene::new(&["10.0.0.1:1"]);
        assert_eq!(scene.found(), ["10.0.0.1:1"]);
        scene.change(0, Some("a.test:2"));
        assert_eq!(scene.found(), ["10.0.0.1:1"]);
        assert_eq!(scene.kept(), 0, "it is looked up");
        scene.look_up(if is_local { "10.0.0.2 a.test" } else { "" });
        if is_local {
            assert_eq!((scene.found(), scene.kept()), (vec!["10.0.0.2:2".to_owned()], 0));
            continue;
        }
        // No server answers, and a change of the weight alone does not put the end off.
        scene.now += SRV_HANDOVER / 2;
        scene.change(0, Some(r#"{"Addr":"a.test:2","Weight":7}"#));
        assert_eq!((scene.found(), scene.kept()), (vec!["10.0.0.1:1".to_owned()], 0));
        scene.now += SRV_HANDOVER / 2;
        scene.discovery.advance(scene.now, &mut || 0);
        assert_eq!((scene.found(), scene.kept()), (vec!["10.0.0.1:1".to_owned()], 1));
        // The next one in its place is not news again.
        scene.change(0, Some("b.test:2"));
        assert_eq!((scene.found(), scene.kept()), (vec!["10.0.0.1:1".to_owned()], 0));
        scene.now += SRV_HANDOVER;
        scene.discovery.advance(scene.now, &mut || 0);
        assert_eq!((scene.found(), scene.kept()), (vec!["10.0.0.1:1".to_owned()], 0));
        // Without any key nothing stays.
        scene.change(0, None);
        assert_eq!(scene.found(), Vec::<String>::new());
    }
}

#[test]
fn names_are_looked_up_in_the_order_in_which_hosts_are_used() {
    let others = (1..ENDPOINTS_MAX + 9).map(|at| format!("a{at}.test:1"));
    let values: Vec<String> = ["z.test:1".to_owned()].into_iter().chain(others).collect();
    let mut scene = Scene::new(&values.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(scene.discovery.names().host_names(None).count(), ENDPOINTS_MAX);
    scene.look_up("10.0.0.1 z.test");
    assert_eq!(scene.found(), ["10.0.0.1:1"], "the first key has the last name");
}
