//! The report in Markdown: what was compared, how, and what came out. Ratios count, for they hold
//! on other machines as well; absolute figures are given with them.

use std::fmt::Write;

use super::machine;
use super::measure::Bench;
use super::peer::{Kind, Peer};
use super::results::{Figures, Measured, Memory, Results, Spread};
use super::targets::{self, Target};
use super::workload::Group;

/// The whole text; the chart next to it is shown in it.
pub fn markdown(bench: &Bench, results: &Results) -> String {
    let mut text = String::new();
    head(&mut text, bench, results);
    summary(&mut text, results);
    details(&mut text, results);
    growth(&mut text, results);
    memory(&mut text, results);
    start(&mut text, bench, results);
    sweep(&mut text, results);
    check(&mut text, bench, results);
    configurations(&mut text, bench);
    text
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($argument:tt)*) => { let _ = writeln!($text, $($argument)*); };
}

fn head(text: &mut String, bench: &Bench, results: &Results) {
    line!(text, "# What relaying costs\n");
    line!(text, "Written by `make bench` on {}.\n", machine::said_by("date", &["-u", "+%F"]));
    for fact in machine::description() {
        line!(text, "- {fact}");
    }
    for peer in bench.peers.iter().filter(|peer| peer.kind != Kind::Direct) {
        line!(text, "- {}: {}", peer.kind.name(), peer.version);
    }
    let plan = &bench.plan;
    line!(
        text,
        "\nThe relay has core {} to itself, which others kept {:.0} % busy before the run; \
         clients and backend share core {}. Medians of {} rounds of {} ms in which all relays take \
         turns, {} rounds where connections are many; in brackets the lowest and the highest \
         round. The mostly idle load takes {} s for each relay, and each of its clients that are \
         busy lets another be busy after 100 echoes.\n",
        bench.relay_core,
        100.0 * results.busy_before,
        bench.load_core,
        plan.rounds,
        plan.window.as_millis(),
        plan.long_rounds,
        plan.idle_time.as_secs(),
    );
    line!(
        text,
        "*CPU, core* is the time in which the relay's core was not idle, the kernel's work on its \
         behalf included; *CPU, own* is what its processes were charged with. *Busy* is how much \
         of the core was in use: where it is low, load and backend set the pace. Times are those \
         of the client, from question to answer, every connection asking as soon as it has its \
         answer."
    );
    if !bench.notes.is_empty() {
        line!(text, "");
    }
    for note in &bench.notes {
        line!(text, "- **{note}**");
    }
}

/// One line a load, one column a relay.
fn summary(text: &mut String, results: &Results) {
    let is_main = |load: &&Measured| matches!(load.workload.group, Group::Main | Group::Idle);
    let loads: Vec<&Measured> = results.loads.iter().filter(is_main).collect();
    if loads.is_empty() {
        return;
    }
    line!(text, "\n## CPU of the whole core, as a ratio to ours\n");
    line!(text, "Above 1 is dearer than this gateway, below 1 cheaper.\n");
    line!(text, "![The same as a chart](report.svg)\n");
    let relays = compared(results);
    header(text, "load", relays.iter().map(|&index| results.kinds[index].name()));
    let ours = results.ours();
    for load in loads {
        let cell = |&index: &usize| match (index == ours, load.ratio(index, ours)) {
            (_, None) => "–".to_owned(),
            (false, Some(ratio)) => format!("{ratio:.2}"),
            (true, Some(_)) => {
                let core = load.median(ours, |figures| figures.core);
                format!("1 ({})", core.map_or(String::new(), |core| cost(load, core)))
            }
        };
        row(text, &load.workload.name, relays.iter().map(cell));
    }
}

/// One line for each load and relay.
fn details(text: &mut String, results: &Results) {
    let is_detailed = |load: &&Measured| load.workload.group != Group::Sweep;
    let loads: Vec<&Measured> = results.loads.iter().filter(is_detailed).collect();
    if loads.is_empty() {
        return;
    }
    line!(text, "\n## Every figure\n");
    let columns = ["rate", "p50", "p99", "CPU, core", "to ours", "CPU, own", "busy"];
    header(text, "load | relay", columns);
    let ours = results.ours();
    for load in loads {
        for (index, kind) in results.kinds.iter().enumerate() {
            let Some(figures) = Line::of(load, index) else { continue };
            let is_direct = *kind == Kind::Direct;
            let or_nothing = |cell: String| if is_direct { "–".to_owned() } else { cell };
            let ratio =
                load.ratio(index, ours).map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let cells = [
                figures.rate,
                figures.p50,
                figures.p99,
                or_nothing(figures.core),
                or_nothing(ratio),
                or_nothing(figures.own),
                or_nothing(figures.busy),
            ];
            row(text, &format!("{} | {}", load.workload.name, kind.name()), cells);
        }
    }
}

