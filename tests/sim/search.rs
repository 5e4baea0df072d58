//! Many seeds in search of one that fails.
//!
//! ```text
//!   SEED=7 cargo test --test sim        that seed, not new ones; TRACE=1000 shows more of it
//!   make sim SEEDS=100000               a long search with new seeds; FROM=1 says which
//! ```

use std::hash::{BuildHasher, RandomState};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::Fault;
use crate::oracle::Seen;
use crate::report::Report;
use crate::run::run;

/// Seeds that every search begins with.
const SEEDS_FIXED: u64 = 2000;
/// Seeds beyond them in which something happens that is rare.
const SEEDS_RARE: [u64; 1] = [4072];
/// New seeds of a search that is not asked for more.
const SEEDS_NEW: u64 = 500;
/// A long search tells this often how far it has come.
const NEWS_INTERVAL: Duration = Duration::from_secs(60);

/// Runs `count` seeds from `first` on, on every core there is, and stops at the first that fails.
fn search(first: u64, count: u64) -> Report {
    assert!(count > 0, "a search over no seed at all finds nothing");
    println!("from SEED={first} on");
    let started = Instant::now();
    let (next, news_told) = (AtomicU64::new(0), AtomicU64::new(0));
    let has_failed = AtomicBool::new(false);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut total = Report::none();
        while !has_failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            match catch_unwind(|| run(first.wrapping_add(index))) {
                Ok(report) => total.add(&report),
                Err(_) => {
                    has_failed.store(true, Ordering::Relaxed);
                    println!("failed after {} seeds", index + 1);
                }
            }
            let news = started.elapsed().as_secs() / NEWS_INTERVAL.as_secs();
            if news_told.fetch_max(news, Ordering::Relaxed) < news {
                println!("{} of {count} seeds", index + 1);
            }
        }
        total
    };
    let mut total = Report::none();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            total.add(&worker.join().expect("failures are caught"));
        }
    });
    assert!(!has_failed.load(Ordering::Relaxed), "a seed failed: see above");
    total
}

/// A number from the environment.
pub fn asked_for(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[test]
fn no_fixed_seed_finds_anything() {
    let mut totals = search(0, SEEDS_FIXED);
    SEEDS_RARE.into_iter().for_each(|seed| totals.add(&run(seed)));
    for (fault, count) in Fault::ALL.iter().zip(&totals.struck) {
        assert!(*count > 0, "{fault:?} never struck: the search has become weaker");
    }
    for (seen, count) in Seen::ALL.iter().zip(&totals.seen) {
        assert!(*count > 0, "{seen:?} was never seen: the search has become weaker");
    }
}

#[test]
fn no_new_seed_finds_anything() {
    let started = Instant::now();
    if let Some(seed) = asked_for("SEED") {
        return run(seed).tell(started.elapsed());
    }
    let first = asked_for("FROM").unwrap_or_else(|| RandomState::new().hash_one(0));
    let totals = search(first, asked_for("SEEDS").unwrap_or(SEEDS_NEW));
    totals.tell(started.elapsed());
}

#[test]
fn a_seed_is_always_the_same_run() {
    let reports: Vec<Report> = (0..20).map(run).collect();
    for (seed, report) in reports.iter().enumerate() {
        assert_eq!(run(seed as u64), *report, "seed {seed}");
    }
    let traces: std::collections::BTreeSet<u64> =
        reports.iter().map(|report| report.trace).collect();
    assert_eq!(traces.len(), reports.len(), "different seeds are different runs");
}
