//! The very same `Reactor` over simulated sockets and a virtual clock: no descriptor, no thread, no
//! real time, and so the same outcome in every run. Everything is drawn from one seed.
//!
//! ```text
//!             operations                asked, and informed of the outcome
//!   Reactor ───► net ───► simulation ─────────────────────────────────────► oracle
//!      ▲                      │ carried out                                    │ looks at
//!      │                      ▼                                                ▼
//!      └── readiness ─── world: agenda, context (clock, chance, faults, plan, trace), parts
//!                        │ network: connections, wires     │ exchanges: to name servers
//!                        │ listeners, pipes, signals       │ name servers: zone, messages
//!                        │ hosts: states of endpoints      │ files: resolv.conf, /etc/hosts
//!                        │ members: of etcd, by state      │ visits: connections of checks
//!                        │ cluster, keys: of an etcd that  │ lines: connections to its members
//!                        │   names the endpoints           │ inquiry: what is said over them
//!                        │ guests: clients of the admin side, and its listeners
//! ```
//!
//! Each part owns its fields and takes the context as an argument; no part knows another one. What
//! concerns two of them is done by the world (`crossings.rs`). The oracle changes nothing but its
//! books. A run is planned in `plan.rs`, lived in `run.rs`, and repeated over many seeds in
//! `search.rs`; in `scenarios/` a test plays the peers (`puppets.rs`).

mod actor;
mod agenda;
mod cluster;
mod connection;
mod context;
mod crossings;
mod exchange;
mod faults;
mod followed;
mod following;
mod guests;
mod habits;
mod handshake;
mod hosting;
mod hosts;
mod inquiry;
mod keys;
mod line;
mod lines;
mod listeners;
mod members;
mod message;
mod name_server;
mod names;
mod net;
mod network;
mod operations;
mod oracle;
mod pipes;
mod plan;
mod puppets;
mod random;
mod report;
mod reports;
mod resolver_files;
mod run;
mod scenarios;
mod search;
mod signals;
mod simulation;
mod trace;
mod trouble;
mod visiting;
mod visits;
mod wire;
mod world;
mod zone;

/// A patch that no longer fits would be missed only where all of them are replayed.
#[test]
fn planted_bugs_still_apply() {
    let patches = std::fs::read_dir("tests/sim/mutants").expect("cargo runs tests at the root");
    let patches: Vec<_> = patches.map(|entry| entry.expect("a readable entry").path()).collect();
    assert!(patches.len() >= 10, "only {} of them", patches.len());
    let read = |path: &str| std::fs::read_to_string(path);
    let remedy = "plant the bug in the code as it is now, and put the diff there instead";
    for path in patches {
        let patch = std::fs::read_to_string(&path).expect("a patch is text");
        let misfits = misfits(&patch, read);
        assert!(
            misfits.is_empty(),
            "{} no longer applies: {remedy}\n{}",
            path.display(),
            misfits.join("\n")
        );
    }
}

/// The hunks of a patch whose old lines are nowhere in their file, and that of a patch without any.
/// What git(1) would say, but neither git nor a checkout need be there.
fn misfits(patch: &str, read: impl Fn(&str) -> std::io::Result<String>) -> Vec<String> {
    let (mut misfits, mut hunks, mut text) = (Vec::new(), 0, String::new());
    let mut lines = patch.lines();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            text = read(path).unwrap_or_else(|error| format!("{path}: {error}"));
        }
        let Some(old_count) = old_lines_of_hunk(line) else { continue };
        hunks += 1;
        // Lines that are added come between the old ones, and perhaps behind them: not needed here.
        let is_old = |line: &&str| !line.starts_with('+') && !line.starts_with('\\');
        let old: Vec<&str> = lines.by_ref().filter(is_old).take(old_count).collect();
        let block: String =
            old.iter().map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect();
        if old.len() < old_count || !format!("\n{text}").contains(&format!("\n{block}")) {
            misfits.push(line.to_owned());
        }
    }
    if hunks == 0 {
        misfits.push("no hunk in it".to_owned());
    }
    misfits
}

/// How many lines of the old file are in a hunk, from a line such as `@@ -1,4 +1,5 @@`.
fn old_lines_of_hunk(line: &str) -> Option<usize> {
    let (range, _) = line.strip_prefix("@@ -")?.split_once(' ')?;
    range.split_once(',').map_or(Some(1), |(_, count)| count.parse().ok())
}

#[test]
fn a_patch_that_does_not_fit_is_found() {
    let text = "one\ntwo\nthree\nfour\n";
    let misfits_of = |hunk: &str| {
        let patch = format!("--- a/file\n+++ b/file\n{hunk}");
        misfits(&patch, |path| {
            assert_eq!(path, "file");
            Ok(text.to_owned())
        })
    };
    for good in [
        "@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n",
        "@@ -9,2 +9,2 @@ moved\n-two\n+zwei\n three\n",
        "@@ -4 +4,2 @@\n four\n+five\n",
    ] {
        assert_eq!(misfits_of(good), [""; 0], "{good}");
    }
    for bad in [
        "",
        "@@ -1,3 +1,3 @@\n one\n-zwei\n+two\n three\n",
        "@@ -1,2 +1,2 @@\n ne\n-two\n+zwei\n",
        "@@ -1,3 +1,2 @@\n one\n-two\n",
        "@@ -1,2 +1,2 @@\n one\n-two\n+zwei\n@@ -3,2 +3,2 @@\n three\n-five\n+four\n",
    ] {
        assert_eq!(misfits_of(bad).len(), 1, "{bad}");
    }
}
