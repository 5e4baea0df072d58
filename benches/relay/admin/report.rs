//! What was compared, in words: medians over the rounds, and the median of the ratios to the
//! standard of the same round, since the machine is not the same in all of them.

use std::fmt::Write;
use std::fs;

use super::turns::Turns;
use super::{Compared, Figures};
use crate::machine;
use crate::results::Spread;

/// Everything, as Markdown.
pub fn markdown(compared: &[Compared], notes: &[String]) -> String {
    let mut text = String::from("# The gateway while it is looked at\n\n");
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = format!("Load average at the end: {}.", load.trim());
    for line in machine::description().iter().chain([&load]).chain(notes) {
        line_of(&mut text, format_args!("- {line}"));
    }
    for compared in compared {
        line_of(&mut text, format_args!("\n## {}\n", compared.comparison.name));
        let is_echo = !compared.comparison.is_bulk();
        table(&mut text, compared, is_echo);
    }
    text
}

fn table(text: &mut String, compared: &Compared, is_echo: bool) {
    let rate = if is_echo { "echoes a second" } else { "GB/s" };
    let head = ["", rate, "ratio", "p50 µs", "ratio", "p99 µs", "ratio", "longest ms"];
    let rest =
        ["CPU ratio", "answers/s", "kB/s", "requests/s", "closed", "turns", "> 1 ms", "all within"];
    let head = [&head[..], &rest[..]].concat();
    line_of(text, format_args!("| {} |", head.join(" | ")));
    line_of(text, format_args!("|---|{}", "---:|".repeat(head.len() - 1)));
    let standard = &compared.arms[0];
    for (arm, rounds) in compared.comparison.arms.iter().zip(&compared.arms) {
        let mut turns = Turns::default();
        rounds.iter().for_each(|figures| turns.add(&figures.turns));
        let longest = rounds.iter().map(|figures| figures.longest).fold(0.0, f64::max);
        let closed: u64 = rounds.iter().map(|figures| figures.answered.closed).sum();
        let cells = [
            arm.name.to_owned(),
            format!("{:.4}", median(rounds, |figures| figures.rate)),
            ratio(rounds, standard, |figures| figures.rate),
            format!("{:.1}", 1e6 * median(rounds, |figures| figures.p50)),
            ratio(rounds, standard, |figures| figures.p50),
            format!("{:.1}", 1e6 * median(rounds, |figures| figures.p99)),
            ratio(rounds, standard, |figures| figures.p99),
            format!("{:.2}", 1e3 * longest),
            ratio(rounds, standard, |figures| figures.process),
            format!(
                "{:.1}",
                median(rounds, |figures| figures.answered.a_second(figures.answered.answers))
            ),
            format!(
                "{:.0}",
                median(rounds, |figures| figures.answered.a_second(figures.answered.bytes)) / 1e3
            ),
            format!(
                "{:.0}",
                median(rounds, |figures| figures.answered.a_second(figures.answered.requests))
            ),
            format!("{closed}"),
            format!("{}", turns.count()),
            format!("{}", turns.too_long()),
            format!("{} s", turns.bound()),
        ];
        line_of(text, format_args!("| {} |", cells.join(" | ")));
    }
}

fn median(rounds: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    Spread::of(rounds.iter().map(of)).map_or(0.0, |spread| spread.median)
}

fn ratio(rounds: &[Figures], standard: &[Figures], of: fn(&Figures) -> f64) -> String {
    let ratios = rounds.iter().zip(standard).map(|(one, other)| of(one) / of(other));
    // Bulk has no answers, and so no times.
    let spread = Spread::of(ratios.filter(|ratio| ratio.is_finite()));
    spread.map_or_else(String::new, |spread| {
        format!("{:.3} ({:.3}–{:.3})", spread.median, spread.low, spread.high)
    })
}

fn line_of(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}
