//! What the gateway costs compared with what people would use instead, in one run on loopback.
//!
//! Starts the real binary, a relay without features as the floor, and every peer that is
//! installed; sends the same load through each in turn, round by round, so that a noisy moment
//! meets all of them; and writes a report with the medians. The relay under test has a core to
//! itself; load and backend share another.
//!
//! ```text
//! cargo bench --bench relay                    everything: about 25 minutes
//! cargo bench --bench relay -- --quick         the same in about 3
//! cargo bench --bench relay -- echo nginx      the loads and the relays that contain a word
//! cargo bench --bench relay -- sweep           echoes by size: where splicing begins to pay
//! cargo bench --bench relay -- admin           what pairs lose while the gateway is looked at
//! cargo bench --bench relay -- --smoke         does it still work?
//!
//! --rounds=7 --milliseconds=800                how much is measured of each load
//! --idle-seconds=60                            the mostly idle load, for each relay
//! --floor-buffer=65536 --floor-pipe=262144     how much room the floors have
//! ```
//!
//! The report goes to `bench/` in cargo's target directory: report.md and report.svg, or partial.md
//! and partial.svg where words have left something out. The binary is the one that cargo has built,
//! or the one that `GATEWAY_BINARY` names. Without `--bench`, which cargo passes, it is a test and
//! therefore a smoke run.

mod admin;
mod chart;
mod configuration;
mod connection;
mod cost;
mod floor;
mod latency;
mod load;
mod machine;
mod measure;
mod network;
mod peer;
mod plan;
mod report;
mod results;
mod targets;
mod workload;

use std::fs;
use std::process::ExitCode;

use self::floor::Floor;
use self::measure::Bench;
use self::plan::Plan;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((floor, listen, backend)) = Floor::from_arguments(&arguments) {
        floor.run(listen, backend);
    }
    let plan = match Plan::from_arguments(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(2);
        }
    };
    if plan.is_admin {
        admin::run(&plan);
        return ExitCode::SUCCESS;
    }
    let mut bench = Bench::new(plan);
    let results = bench.run();
    let (report, chart) = (report::markdown(&bench, &results), chart::svg(&results));
    if bench.plan.is_smoke {
        let names: Vec<&str> = bench.peers.iter().map(|peer| peer.kind.name()).collect();
        println!("smoke run: {} loads through {}", results.loads.len(), names.join(", "));
        admin::run(&bench.plan);
        return ExitCode::SUCCESS;
    }
    let folder = machine::target_directory().join("bench");
    // What was measured in part does not take the place of the whole.
    let name = if bench.plan.is_partial() { "partial" } else { "report" };
    let file = folder.join(name);
    for (kind, text) in [("md", &report), ("svg", &chart)] {
        let file = file.with_extension(kind);
        fs::write(file, text).expect("the target directory can be written");
    }
    println!("{report}");
    println!("written to {}", file.with_extension("md").display());
    ExitCode::SUCCESS
}
