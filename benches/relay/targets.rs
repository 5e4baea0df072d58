//! What the gateway is meant to reach, each with what this run has found.

use super::floor::Floor;
use super::peer::Kind;
use super::results::{Figures, Measured, Results, Spread};

const BULK: [&str; 3] = ["bulk up, 4 flows", "bulk down, 4 flows", "bulk both ways, 4 flows"];
const ECHOES: [&str; 2] = ["echo 128 B, 64 connections", "echo 128 B, 1000 connections"];
const ECHO_ALONE: &str = "echo 128 B, 1 connection";
const ECHO_MOST: &str = "echo 128 B, 5000 connections";
const VISIT: &str = "connect + 64 B + close";

/// Of the splicing floor's cost.
const BULK_MAX: f64 = 0.90;
/// Of the copying floor's cost.
const COST_MAX: f64 = 1.05;
/// Of the best rival's p99.
const P99_MAX: f64 = 1.10;
/// Of the copying floor's p50.
const P50_MAX: f64 = 1.03;
/// Own CPU of an echo on 5000 connections, of that on 64.
const GROWTH_MAX: f64 = 1.3;
const MEMORY_MAX: f64 = 0.5 * 1024.0;
const MEMORY_AT_START_MAX: f64 = 1024.0 * 1024.0;

/// One target, and whether it was met.
pub struct Target {
    pub text: String,
    pub figure: String,
    /// None where this run cannot tell.
    pub is_met: Option<bool>,
}

impl Target {
    fn new(text: String, figure: Option<(String, bool)>) -> Target {
        match figure {
            Some((figure, is_met)) => Target { text, figure, is_met: Some(is_met) },
            None => Target { text, figure: "not measured".to_owned(), is_met: None },
        }
    }
}

/// All of them.
pub fn check(results: &Results) -> Vec<Target> {
    let mut targets = Vec::new();
    for name in BULK {
        targets.push(of_floor(results, name, BULK_MAX, |kind| {
            matches!(kind, Kind::Floor(Floor::Splice(_)))
        }));
        targets.extend(below_rivals(results, name));
    }
    for name in ECHOES {
        targets.push(of_floor(results, name, COST_MAX, is_copying));
        targets.extend(below_rivals(results, name));
        targets.push(p99(results, name));
    }
    targets.push(p50(results));
    targets.push(of_floor(results, VISIT, COST_MAX, is_copying));
    targets.extend(below_rivals(results, VISIT));
    targets.extend(memory(results));
    targets.push(growth(results));
    targets
}

fn is_copying(kind: Kind) -> bool {
    matches!(kind, Kind::Floor(Floor::Copy(_)))
}

fn of_floor(results: &Results, name: &str, most: f64, is_floor: fn(Kind) -> bool) -> Target {
    let ratio = || {
        let (load, floor) = (results.load(name)?, results.position(is_floor)?);
        let ratio = 1.0 / load.ratio(floor, results.ours())?;
        Some((format!("{ratio:.2}"), ratio <= most))
    };
    let way = if is_floor(Kind::Floor(Floor::Copy(0))) { "copying" } else { "splicing" };
    Target::new(format!("{name}: at most {most:.2} of the {way} floor's cost"), ratio())
}

fn below_rivals(results: &Results, name: &str) -> Vec<Target> {
    let of = |rival: usize| {
        let load = results.load(name);
        let ratio =
            load.and_then(|load| load.ratio(rival, results.ours())).map(|ratio| 1.0 / ratio);
        let text = format!("{name}: below {}", results.kinds[rival].name());
        Target::new(text, ratio.map(|ratio| (format!("{ratio:.2} of it"), ratio < 1.0)))
    };
    results.rivals().map(of).collect()
}

fn p99(results: &Results, name: &str) -> Target {
    let ratio = || {
        let load = results.load(name)?;
        let of = |index: usize| load.median(index, |figures| figures.p99);
        let best = results.rivals().filter_map(of).min_by(f64::total_cmp)?;
        let ratio = of(results.ours())? / best;
        Some((format!("{ratio:.2}"), ratio <= P99_MAX))
    };
    Target::new(format!("{name}: p99 at most {P99_MAX:.2} of the best peer's"), ratio())
}

fn p50(results: &Results) -> Target {
    let ratio = || {
        let (load, floor) = (results.load(ECHO_ALONE)?, results.position(is_copying)?);
        let of = |index: usize| load.median(index, |figures| figures.p50);
        let ratio = of(results.ours())? / of(floor)?;
        Some((format!("{ratio:.3}"), ratio <= P50_MAX))
    };
    Target::new(format!("{ECHO_ALONE}: p50 at most {P50_MAX:.2} of the floor's"), ratio())
}

fn memory(results: &Results) -> [Target; 3] {
    let of = |value: fn(&super::results::Memory) -> f64, most: f64| {
        let rounds = &results.memory[results.ours()];
        let memory = Spread::of(rounds.iter().map(value))?.median;
        Some((format!("{:.2} KiB", memory / 1024.0), memory <= most))
    };
    let target = |text: &str, figure| Target::new(format!("memory, {text}"), figure);
    [
        target("fresh connection: at most 0.5 KiB", of(|m| m.fresh, MEMORY_MAX)),
        target("used connection: at most 0.5 KiB", of(|m| m.used, MEMORY_MAX)),
        target("at start: at most 1 MiB", of(|m| m.at_start, MEMORY_AT_START_MAX)),
    ]
}

fn growth(results: &Results) -> Target {
    let own = |load: &Measured| load.median(results.ours(), |figures: &Figures| figures.process);
    let ratio = || {
        let ratio = own(results.load(ECHO_MOST)?)? / own(results.load(ECHOES[0])?)?;
        Some((format!("{ratio:.2}"), ratio <= GROWTH_MAX))
    };
    let text = format!("{ECHO_MOST}: at most {GROWTH_MAX} times the own CPU of that on 64");
    Target::new(text, ratio())
}
