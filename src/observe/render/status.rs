//! An answer to GET /status: JSON, in pieces. Its fields are documented in `docs/status.md` and
//! stay; new ones may come.

use super::json::Json;
use super::listeners::listeners;
use super::readiness::readiness;
use super::time::Timestamp;
use crate::config::{ADMIN_PIECE_BYTES, HISTORY_SAMPLES, STATE_CHANGES_KEPT};
use crate::observe::facts::{
    EndpointFacts, EndpointState, Facts, NameFacts, RunState, Snapshot, StateChange,
};
use crate::observe::history::History;
use crate::observe::metrics::Rejection;
use crate::upstream::{CheckCounts, Dials};

/// How many samples of each endpoint's history the query of a request asks for: `history=N`, 0 to
/// [`HISTORY_SAMPLES`]; more is as many as there are. Whatever else there is in a query is ignored,
/// and so is a value that is not a number; of several values the last one counts.
pub fn history_of(query: &str) -> usize {
    let mut values = query.split('&').filter_map(|item| item.strip_prefix("history="));
    let value = values.rfind(|value| is_number(value));
    value.map_or(0, |digits| digits.parse().unwrap_or(usize::MAX).min(HISTORY_SAMPLES))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One answer.
pub struct StatusRendering {
    history: usize,
    next: Next,
    is_after_value: bool,
}

/// What is written next.
#[derive(Clone, Copy)]
enum Next {
    /// The process, and the beginning of the array of endpoints.
    Process,
    /// The endpoint with this place, or the next one.
    Endpoint(usize),
    /// The name with this place, or the next one.
    Name(usize),
    /// The change with this index.
    Change(usize),
    /// Nothing.
    End,
}

impl StatusRendering {
    /// An answer at its beginning, with at most `history` samples of each endpoint;
    /// see [`history_of`].
    pub fn new(history: usize) -> StatusRendering {
        StatusRendering { history, next: Next::Process, is_after_value: false }
    }

    /// Appends the next piece, and returns whether it is the last one. It ends as soon as it has
    /// [`ADMIN_PIECE_BYTES`]: it is longer by less than the part of the process (two KiB, and 100
    /// bytes for each listener), one endpoint (two KiB, and up to 32 bytes for each sample of its
    /// history), name or change. `snapshot` is the same one each time.
    pub fn next(&mut self, snapshot: &Snapshot, facts: &dyn Facts, out: &mut Vec<u8>) -> bool {
        let mut to = Json { out, is_after_value: self.is_after_value };
        let end = to.out.len() + ADMIN_PIECE_BYTES;
        while to.out.len() < end {
            self.next = self.advance(&mut to, snapshot, facts);
            if let Next::End = self.next {
                return true;
            }
        }
        self.is_after_value = to.is_after_value;
        false
    }

    fn advance(&self, to: &mut Json, snapshot: &Snapshot, facts: &dyn Facts) -> Next {
        match self.next {
            Next::Process => {
                to.open('{');
                process(to, snapshot);
                to.key("endpoints").open('[');
                Next::Endpoint(0)
            }
            Next::Endpoint(place) => match facts.endpoint(place) {
                Some((place, facts)) => {
                    endpoint(to, &facts, self.history);
                    Next::Endpoint(place + 1)
                }
                None => {
                    to.close(']');
                    to.key("names").open('[');
                    Next::Name(0)
                }
            },
            Next::Name(place) => match facts.name(place) {
                Some((place, facts)) => {
                    name(to, &facts);
                    Next::Name(place + 1)
                }
                None => {
                    to.close(']');
                    to.key("changes").open('[');
                    Next::Change(0)
                }
            },
            // Changes move on by one with each that happens between pieces: one may come twice.
            Next::Change(index) => match facts.change(index).filter(|_| index < STATE_CHANGES_KEPT)
            {
                Some(facts) => {
                    change(to, facts);
                    Next::Change(index + 1)
                }
                None => {
                    to.close(']');
                    to.close('}');
                    to.out.push(b'\n');
                    Next::End
                }
            },
            Next::End => Next::End,
        }
    }
}

fn process(to: &mut Json, snapshot: &Snapshot) {
    to.key("version").text(&snapshot.version);
    to.key("features").open('[');
    for feature in snapshot.features {
        to.text(feature);
    }
    to.close(']');
    to.key("time").text(&Timestamp(snapshot.now));
    to.key("started").text(&Timestamp(snapshot.started_at));
    to.key("uptime_seconds").seconds(snapshot.uptime);
    let state = match snapshot.state {
        RunState::Running => "running",
        RunState::Draining => "draining",
    };
    to.key("state").text(&state);
    let reasons = readiness(snapshot.state, snapshot.endpoints).err().unwrap_or_default();
    to.key("ready").plain(reasons.is_empty());
    to.key("not_ready").open('[');
    for reason in reasons {
        to.text(&reason);
    }
    to.close(']');
    connections(to, snapshot);
    limits(to, snapshot);
    to.key("process").open('{');
    to.key("cpu_seconds").seconds(snapshot.usage.cpu);
    to.key("resident_bytes").plain(snapshot.usage.resident_bytes);
    to.key("virtual_bytes").plain(snapshot.usage.virtual_bytes);
    to.close('}');
    to.key("log_lines_dropped").plain(snapshot.log_lines_dropped);
    to.key("access_log_lines_dropped").optional(snapshot.access_lines_dropped, Json::plain);
}

fn connections(to: &mut Json, snapshot: &Snapshot) {
    let metrics = &snapshot.metrics;
    to.key("listeners").open('[');
    for listener in listeners(metrics) {
        to.open('{');
        to.key("address").text(&listener.address);
        to.key("connections").plain(listener.open);
        to.key("accepted").plain(listener.accepted);
        to.close('}');
    }
    to.close(']');
    to.key("connections").open('{');
    to.key("open").plain(metrics.pairs_open);
    to.key("accepted").plain(metrics.clients_accepted);
    to.key("ended").plain(metrics.endings.total() - metrics.endings.unserved());
    to.key("rejected").plain(metrics.rejections.total());
    to.key("rejected_by").open('{');
    for reason in Rejection::ALL {
        to.key(reason.word()).plain(metrics.rejections.of(reason));
    }
    to.close('}');
    to.key("waited").plain(metrics.clients_waited);
    to.key("max_reached").plain(metrics.connections_max_reached);
    to.close('}');
}

fn limits(to: &mut Json, snapshot: &Snapshot) {
    let (resources, usage) = (&snapshot.resources, &snapshot.usage);
    let open = snapshot.metrics.pairs_open as u64;
    to.key("limits").open('{');
    to.key("connections").numbers([("used", open), ("max", resources.connections_max as u64)]);
    let (pipes, pipes_max) = (resources.pipes as u64, resources.pipes_max as u64);
    to.key("pipes").numbers([("used", pipes), ("max", pipes_max)]);
    to.key("buffers").numbers([("used", resources.buffers as u64)]);
    let (descriptors, descriptors_max) = (usage.descriptors_open, usage.descriptors_max);
    to.key("descriptors").numbers([("used", descriptors), ("max", descriptors_max)]);
    to.close('}');
}

fn endpoint(to: &mut Json, facts: &EndpointFacts, history: usize) {
    to.open('{');
    to.key("address").text(facts.address);
    to.key("name").text(&facts.name);
    to.key("source").text(&facts.source);
    to.key("state").text(&facts.state.word());
    to.key("state_for_seconds").seconds(facts.state_for);
    to.key("last_error").optional(facts.last_error, |to, (reason, ago)| {
        to.open('{');
        to.key("reason").text(&reason);
        to.key("seconds_ago").seconds(ago);
        to.close('}');
    });
    to.key("priority").plain(facts.priority);
    to.key("weight").plain(facts.weight);
    to.key("preferred").plain(facts.is_preferred);
    to.key("connections").plain(facts.connections);
    dials(to.key("dials"), &facts.tally.dials);
    dials(to.key("probes"), &facts.tally.probes);
    let CheckCounts { begun, passed, failed, abandoned } = facts.tally.checks;
    let checks = [("begun", begun), ("passed", passed), ("failed", failed)];
    to.key("checks").numbers(checks.into_iter().chain([("abandoned", abandoned)]));
    let [from_clients, from_endpoint] = facts.bytes;
    to.key("bytes").numbers([("from_clients", from_clients), ("from_endpoint", from_endpoint)]);
    to.key("state_changes").plain(facts.state_changes);
    if history > 0 {
        samples(to, facts.history, history);
    }
    to.close('}');
}

fn dials(to: &mut Json, dials: &Dials) {
    let Dials { begun, succeeded, abandoned, .. } = *dials;
    let failed = dials.failed();
    let results = [("begun", begun), ("succeeded", succeeded), ("failed", failed)];
    to.numbers(results.into_iter().chain([("abandoned", abandoned)]));
}

/// Writes the latest samples, of which there are at most `history`.
fn samples(to: &mut Json, kept: &History, history: usize) {
    let earlier = kept.samples().count().saturating_sub(history);
    to.key("history").open('{');
    to.key("connections").open('[');
    kept.samples().skip(earlier).for_each(|sample| to.plain(sample.connections));
    to.close(']');
    to.key("bytes").open('[');
    kept.samples().skip(earlier).for_each(|sample| to.plain(sample.bytes));
    to.close(']');
    to.close('}');
}

fn name(to: &mut Json, facts: &NameFacts) {
    to.open('{');
    to.key("name").text(facts.name);
    to.key("age_seconds").optional(facts.age, Json::seconds);
    to.key("next_lookup_in_seconds").optional(facts.next_in, Json::seconds);
    to.key("error").optional(facts.error, |to, error| to.text(&error));
    to.close('}');
}

fn change(to: &mut Json, facts: &StateChange) {
    to.open('{');
    to.key("time").text(&Timestamp(facts.at));
    to.key("endpoint").text(&facts.endpoint);
    to.key("name").text(&facts.name);
    let word: fn(&mut Json, EndpointState) = |to, state| to.text(&state.word());
    to.key("from").optional(facts.from, word);
    to.key("to").optional(facts.to, word);
    to.key("reason").text(&facts.reason);
    to.close('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_asks_for_history_or_for_nothing() {
        for (query, want) in [
            ("", 0),
            ("history=60", 60),
            ("a=b&history=007&history", 7),
            ("history=1&history=2", 2),
            ("history=300", 300),
            ("history=301", 300),
            ("history=99999999999999999999999", 300),
            ("history=", 0),
            ("history=-1", 0),
            ("history=+1", 0),
            ("history=1x", 0),
            ("History=1", 0),
            ("xhistory=1", 0),
        ] {
            assert_eq!(history_of(query), want, "{query}");
        }
    }
}