/// The cells of one relay under one load.
struct Line {
    rate: String,
    p50: String,
    p99: String,
    core: String,
    own: String,
    busy: String,
}

impl Line {
    fn of(load: &Measured, index: usize) -> Option<Line> {
        let spread = |of: fn(&Figures) -> f64| load.spread(index, of);
        let time = |of: fn(&Figures) -> f64| match load.workload.is_bulk() {
            true => Some("–".to_owned()),
            false => Some(format!("{:.1} µs", 1e6 * spread(of)?.median)),
        };
        let rate = spread(|figures| figures.rate)?;
        let rate = match load.workload.is_bulk() {
            true => format!("{:.2} GB/s", rate.median),
            false => format!("{:.0} /s", rate.median),
        };
        let cost = |spread: Spread| {
            let [low, high] = [spread.low, spread.high].map(|value| number(load, value));
            format!("{} ({low}–{high})", cost(load, spread.median))
        };
        Some(Line {
            rate,
            p50: time(|figures| figures.p50)?,
            p99: time(|figures| figures.p99)?,
            core: cost(spread(|figures| figures.core)?),
            own: cost(spread(|figures| figures.process)?),
            busy: format!("{:.0} %", 100.0 * spread(|figures| figures.busy)?.median),
        })
    }
}

fn growth(text: &mut String, results: &Results) {
    let is_echo = |load: &&Measured| load.workload.is_plain_echo();
    let mut loads: Vec<&Measured> = results.loads.iter().filter(is_echo).collect();
    loads.sort_by_key(|load| load.workload.clients);
    if !loads.iter().any(|load| load.workload.group == Group::Growth) {
        return;
    }
    line!(text, "\n## How the cost of an echo grows with the connections\n");
    line!(
        text,
        "All connections echo 128 B all the time: own CPU for each echo, core in brackets.\n"
    );
    let relays: Vec<usize> = compared(results);
    header(text, "connections", relays.iter().map(|&index| results.kinds[index].name()));
    for load in loads {
        let cell = |&index: &usize| {
            let of = |of: fn(&Figures) -> f64| load.median(index, of).map(|value| 1e6 * value);
            match (of(|figures| figures.process), of(|figures| figures.core)) {
                (Some(own), Some(core)) => format!("{own:.1} ({core:.1}) µs"),
                _ => "–".to_owned(),
            }
        };
        row(text, &load.workload.clients.to_string(), relays.iter().map(cell));
    }
}

fn memory(text: &mut String, results: &Results) {
    if results.memory.iter().all(Vec::is_empty) {
        return;
    }
    line!(text, "\n## Memory\n");
    line!(
        text,
        "Pss of all processes: at start, and what each idle connection adds, fresh and after \
         64 KiB went through it both ways.\n"
    );
    header(text, "relay", ["at start", "fresh connection", "used connection"]);
    for (kind, rounds) in results.kinds.iter().zip(&results.memory) {
        let cell = |of: fn(&Memory) -> f64, digits: usize| {
            let spread = Spread::of(rounds.iter().map(of))?;
            let [median, low, high] =
                [spread.median, spread.low, spread.high].map(|bytes| bytes / 1024.0);
            Some(format!("{median:.digits$} ({low:.digits$}–{high:.digits$}) KiB"))
        };
        let cells = [cell(|m| m.at_start, 0), cell(|m| m.fresh, 2), cell(|m| m.used, 2)];
        let [Some(at_start), Some(fresh), Some(used)] = cells else { continue };
        row(text, kind.name(), [at_start, fresh, used]);
    }
}

