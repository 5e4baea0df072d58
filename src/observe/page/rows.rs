//! Rows of the page: endpoints, changes of state, names and listeners, each an item of
//! [`Facts`] in a template that `script.js` fills, too.

use std::fmt::Display;

use super::process::Tone;
use super::spark::Line;
use super::text::{Moment, Number, Size, Span, write};
use super::{Values, fill};
use crate::address::Address;
use crate::config::{PAGE_CHANGES_MAX, STATE_CHANGES_KEPT};
use crate::observe::facts::{
    EndpointFacts, EndpointState, Facts, NameFacts, Snapshot, StateChange,
};
use crate::observe::render::{ListenerFacts, listeners};

/// A list of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Endpoints,
    Changes,
    Names,
    Listeners,
}

impl List {
    /// The list that a field of the page is replaced by, and whether by its rows: else it is by
    /// their template.
    pub(super) fn of_field(field: &str) -> Option<(List, bool)> {
        Some(match field {
            "endpoints" => (List::Endpoints, true),
            "changes" => (List::Changes, true),
            "names" => (List::Names, true),
            "listeners" => (List::Listeners, true),
            "endpoint_row" => (List::Endpoints, false),
            "change_row" => (List::Changes, false),
            "name_row" => (List::Names, false),
            "listener_row" => (List::Listeners, false),
            _ => return None,
        })
    }

    fn template(self) -> &'static str {
        match self {
            List::Endpoints => include_str!("endpoint.html"),
            List::Changes => include_str!("change.html"),
            List::Names => include_str!("name.html"),
            List::Listeners => include_str!("listener.html"),
        }
    }
}

/// Appends the shape of a row, without values.
pub(super) fn write_template(list: List, out: &mut Vec<u8>) {
    fill(list.template(), &Nothing, out);
}

/// Appends the row of the item with this place, or of the next one, and returns the place that
/// follows it. `None`: there is none.
pub(super) fn write_row(
    list: List,
    place: usize,
    snapshot: &Snapshot,
    facts: &dyn Facts,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let template = list.template();
    let place = match list {
        List::Endpoints => {
            let (place, endpoint) = facts.endpoint(place)?;
            fill(template, &endpoint, out);
            place
        }
        // Changes move on by one with each that happens between pieces: one may come twice.
        List::Changes if place == PAGE_CHANGES_MAX => return None,
        List::Changes => {
            fill(template, facts.change(place)?, out);
            place
        }
        List::Names => {
            let (place, name) = facts.name(place)?;
            fill(template, &name, out);
            place
        }
        List::Listeners => {
            fill(template, listeners(&snapshot.metrics).get(place)?, out);
            place
        }
    };
    Some(place + 1)
}

/// Appends how many changes there are that have no row, if there are any.
pub(super) fn write_more(facts: &dyn Facts, out: &mut Vec<u8>) {
    let unshown = PAGE_CHANGES_MAX..STATE_CHANGES_KEPT;
    let more = unshown.filter(|&index| facts.change(index).is_some()).count();
    if more > 0 {
        write(out, &format!("{more} earlier: in status"));
    }
}

struct Nothing;

impl Values for Nothing {
    fn write(&self, _field: &str, _out: &mut Vec<u8>) {}
}

fn unknown(field: &str) -> &'static dyn Display {
    debug_assert!(false, "a row has an unknown field: {field}");
    &""
}

/// A name, unless it says no more than the address.
fn other_name<'a>(name: &'a str, address: &Address) -> &'a str {
    if name == address.to_string() { "" } else { name }
}

impl Values for EndpointFacts<'_> {
    fn write(&self, field: &str, out: &mut Vec<u8>) {
        let connections = self.history.samples().map(|sample| u64::from(sample.connections));
        let bytes = self.history.samples().map(|sample| sample.bytes);
        let (dials, checks) = (&self.tally.dials, self.tally.checks);
        let [sent, received] = self.bytes.map(Size);
        let text: &dyn Display = match field {
            "address" => self.address,
            "name" => &other_name(self.name, self.address),
            "source" if self.is_preferred => &format!("{}, preferred", self.source),
            "source" => &self.source,
            "state" => &self.state.word(),
            "tone" => &tone(self.state).class(),
            "for" => &format!("for {}", Span(self.state_for)),
            "error" => match self.last_error {
                Some((reason, ago)) => &format!("{reason}, {} ago", Span(ago)),
                None => &"",
            },
            "connections" => &Number(self.connections.into()),
            "peak" => &format!("peak {}", Number(connections.max().unwrap_or(0))),
            "line" => &Line(connections),
            "rate" => &Size(bytes.last().unwrap_or(0)),
            "rate_peak" => &format!("peak {}", Size(bytes.max().unwrap_or(0))),
            "rate_line" => &Line(bytes),
            "dials" => &of_which_failed(dials.begun, dials.failed()),
            "checks" if checks.begun == 0 => &"",
            "checks" => &format!("checks {}", of_which_failed(checks.begun, checks.failed)),
            "sent" => &format!("{sent} in"),
            "received" => &format!("{received} out"),
            "class" => &self.priority,
            "weight" => &format!("weight {}", self.weight),
            _ => unknown(field),
        };
        write(out, text);
    }
}

fn of_which_failed(begun: u64, failed: u64) -> String {
    format!("{}, {} failed", Number(begun), Number(failed))
}

fn tone(state: EndpointState) -> Tone {
    match state {
        EndpointState::Up => Tone::Good,
        EndpointState::Failing => Tone::Warn,
        EndpointState::Down => Tone::Bad,
        EndpointState::Removed => Tone::Gone,
    }
}

impl Values for StateChange {
    fn write(&self, field: &str, out: &mut Vec<u8>) {
        let text: &dyn Display = match field {
            "time" => &Moment(self.at),
            "address" => &self.endpoint,
            "name" => &other_name(&self.name, &self.endpoint),
            "change" => match (self.from, self.to) {
                (None, None) => &"added and forgotten",
                (None, Some(to)) => &format!("added, {}", to.word()),
                (Some(_), None) => &"forgotten",
                (Some(from), Some(to)) => &format!("{} to {}", from.word(), to.word()),
            },
            "reason" => &self.reason,
            _ => unknown(field),
        };
        write(out, text);
    }
}

impl Values for NameFacts<'_> {
    fn write(&self, field: &str, out: &mut Vec<u8>) {
        let text: &dyn Display = match field {
            "name" => &self.name,
            "age" => match self.age {
                Some(age) => &format!("{} ago", Span(age)),
                None => &"never",
            },
            "next" => match self.next_in {
                Some(rest) => &format!("in {}", Span(rest)),
                None => &"under way",
            },
            "error" => match &self.error {
                Some(error) => error,
                None => &"",
            },
            _ => unknown(field),
        };
        write(out, text);
    }
}

impl Values for ListenerFacts {
    fn write(&self, field: &str, out: &mut Vec<u8>) {
        let text: &dyn Display = match field {
            "address" => &self.address,
            "open" => &Number(self.open),
            "accepted" => &Number(self.accepted),
            _ => unknown(field),
        };
        write(out, text);
    }
}
