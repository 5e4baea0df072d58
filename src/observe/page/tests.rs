//! Whole pages: hostile names, size, well-formed HTML, pieces, what comes and goes between them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::address::Address;
use crate::config::{HISTORY_SAMPLES, PAGE_CHANGES_MAX, STATE_CHANGES_KEPT};
use crate::discovery::Lookups;
use crate::observe::facts::{
    EndpointCounts, EndpointFacts, EndpointState, NameFacts, Resources, RunState, StateChange,
};
use crate::observe::history::{History, Sample};
use crate::observe::metrics::{Metrics, Rejection};
use crate::observe::render::StatusRendering;
use crate::observe::timings::Timings;
use crate::upstream::Tally;

/// A page for three endpoints is smaller than that, bytes.
const PAGE_BYTES_MAX: usize = 32 * 1024;
/// The longest row.
const ROW_BYTES_MAX: usize = 8 * 1024;
const START: Duration = Duration::from_millis(1_795_899_600_123);
/// Ends a text, an attribute, a tag and a comment, and would run as a script.
const HOSTILE: &str = "</bdi>\"'><script>alert(1)</script><!--&lt;\0";

/// Facts that are owned.
struct World {
    endpoints: BTreeMap<usize, (Address, EndpointState, String)>,
    names: Vec<String>,
    changes: Vec<StateChange>,
    tally: Tally,
    history: History,
}

fn address(place: usize) -> Address {
    Address::from((Ipv4Addr::new(10, 0, (place / 256) as u8, place as u8), 2379))
}

fn world(endpoints: usize, name: &str) -> World {
    let states = [EndpointState::Up, EndpointState::Down, EndpointState::Failing];
    let mut history = History::default();
    for second in 0..HISTORY_SAMPLES as u64 {
        let connections = (second * second % 97) as u32;
        history.push(Sample { connections, bytes: second * second % 9973 * 1024 });
    }
    let mut tally = Tally::default();
    tally.dials.begun = 1234;
    tally.checks.begun = 5678;
    let change = StateChange {
        at: START,
        endpoint: address(1),
        name: name.to_owned(),
        from: Some(EndpointState::Up),
        to: Some(EndpointState::Down),
        reason: "refused".to_owned(),
    };
    World {
        endpoints: (0..endpoints)
            .map(|place| (place, (address(place), states[place % states.len()], name.to_owned())))
            .collect(),
        names: vec![name.to_owned(); 2],
        changes: vec![change; STATE_CHANGES_KEPT],
        tally,
        history,
    }
}

impl Facts for World {
    fn endpoint(&self, place: usize) -> Option<(usize, EndpointFacts<'_>)> {
        let (place, (address, state, name)) = self.endpoints.range(place..).next()?;
        let facts = EndpointFacts {
            address,
            name,
            source: "srv",
            state: *state,
            state_for: Duration::from_secs(754),
            last_error: Some(("refused", Duration::from_secs(753))),
            priority: 10,
            weight: 100,
            is_preferred: *place == 0,
            connections: 1234,
            tally: &self.tally,
            bytes: [123_456_789, 9_876_543_210],
            state_changes: 3,
            history: &self.history,
        };
        Some((*place, facts))
    }

    fn name(&self, place: usize) -> Option<(usize, NameFacts<'_>)> {
        let name = self.names.get(place)?;
        let age = (place == 0).then_some(Duration::from_secs(3));
        Some((place, NameFacts { name, age, next_in: age, error: None }))
    }

    fn change(&self, index: usize) -> Option<&StateChange> {
        self.changes.get(index)
    }
}

fn snapshot(endpoints: EndpointCounts) -> Snapshot {
    let mut metrics = Metrics::default();
    let listener = metrics.listener_opened(Address::from((Ipv4Addr::LOCALHOST, 23790)));
    metrics.client_accepted(listener);
    Snapshot {
        version: "0.1.0",
        features: &["tls"],
        started_at: START,
        now: START + Duration::from_secs(100_000),
        uptime: Duration::from_secs(100_000),
        state: RunState::Running,
        usage: Default::default(),
        metrics,
        timings: Timings::default(),
        lookups: Lookups::default(),
        resources: Resources { connections_max: 1000, pipes_max: 64, ..Resources::default() },
        endpoints,
        log_lines_dropped: 0,
        access_lines_dropped: None,
    }
}

fn counts() -> EndpointCounts {
    EndpointCounts { known: 3, active: 2, up: 1 }
}