fn start(text: &mut String, bench: &Bench, results: &Results) {
    if results.starts.iter().all(Vec::is_empty) {
        return;
    }
    line!(text, "\n## Start and size\n");
    line!(
        text,
        "From its start until it lets a client in, of {} starts; and the size of the program's \
         file, without the libraries that it loads.\n",
        bench.plan.starts
    );
    header(text, "relay", ["start", "size"]);
    for (peer, starts) in bench.peers.iter().zip(&results.starts) {
        let Some(Spread { median, low, high }) = Spread::of(starts.iter().map(|s| s * 1e3)) else {
            continue;
        };
        let size = match (peer.kind, peer.size()) {
            (Kind::Floor(_), _) | (_, None) => "–".to_owned(),
            (_, Some(bytes)) => format!("{} KiB", bytes.div_ceil(1024)),
        };
        row(text, peer.kind.name(), [format!("{median:.1} ({low:.1}–{high:.1}) ms"), size]);
    }
}

/// One line a size: where splicing begins to pay.
fn sweep(text: &mut String, results: &Results) {
    let is_sweep = |load: &&Measured| load.workload.group == Group::Sweep;
    let loads: Vec<&Measured> = results.loads.iter().filter(is_sweep).collect();
    if loads.is_empty() {
        return;
    }
    line!(text, "\n## Echoes by size\n");
    line!(text, "CPU of the core for each echo, of the processes in brackets.\n");
    let relays = compared(results);
    let relays = || relays.iter().filter(|&&index| Group::Sweep.includes(results.kinds[index]));
    header(text, "load", relays().map(|&index| results.kinds[index].name()));
    for load in loads {
        let cell = |&index: &usize| {
            let of = |of: fn(&Figures) -> f64| load.median(index, of).unwrap_or(f64::NAN) * 1e6;
            format!("{:.1} ({:.1}) µs", of(|figures| figures.core), of(|figures| figures.process))
        };
        row(text, &load.workload.name, relays().map(cell));
    }
}

fn check(text: &mut String, bench: &Bench, results: &Results) {
    let is_told = |target: &Target| target.is_met.is_some() || !bench.plan.is_partial();
    let targets: Vec<Target> = targets::check(results).into_iter().filter(is_told).collect();
    if targets.is_empty() {
        return;
    }
    line!(text, "\n## Targets\n");
    header(text, "target", ["figure", "met"]);
    for target in targets {
        let verdict = match target.is_met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        row(text, &target.text, [target.figure, verdict.to_owned()]);
    }
}

fn configurations(text: &mut String, bench: &Bench) {
    line!(text, "\n## How each was started\n");
    // The files lie where cargo builds, which is nobody's business.
    let folder = format!("{}/", bench.folder.display());
    let plain = |text: &str| text.replace(&folder, "");
    for Peer { kind, program, arguments, configuration, .. } in &bench.peers {
        let Some(program) = program else { continue };
        let program = match kind {
            Kind::Floor(_) => "benches/relay".to_owned(),
            _ => program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let command = plain(&format!("{program} {}", arguments.join(" ")));
        line!(text, "```console\n$ {command}\n```\n");
        if let Some((file, content)) = configuration {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            line!(text, "`{name}`:\n\n```text\n{}```\n", plain(content));
        }
    }
}

/// All but the way without a relay.
fn compared(results: &Results) -> Vec<usize> {
    let is_relay = |&index: &usize| results.kinds[index] != Kind::Direct;
    (0..results.kinds.len()).filter(is_relay).collect()
}

fn header<'a>(text: &mut String, first: &str, columns: impl IntoIterator<Item = &'a str>) {
    let columns: Vec<&str> = columns.into_iter().collect();
    line!(text, "| {first} | {} |", columns.join(" | "));
    let left = "---|".repeat(first.matches('|').count() + 1);
    line!(text, "|{left}{}", "---:|".repeat(columns.len()));
}

fn row(text: &mut String, first: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    line!(text, "| {first} | {} |", cells.join(" | "));
}

fn number(load: &Measured, seconds: f64) -> String {
    if load.workload.is_bulk() { format!("{seconds:.3}") } else { format!("{:.1}", seconds * 1e6) }
}

fn cost(load: &Measured, seconds: f64) -> String {
    let unit = if load.workload.is_bulk() { "s/GB" } else { "µs" };
    format!("{} {unit}", number(load, seconds))
}
