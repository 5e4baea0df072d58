//! The families of metrics that are of the whole process, all from one snapshot.
//!
//! Owns their names, and which counter is which sample. So that their sums fit, a client that was
//! rejected is counted as that and not as a connection that ended:
//!
//! ```text
//!   sum(clients_accepted) = sum(connections) + sum(connections_ended) + sum(clients_rejected)
//! ```

use super::listeners::listeners;
use super::text::{Exposition, Family, Kind, Labels, Seconds, bytes, family, seconds};
use crate::observe::facts::Snapshot;
use crate::observe::metrics::Rejection;
use crate::proto::dns::Failure;
use crate::relay::ending::{Cause, EndedIn, Ending};

/// What writes one family or a few.
type Part = fn(&mut Exposition, &Snapshot);

/// All of them, in the order in which they are shown. Each writes a few KiB at most, apart from
/// families by listener.
pub(super) const PARTS: [Part; 10] =
    [process, build, connections, accepted, rejected, ended, waits, timings, lookups, resources];

fn process(to: &mut Exposition, snapshot: &Snapshot) {
    use Kind::{Counter, Gauge};
    let usage = &snapshot.usage;
    let cpu = "Time on a processor, in the process and for it in the kernel.";
    to.single(&seconds(Counter, "process_cpu_seconds", cpu), Seconds(usage.cpu));
    let resident = "Memory that is resident.";
    to.single(&bytes(Gauge, "process_resident_memory_bytes", resident), usage.resident_bytes);
    let addresses = "Addresses in use.";
    to.single(&bytes(Gauge, "process_virtual_memory_bytes", addresses), usage.virtual_bytes);
    let start = "When the process was started, since the Unix epoch.";
    let started_at = Seconds(snapshot.started_at);
    to.single(&seconds(Gauge, "process_start_time_seconds", start), started_at);
    let open = "Descriptors that are open.";
    to.single(&family(Gauge, "process_open_fds", open), usage.descriptors_open);
    let most = "Descriptors that may be open.";
    to.single(&family(Gauge, "process_max_fds", most), usage.descriptors_max);
}

fn build(to: &mut Exposition, snapshot: &Snapshot) {
    const BUILD: Family = family(
        Kind::Info,
        "etcd_gateway_build",
        "The version, and the features it was built with.",
    );
    let mut labels = Labels::default();
    labels.add("version", &snapshot.version);
    labels.add("features", &snapshot.features.join(","));
    to.header(&BUILD);
    to.sample(&BUILD, labels.as_str(), 1);
    let start = "When the process was started, since the Unix epoch.";
    let started_at = Seconds(snapshot.started_at);
    to.single(&seconds(Kind::Gauge, "etcd_gateway_start_time_seconds", start), started_at);
}

fn connections(to: &mut Exposition, snapshot: &Snapshot) {
    const CONNECTIONS: Family =
        family(Kind::Gauge, "etcd_gateway_connections", "Clients that are connected.");
    to.header(&CONNECTIONS);
    let mut labels = Labels::default();
    for listener in listeners(&snapshot.metrics) {
        labels.clear();
        labels.add("listener", &listener.address);
        to.sample(&CONNECTIONS, labels.as_str(), listener.open);
    }
    let most = "Clients that may be connected at a time.";
    let max = snapshot.resources.connections_max;
    to.single(&family(Kind::Gauge, "etcd_gateway_connections_max", most), max);
}

fn accepted(to: &mut Exposition, snapshot: &Snapshot) {
    const ACCEPTED: Family =
        family(Kind::Counter, "etcd_gateway_clients_accepted", "Clients that were accepted.");
    to.header(&ACCEPTED);
    let mut labels = Labels::default();
    for listener in listeners(&snapshot.metrics) {
        labels.clear();
        labels.add("listener", &listener.address);
        to.sample(&ACCEPTED, labels.as_str(), listener.accepted);
    }
}

fn rejected(to: &mut Exposition, snapshot: &Snapshot) {
    const REJECTED: Family = family(
        Kind::Counter,
        "etcd_gateway_clients_rejected",
        "Clients that were closed by the gateway before they had a server.",
    );
    to.header(&REJECTED);
    let mut labels = Labels::default();
    for reason in Rejection::ALL {
        labels.clear();
        labels.add("reason", &reason);
        to.sample(&REJECTED, labels.as_str(), snapshot.metrics.rejections.of(reason));
    }
}