fn page(world: &World) -> String {
    let (mut rendering, mut out) = (PageRendering::new(), Vec::new());
    let snapshot = snapshot(counts());
    while !rendering.next(&snapshot, world, &mut out) {}
    String::from_utf8(out).expect("HTML in UTF-8")
}

/// Fails unless each tag that is opened is closed, in order, and nothing that has an attribute
/// twice or without quotes is there. The page has neither comments nor elements that end unclosed.
fn check_well_formed(page: &str) {
    const VOID: [&str; 4] = ["meta", "link", "input", "br"];
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a document type");
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>') || open.last() == Some(&"script"), "{text}");
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {open:?}");
            continue;
        }
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        check_attributes(attributes);
        if let "style" | "script" = name {
            // Its text is not HTML up to its end tag.
            rest = &rest[rest.find(&format!("</{name}>")).expect("an end tag")..];
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    assert_eq!(rest.trim(), "");
}

fn check_attributes(attributes: &str) {
    let mut names = Vec::new();
    let mut rest = attributes.trim().trim_end_matches('/');
    while !rest.is_empty() {
        let end = rest.find(['=', ' ', '\n']).unwrap_or(rest.len());
        let name = &rest[..end];
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
        assert!(!names.contains(&name), "twice: {attributes}");
        names.push(name);
        rest = &rest[end..];
        if let Some(value) = rest.strip_prefix("=\"") {
            rest = value.split_once('"').expect("a value ends").1;
        }
        rest = rest.trim_start();
    }
}

