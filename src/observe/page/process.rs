//! Fields of the page that are of the whole process.

use std::fmt::Display;

use super::text::{Moment, Number, Plain, Size, Span, write};
use crate::observe::facts::{RunState, Snapshot};
use crate::observe::metrics::Rejection;
use crate::observe::render::readiness;

/// How bad the state is: how it is marked. The sign differs, not the colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Gone,
}

impl Tone {
    /// The class of `style.css`.
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Gone => "gone",
        }
    }
}

/// Appends a field of the page. A count becomes an element by whose class the script finds it: its
/// path in /status.
pub(super) fn write_field(field: &str, snapshot: &Snapshot, out: &mut Vec<u8>) {
    match count(field, snapshot) {
        Some(count) => {
            // The names of fields are our own, and have nothing to escape.
            let count = Number(count);
            out.extend_from_slice(format!("<span class=\"{field}\">{count}</span>").as_bytes());
        }
        None => write_text(field, snapshot, out),
    }
}

fn count(field: &str, snapshot: &Snapshot) -> Option<u64> {
    let Snapshot { metrics, usage, resources, .. } = snapshot;
    if let Some(word) = field.strip_prefix("connections.rejected_by.") {
        let reason = Rejection::ALL.into_iter().find(|reason| reason.word() == word)?;
        return Some(metrics.rejections.of(reason));
    }
    Some(match field {
        "connections.open" => metrics.pairs_open as u64,
        "connections.accepted" => metrics.clients_accepted,
        "connections.ended" => metrics.endings.total() - metrics.endings.unserved(),
        "connections.rejected" => metrics.rejections.total(),
        "connections.waited" => metrics.clients_waited,
        "connections.max_reached" => metrics.connections_max_reached,
        "limits.connections.max" => resources.connections_max as u64,
        "limits.descriptors.used" => usage.descriptors_open,
        "limits.descriptors.max" => usage.descriptors_max,
        "limits.pipes.used" => resources.pipes as u64,
        "limits.pipes.max" => resources.pipes_max as u64,
        "limits.buffers.used" => resources.buffers as u64,
        "log_lines_dropped" => snapshot.log_lines_dropped,
        "access_log_lines_dropped" => return snapshot.access_lines_dropped,
        _ => return None,
    })
}

fn write_text(field: &str, snapshot: &Snapshot, out: &mut Vec<u8>) {
    let Snapshot { usage, resources, metrics, .. } = snapshot;
    let text: &dyn Display = match field {
        "access_log_lines_dropped" => &"no access log",
        "title" => &title(snapshot),
        "icon" => &icon(tone(snapshot)),
        "tone" => &tone(snapshot).class(),
        "state" => &state(snapshot),
        "version" => &snapshot.version,
        "time" => &Moment(snapshot.now),
        "started" => &Moment(snapshot.started_at),
        "up" => &Number(snapshot.endpoints.up as u64),
        "known" => &Number(snapshot.endpoints.known as u64),
        "uptime" => &Span(snapshot.uptime),
        "cpu" => &Span(usage.cpu),
        "resident" => &Size(usage.resident_bytes),
        "features" => match snapshot.features {
            [] => &"none",
            features => &features.join(", "),
        },
        "m_connections" => &share(metrics.pairs_open as u64, resources.connections_max as u64),
        "m_descriptors" => &share(usage.descriptors_open, usage.descriptors_max),
        "m_pipes" => &share(resources.pipes as u64, resources.pipes_max as u64),
        unknown => {
            debug_assert!(false, "the page has an unknown field: {unknown}");
            &""
        }
    };
    write(out, text);
}

/// What is in use, in parts of its limit.
fn share(used: u64, max: u64) -> String {
    let part = if max == 0 { 0.0 } else { used as f64 / max as f64 };
    format!("{part:.3}")
}

fn title(snapshot: &Snapshot) -> String {
    let (up, known) = (snapshot.endpoints.up, snapshot.endpoints.known);
    let state = match snapshot.state {
        RunState::Running => "",
        RunState::Draining => "draining, ",
    };
    format!("{state}{up}/{known} up - etcd-gateway")
}

fn state(snapshot: &Snapshot) -> String {
    if let RunState::Draining = snapshot.state {
        return "Draining".to_owned();
    }
    match readiness(snapshot.state, snapshot.endpoints) {
        Ok(()) => "Running, ready".to_owned(),
        Err(reasons) => {
            let reasons: Vec<String> =
                reasons.iter().map(|reason| Plain(reason.word()).to_string()).collect();
            format!("Running, not ready: {}", reasons.join(", "))
        }
    }
}

fn tone(snapshot: &Snapshot) -> Tone {
    let is_ready = readiness(snapshot.state, snapshot.endpoints).is_ok();
    match snapshot.state {
        RunState::Draining => Tone::Warn,
        RunState::Running if !is_ready => Tone::Bad,
        RunState::Running if snapshot.endpoints.up < snapshot.endpoints.known => Tone::Warn,
        RunState::Running => Tone::Good,
    }
}

/// An icon that is not asked for: a disc, a triangle or a square.
fn icon(tone: Tone) -> String {
    let (colour, path) = match tone {
        Tone::Good | Tone::Gone => ("11682c", "M8 1a7 7 0 1 0 .1 0z"),
        Tone::Warn => ("b87a00", "M8 1l7 14H1z"),
        Tone::Bad => ("b3141d", "M2 2h12v12H2z"),
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3C\
         path fill='%23{colour}' d='{path}'/%3E%3C/svg%3E"
    )
}
