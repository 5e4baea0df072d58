//! The report in Markdown: a table of seconds for each version of etcd, with a column for each way.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use super::client::{Call, Client};
use super::fault::Fault;
use super::outcome::{Outcome, Seconds, median};
use super::plan::Plan;
use super::round::{Lane, Round};
use super::util::Version;
use super::way::{Way, haproxy, own_binary};

/// All rounds of one fault of one version.
pub struct Measured {
    pub version: Version,
    pub fault: Fault,
    pub rounds: Vec<Round>,
}

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($argument:tt)*) => { let _ = writeln!($text, $($argument)*); };
}

pub fn markdown(plan: &Plan, measured: &[Measured]) -> String {
    let mut text = String::new();
    head(&mut text, plan);
    for &version in &plan.versions {
        let of_version = measured.iter().filter(|measured| measured.version == version);
        let of_version: Vec<&Measured> = of_version.collect();
        let number = version.number().unwrap_or_default();
        line!(text, "\n## Members of etcd {number}");
        lasting(&mut text, plan, &of_version);
        anew(&mut text, plan, &of_version);
    }
    notes(&mut text, measured);
    text
}

fn head(text: &mut String, plan: &Plan) {
    line!(text, "# How long clients wait after a fault\n");
    line!(text, "Written by `make faults` on {}.\n", said_by(Command::new("date").arg("-u")));
    line!(text, "- {}", said_by(Command::new(own_binary()).arg("--version")));
    if let Some(haproxy) = haproxy() {
        line!(text, "- {}", said_by(Command::new(haproxy).arg("-v")));
    }
    for fault in &plan.faults {
        let seconds = plan.hold(*fault).as_secs();
        line!(text, "- {}: {}; for {seconds} s", fault.word(), fault.text());
    }
    line!(
        text,
        "\nSeconds from the fault until a client that was on the member that is hit works again, \
         and goes on to; each the median of all rounds, of which there were {}. `>` is beyond the \
         end of the round. Every client has a relay of its own; it puts every 50 ms and watches \
         what a writer at the members puts, with its default settings. *The cluster* is that \
         writer, which goes on to another member after half a second: what no client can be faster \
         than by much.",
        plan.rounds,
    );
    for way in [Way::HaproxyTcp, Way::HaproxyHttp] {
        if plan.ways.contains(&way) {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            line!(text, "\n{}:\n\n```\n{}```", way.name(), way.haproxy(any, &[any]));
        }
    }
}

/// Clients with one connection.
fn lasting(text: &mut String, plan: &Plan, measured: &[&Measured]) {
    let clients: Vec<Client> = plan.clients.iter().copied().filter(|one| one.lasts()).collect();
    if clients.is_empty() {
        return;
    }
    header(text, plan, "fault | client | call | the cluster");
    for measured in measured {
        let cluster = measured.rounds.iter().map(|round| round.cluster).collect();
        let cluster = seconds(median(cluster));
        for &client in &clients {
            for (call, name) in [(Call::Put, "put"), (Call::Watch, "watch")] {
                let cells: Vec<String> = plan
                    .ways
                    .iter()
                    .map(|way| seconds(median(measured.seconds(way, client, call))))
                    .collect();
                let fault = measured.fault.word();
                let cells = cells.join(" | ");
                line!(text, "| {fault} | {} | {name} | {cluster} | {cells} |", client.name());
            }
        }
    }
}

/// etcdctl, which connects anew for each put.
fn anew(text: &mut String, plan: &Plan, measured: &[&Measured]) {
    let clients: Vec<Client> = plan.clients.iter().copied().filter(|one| !one.lasts()).collect();
    if clients.is_empty() {
        return;
    }
    line!(
        text,
        "\nPuts of etcdctl that failed, of all that began during the fault, and seconds from the \
         fault until the last of them had failed:"
    );
    header(text, plan, "fault | client");
    for measured in measured {
        for &client in &clients {
            let cells: Vec<String> =
                plan.ways.iter().map(|way| measured.failures(way, client)).collect();
            let (fault, cells) = (measured.fault.word(), cells.join(" | "));
            line!(text, "| {fault} | {} | {cells} |", client.name());
        }
    }
}

fn header(text: &mut String, plan: &Plan, columns: &str) {
    let names: Vec<String> = plan.ways.iter().map(Way::name).collect();
    let left = columns.split('|').count();
    let rule = "---|".repeat(left) + &"---:|".repeat(names.len());
    line!(text, "\n| {columns} | {} |\n|{rule}", names.join(" | "));
}

fn notes(text: &mut String, measured: &[Measured]) {
    let notes: Vec<&String> =
        measured.iter().flat_map(|one| &one.rounds).flat_map(|round| &round.notes).collect();
    if !notes.is_empty() {
        line!(text, "\n## Not measured\n");
    }
    for note in notes {
        line!(text, "- {note}");
    }
}

impl Measured {
    fn outcomes(&self, way: &Way, client: Client) -> impl Iterator<Item = Outcome> {
        let lane = Lane { way: way.clone(), client };
        let all = self.rounds.iter().flat_map(|round| &round.outcomes);
        all.filter(move |(of, _)| *of == lane).map(|(_, outcome)| *outcome)
    }

    fn seconds(&self, way: &Way, client: Client, call: Call) -> Vec<Seconds> {
        let outcomes = self.outcomes(way, client);
        let of_call = outcomes.filter_map(|outcome| match (outcome, call) {
            (Outcome::Connected { put, .. }, Call::Put) => Some(put),
            (Outcome::Connected { watch, .. }, Call::Watch) => Some(watch),
            (Outcome::Anew { .. }, _) => None,
        });
        of_call.collect()
    }

    /// All rounds together, but the median of the times.
    fn failures(&self, way: &Way, client: Client) -> String {
        let (mut of, mut all, mut times) = (0, 0, Vec::new());
        for outcome in self.outcomes(way, client) {
            if let Outcome::Anew { puts, failed, until } = outcome {
                of += failed;
                all += puts;
                times.push(until);
            }
        }
        match median(times) {
            None => "–".to_owned(),
            Some(_) if of == 0 => format!("0 of {all}"),
            Some(until) => format!("{of} of {all}, {until:.1}"),
        }
    }
}

fn seconds(value: Option<Seconds>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Seconds::Exactly(seconds)) => format!("{seconds:.1}"),
        Some(Seconds::MoreThan(seconds)) => format!("> {seconds:.0}"),
    }
}

/// The first line that a program says.
fn said_by(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
}
