//! The very same `Reactor` over simulated sockets and a virtual clock: no descriptor, no thread, no
//! real time, and so the same outcome in every run. Everything is drawn from one seed.
//!
//! ```text
//!   search ──► plan, faults ──► world ──── readiness ───► Reactor
//!                                 ▲                          │
//!            peers, actors, wires ┴── operations ◄── net ◄───┘
//!                                         │
//!                                       oracle
//! ```

mod actor;
mod connection;
mod exchange;
mod faults;
mod handshake;
mod message;
mod name_server;
mod names;
mod net;
mod operations;
mod oracle;
mod peers;
mod pipes;
mod plan;
mod puppets;
mod random;
mod readiness;
mod report;
mod run;
mod scenarios;
mod search;
mod trace;
mod wire;
mod world;
mod zone;

/// A patch that does not fit any more would be missed only by those who replay all of them.
#[test]
fn planted_bugs_still_apply() {
    let patches = std::fs::read_dir("tests/sim/mutants").expect("cargo runs tests at the root");
    let patches: Vec<_> = patches.map(|entry| entry.expect("a readable entry").path()).collect();
    assert!(patches.len() >= 10, "only {} of them", patches.len());
    for patch in patches {
        let mut git = std::process::Command::new("git");
        let output = git.args(["apply", "--check"]).arg(&patch).output().expect("git is needed");
        let told = String::from_utf8_lossy(&output.stderr);
        let name = patch.display();
        let remedy = "plant the bug in the code as it is now, and put the diff there instead";
        assert!(output.status.success(), "{name} does not apply any more: {remedy}\n{told}");
    }
}