#[test]
fn a_page_is_well_formed_and_small() {
    for endpoints in [0, 1, 3, 256] {
        check_well_formed(&page(&world(endpoints, "etcd1.example:2379")));
    }
    let world = world(3, "etcd-main-1.production.example:2379");
    assert_eq!(world.changes.len(), STATE_CHANGES_KEPT);
    let bytes = page(&world).len();
    assert!(bytes < PAGE_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn hostile_names_are_text() {
    let plain = page(&world(3, "x"));
    let hostile = page(&world(3, HOSTILE));
    check_well_formed(&hostile);
    for tag in ["<script>", "</bdi>", "<!--"] {
        assert_eq!(hostile.matches(tag).count(), plain.matches(tag).count(), "{tag}");
    }
    assert!(!hostile.contains('\0'));
    assert!(hostile.contains("&lt;/bdi&gt;&quot;&#39;&gt;&lt;script&gt;alert(1)"));
}

#[test]
fn a_page_says_what_is_there() {
    let page = page(&world(3, "etcd1.example:2379"));
    for text in [
        "<title>1/3 up - etcd-gateway</title>",
        "class=\"mark warn\">Running, ready</p>",
        "As of <span id=\"time\">2026-11-30 00:46:40</span> UTC",
        "<b><span class=\"connections.open\">1</span></b> of \
         <span class=\"limits.connections.max\">1,000</span>",
        "<bdi>10.0.0.1:2379</bdi>",
        "<b class=\"mark bad\">down</b> <span class=\"quiet\">for 12 min 34 s</span>",
        "<span class=\"sub\">refused, 12 min 33 s ago</span>",
        "<span class=\"quiet\">srv, preferred</span>",
        "<td>up to down</td>",
    ] {
        assert!(page.contains(text), "no {text} in {page}");
    }
    let (_, after_style) = page.split_once("</style>").expect("a style");
    let (markup, _) = after_style.split_once("<script>").expect("a script");
    assert!(!markup.contains(['{', '}']), "a field is left: {markup}");
}

#[test]
fn states_are_said_in_words() {
    for (state, up, tone, text) in [
        (RunState::Running, 3, "good", "Running, ready"),
        (RunState::Running, 1, "warn", "Running, ready"),
        (RunState::Running, 0, "bad", "Running, not ready: no endpoint passes its check"),
        (RunState::Draining, 3, "warn", "Draining"),
    ] {
        let counts = EndpointCounts { known: 3, active: 3, up };
        let snapshot = Snapshot { state, ..snapshot(counts) };
        let (mut rendering, mut page) = (PageRendering::new(), Vec::new());
        while !rendering.next(&snapshot, &world(0, ""), &mut page) {}
        let page = String::from_utf8(page).expect("HTML in UTF-8");
        assert!(page.contains(&format!("class=\"mark {tone}\">{text}</p>")), "{text}");
    }
}

#[test]
fn pieces_are_bounded_and_make_the_same_page() {
    let longest = "\"".repeat(253);
    for world in [world(256, &longest), world(3, "x"), world(0, "x")] {
        let (mut rendering, mut whole, mut pieces) = (PageRendering::new(), Vec::new(), 0);
        let snapshot = snapshot(counts());
        let mut is_last = false;
        while !is_last {
            let mut piece = Vec::new();
            is_last = rendering.next(&snapshot, &world, &mut piece);
            assert!(piece.len() < ADMIN_PIECE_BYTES + ROW_BYTES_MAX, "{}", piece.len());
            assert!(is_last || piece.len() >= ADMIN_PIECE_BYTES, "{}", piece.len());
            whole.extend_from_slice(&piece);
            pieces += 1;
        }
        assert_eq!(String::from_utf8_lossy(&whole), page(&world));
        assert!(pieces >= 2, "{pieces}");
    }
}

#[test]
fn endpoints_may_vanish_between_pieces() {
    for kept in 0..8 {
        let (mut rendering, mut out) = (PageRendering::new(), Vec::new());
        let mut world = world(64, "x");
        let snapshot = snapshot(counts());
        (0..kept).for_each(|_| {
            rendering.next(&snapshot, &world, &mut out);
        });
        world.endpoints.clear();
        world.names.clear();
        world.changes.clear();
        while !rendering.next(&snapshot, &world, &mut out) {}
        check_well_formed(&String::from_utf8(out).expect("HTML in UTF-8"));
    }
}

#[test]
fn a_page_has_the_latest_changes_and_says_how_many_more_there_are() {
    let mut world = world(3, "x");
    for (count, more) in [
        (STATE_CHANGES_KEPT, "52 earlier: in status"),
        (PAGE_CHANGES_MAX + 1, "1 earlier: in status"),
        (PAGE_CHANGES_MAX, ""),
        (0, ""),
    ] {
        world.changes.truncate(count);
        let page = page(&world);
        let rows = page.matches("<td>up to down</td>").count();
        assert_eq!(rows, count.min(PAGE_CHANGES_MAX));
        assert!(page.contains(&format!("<p id=\"more\" class=\"quiet\">{more}</p>")), "{more}");
    }
}

/// The script clones them.
#[test]
fn a_page_has_the_shape_of_each_row() {
    let page = page(&world(0, "x"));
    for name in ["endpoint", "change", "name", "listener"] {
        assert!(page.contains(&format!("<template id=\"{name}-row\"><tr")), "{name}");
    }
}

#[test]
fn each_rejection_has_a_place() {
    for reason in Rejection::ALL {
        assert!(PAGE.contains(&format!("{{connections.rejected_by.{reason}}}")), "{reason}");
    }
}

/// The script finds the place of a count by its path in /status.
#[test]
fn counts_are_those_of_the_status() {
    let (world, mut snapshot) = (world(3, "x"), snapshot(counts()));
    snapshot.resources.pipes = 7;
    snapshot.resources.buffers = 8;
    snapshot.usage.descriptors_open = 9;
    snapshot.usage.descriptors_max = 1_048_576;
    snapshot.log_lines_dropped = 10;
    snapshot.access_lines_dropped = Some(11);
    snapshot.metrics.rejections.add(Rejection::ALL[0]);
    let (mut rendering, mut page) = (PageRendering::new(), Vec::new());
    while !rendering.next(&snapshot, &world, &mut page) {}
    let page = String::from_utf8(page).expect("HTML in UTF-8");
    let (mut rendering, mut status) = (StatusRendering::new(0), Vec::new());
    while !rendering.next(&snapshot, &world, &mut status) {}
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    let mut found = 0;
    for element in page.split("<span class=\"").skip(1) {
        let (path, rest) = element.split_once("\">").expect("a tag ends");
        let (text, _) = rest.split_once('<').expect("a text ends");
        if !path.contains('.') && !path.ends_with("_dropped") {
            continue;
        }
        let value = status.pointer(&format!("/{}", path.replace('.', "/")));
        let value = value.unwrap_or_else(|| panic!("the status has no {path}"));
        assert_eq!(value.to_string(), text.replace(',', ""), "{path}");
        found += 1;
    }
    assert_eq!(found, 22);
}

/// What the script looks for and the page has not would end it.
#[test]
fn the_script_finds_all_that_it_looks_for() {
    let page = page(&world(1, "x"));
    let words: Vec<&str> = page.split(['"', ' ', '\n']).collect();
    for call in ["put('", "$('"] {
        for (index, _) in SCRIPT.match_indices(call) {
            let name = SCRIPT[index + call.len()..].split('\'').next().expect("a text");
            assert!(words.contains(&name), "{call}{name}");
        }
    }
}
