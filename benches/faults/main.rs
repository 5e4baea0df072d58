//! How long clients wait after a fault of the member that they are on: through this gateway,
//! through what is used in its place, and with all endpoints given to the client itself.
//!
//! Real members in network namespaces of their own, real clients, one fault at a time: it breaks a
//! cluster in the ways of `fault.rs` and reads from the lines of the clients when they go on.
//!
//! ```text
//! make faults                                  everything, five rounds: about three hours
//! make faults ARGS=--quick                     one round, etcdctl alone: about 20 minutes
//! make faults ARGS='stopped ours python'       the faults, ways and clients that are named
//!
//! --with=--retry-delay=5s,--keepalive=5s       one more column: this gateway with these flags
//! --rounds=5 --hold=20                         how often; the longest that a fault lasts, seconds
//! --etcd=debian --etcd=3.5                     members of one version alone
//! ```
//!
//! Takes root. The report goes to `faults/report.md` in cargo's target directory. The binary is the
//! one that cargo has built, or the one that `GATEWAY_BINARY` names.

mod client;
mod connections;
mod fault;
mod feeder;
mod outcome;
mod plan;
mod report;
mod round;
mod supervisor;
mod way;

// What the integration tests make networks and members of, and more, which is not needed here.
#[allow(dead_code, unused_imports)]
#[path = "../../tests/it/util/mod.rs"]
mod util;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use self::plan::Plan;
use self::report::Measured;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let is_driver = arguments.first().is_some_and(|first| first == supervisor::INSIDE);
    if is_driver {
        arguments.remove(0);
    }
    let folder = folder();
    let plan = match Plan::from_arguments(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("faults: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(missing) = plan.missing(&folder) {
        eprintln!("faults: {missing}");
        return ExitCode::FAILURE;
    }
    if !is_driver {
        return supervisor::run(&arguments, &folder.join("run"));
    }
    supervisor::enter();
    let measured = measure(plan, &folder);
    fs::write(folder.join("report.md"), &measured).expect("the target directory can be written");
    println!("{measured}");
    println!("written to {}", folder.join("report.md").display());
    ExitCode::SUCCESS
}

/// Measures all that the plan asks for, and returns the report.
fn measure(mut plan: Plan, folder: &Path) -> String {
    plan.ways.retain(|way| {
        let is_installed = way.is_installed();
        if !is_installed {
            eprintln!("faults: goes on without {}, which is not installed", way.name());
        }
        is_installed
    });
    let mut measured = Vec::new();
    for &version in &plan.versions {
        for &fault in &plan.faults {
            let mut rounds = Vec::new();
            for number in 1..=plan.rounds {
                eprintln!("faults: {version:?}, {}, round {number}", fault.word());
                // What could not be made is in the message of the panic; the others go on.
                rounds.extend(catch_unwind(AssertUnwindSafe(|| {
                    round::run(&plan, version, fault, folder)
                })));
            }
            measured.push(Measured { version, fault, rounds });
            // What there is so far, for those who wait.
            let text = report::markdown(&plan, &measured);
            let _ = fs::write(folder.join("partial.md"), text);
        }
    }
    report::markdown(&plan, &measured)
}

/// `faults` in cargo's target directory.
fn folder() -> PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("a directory of cargo's in target").join("faults")
}