/// What would always be 0 is not shown: most causes cannot be in each phase.
fn ended(to: &mut Exposition, snapshot: &Snapshot) {
    const ENDED: Family = family(
        Kind::Counter,
        "etcd_gateway_connections_ended",
        "Connections that ended, without rejected clients.",
    );
    const COMPLETED: Ending = Ending { cause: Cause::Completed, phase: EndedIn::Relaying };
    to.header(&ENDED);
    let mut labels = Labels::default();
    for ending in Ending::all().filter(|ending| !ending.is_unserved()) {
        let count = snapshot.metrics.endings.of(ending);
        if count > 0 || ending == COMPLETED {
            labels.clear();
            labels.add("cause", &ending.cause);
            labels.add("phase", &ending.phase);
            to.sample(&ENDED, labels.as_str(), count);
        }
    }
}

fn waits(to: &mut Exposition, snapshot: &Snapshot) {
    let metrics = &snapshot.metrics;
    for (name, help, count) in [
        (
            "etcd_gateway_clients_waited",
            "Clients that waited before a dial of theirs began.",
            metrics.clients_waited,
        ),
        (
            "etcd_gateway_connections_max_reached",
            "Times that connections_max was reached.",
            metrics.connections_max_reached,
        ),
        (
            "etcd_gateway_accept_pauses",
            "Times that accepting paused for want of descriptors or memory.",
            metrics.accept_pauses,
        ),
    ] {
        to.single(&family(Kind::Counter, name, help), count);
    }
}

fn timings(to: &mut Exposition, snapshot: &Snapshot) {
    let timings = &snapshot.timings;
    for (name, help, histogram) in [
        (
            "etcd_gateway_dial_duration_seconds",
            "Dials for clients that became a connection.",
            &timings.dials,
        ),
        (
            "etcd_gateway_connection_duration_seconds",
            "Time of connections that ended, without rejected clients.",
            &timings.connections,
        ),
        (
            "etcd_gateway_first_byte_seconds",
            "From the first bytes of a client to the first ones of its server.",
            &timings.first_bytes,
        ),
        (
            "etcd_gateway_turn_duration_seconds",
            "Turns of the loop without their wait; of mere relaying a sample.",
            &timings.turns,
        ),
    ] {
        to.histogram(&seconds(Kind::Histogram, name, help), histogram);
    }
}

fn lookups(to: &mut Exposition, snapshot: &Snapshot) {
    const LOOKUPS: Family = family(
        Kind::Counter,
        "etcd_gateway_name_lookups",
        "Look-ups of names that are over, one for each name and kind of record.",
    );
    let lookups = &snapshot.lookups;
    let results = [
        ("local", lookups.local),
        ("resolved", lookups.resolved),
        ("no_such_name", lookups.no_such_name),
        ("no_record", lookups.no_record),
        ("abandoned", lookups.abandoned),
    ];
    let failed = Failure::WORDS.into_iter().enumerate();
    let failed = failed.map(|(index, word)| (word, lookups.failed_by(index)));
    to.header(&LOOKUPS);
    let mut labels = Labels::default();
    for (result, count) in results.into_iter().chain(failed) {
        labels.clear();
        labels.add("result", &result);
        to.sample(&LOOKUPS, labels.as_str(), count);
    }
}

fn resources(to: &mut Exposition, snapshot: &Snapshot) {
    let (resources, usage) = (&snapshot.resources, &snapshot.usage);
    for (name, help, count) in [
        ("etcd_gateway_pipes", "Pipes that hold bytes.", resources.pipes as u64),
        ("etcd_gateway_pipes_max", "Pipes there may be.", resources.pipes_max as u64),
        ("etcd_gateway_buffers", "Buffers that hold bytes.", resources.buffers as u64),
        ("etcd_gateway_descriptors_open", "Descriptors that are open.", usage.descriptors_open),
        ("etcd_gateway_descriptors_max", "Descriptors that may be open.", usage.descriptors_max),
    ] {
        to.single(&family(Kind::Gauge, name, help), count);
    }
    let dropped = "Lines of the log that were dropped unread.";
    let log = family(Kind::Counter, "etcd_gateway_log_lines_dropped", dropped);
    to.single(&log, snapshot.log_lines_dropped);
    if let Some(count) = snapshot.access_lines_dropped {
        let dropped = "Lines of the access log that were dropped unread.";
        let log = family(Kind::Counter, "etcd_gateway_access_log_lines_dropped", dropped);
        to.single(&log, count);
    }
}
