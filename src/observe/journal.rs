//! The journal: decides for each event whether its line is written at once, or later, together with
//! others. Owns the pending events. Writes by the macro of the `log` crate; has no other effect
//! outside. Takes the time as an argument; its owner keeps a timer for [`Journal::deadline`].
//!
//! ```text
//!   at once    most events
//!   counted    events that any client or script can repeat: the first at once, then at most one
//!              line a second for each kind, with a count
//!   gathered   events that occur in large numbers when name servers or endpoints change: some at
//!              once, then one line a second for each topic, which names the first subjects
//! ```

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Instant;

use log::{Level, log};

use super::changes::{Change, Changes, Due, Line};
use super::events::{Event, Heading, Kinds};
use super::repeats::Repeats;
use crate::config::{
    CHANGES_AT_ONCE, NEWCOMERS_AT_ONCE, NEWCOMERS_KNOWN_MAX, SUMMARY_INTERVAL, TROUBLES_AT_ONCE,
};

/// Events whose lines are still to be written.
#[derive(Debug)]
pub struct Journal {
    /// Each with the heading of its last event.
    counted: [(Option<Heading>, Repeats); Counted::ALL.len()],
    /// Endpoints that were added, removed or verified.
    endpoints: Changes,
    /// Endpoints that were added for the first time.
    newcomers: Changes,
    /// Endpoints that were added before, the latest last; at most [`NEWCOMERS_KNOWN_MAX`].
    known: VecDeque<String>,
    /// Names that do not resolve, or do so again, findings that are skipped, and endpoints that are
    /// not verified.
    discovery: Changes,
}

/// When the line of an event is written.
enum Pace {
    AtOnce,
    Counted(Counted),
    Gathered(Topic, &'static str, String),
}

/// The kinds of events that are counted.
#[derive(Clone, Copy)]
enum Counted {
    ClientsRejected,
    DialsFailedLocally,
    AcceptPauses,
    ConnectionsClosed,
    RemovedConnectionsClosed,
    SignalsIgnored,
    AccessLogNotWritten,
}

impl Counted {
    const ALL: [Counted; 7] = [
        Counted::ClientsRejected,
        Counted::DialsFailedLocally,
        Counted::AcceptPauses,
        Counted::ConnectionsClosed,
        Counted::RemovedConnectionsClosed,
        Counted::SignalsIgnored,
        Counted::AccessLogNotWritten,
    ];

    /// Whether its lines say how many pairs are open when they are written.
    fn has_pairs(self) -> bool {
        match self {
            Counted::ClientsRejected
            | Counted::DialsFailedLocally
            | Counted::AcceptPauses
            | Counted::ConnectionsClosed
            | Counted::RemovedConnectionsClosed => true,
            Counted::SignalsIgnored | Counted::AccessLogNotWritten => false,
        }
    }
}

/// The topics of events that are gathered.
#[derive(Clone, Copy)]
enum Topic {
    Endpoints,
    Discovery,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::new()
    }
}

impl Journal {
    /// A journal without events.
    pub fn new() -> Journal {
        Journal {
            counted: std::array::from_fn(|_| (None, Repeats::default())),
            endpoints: Changes::new(CHANGES_AT_ONCE),
            newcomers: Changes::new(NEWCOMERS_AT_ONCE),
            known: VecDeque::new(),
            discovery: Changes::new(TROUBLES_AT_ONCE),
        }
    }

    /// Writes the line of the event, or keeps the event until [`Journal::deadline`]. `pairs`: how
    /// many are open.
    pub fn log(&mut self, event: Event<'_>, now: Instant, pairs: usize) {
        match pace(&event) {
            Pace::AtOnce => event.write(),
            Pace::Counted(kind) => {
                let (heading, repeats) = &mut self.counted[kind as usize];
                let heading = *heading.insert(event.heading());
                if let Some(line) = repeats.add(event, now) {
                    write_counted(kind, heading, &line, pairs);
                }
            }
            Pace::Gathered(topic, kind, subject) => {
                let is_new = kind == "added" && self.is_newcomer(&subject);
                let line = Line { heading: event.heading(), text: event.to_string() };
                let changes = match topic {
                    Topic::Endpoints if is_new => &mut self.newcomers,
                    Topic::Endpoints => &mut self.endpoints,
                    Topic::Discovery => &mut self.discovery,
                };
                let due = changes.add(Change { kind, subject, line }, now);
                write_due(topic, due);
            }
        }
        debug_assert!(
            self.deadline().is_none_or(|at| at <= now + SUMMARY_INTERVAL),
            "a line waits for longer than the interval"
        );
    }

    /// Writes the lines of events that are due. `pairs`: how many are open.
    pub fn log_due(&mut self, now: Instant, pairs: usize) {
        self.log_kept(pairs, |repeats| repeats.take_due(now), |changes| changes.take_due(now));
        debug_assert!(self.deadline().is_none_or(|at| at > now), "it would spin");
    }

    /// Writes the lines of all events that were kept, for the end of the log. `pairs`: how many are
    /// open.
    pub fn log_rest(&mut self, pairs: usize) {
        self.log_kept(pairs, Repeats::take_rest, Changes::take_rest);
        debug_assert!(self.deadline().is_none(), "a line is lost");
    }

    /// When [`Journal::log_due`] has a line to write; `None` if no event is kept.
    pub fn deadline(&self) -> Option<Instant> {
        let counted = self.counted.iter().filter_map(|(_, repeats)| repeats.deadline());
        let changes = [&self.endpoints, &self.newcomers, &self.discovery];
        counted.chain(changes.into_iter().filter_map(Changes::deadline)).min()
    }

    fn log_kept(
        &mut self,
        pairs: usize,
        mut line: impl FnMut(&mut Repeats) -> Option<String>,
        mut due: impl FnMut(&mut Changes) -> Option<Due>,
    ) {
        for (kind, (heading, repeats)) in Counted::ALL.into_iter().zip(&mut self.counted) {
            if let (Some(heading), Some(line)) = (*heading, line(repeats)) {
                write_counted(kind, heading, &line, pairs);
            }
        }
        write_due(Topic::Endpoints, due(&mut self.endpoints));
        write_due(Topic::Endpoints, due(&mut self.newcomers));
        write_due(Topic::Discovery, due(&mut self.discovery));
    }

    /// Notes that the endpoint was added. Returns whether it is not among the known ones.
    fn is_newcomer(&mut self, endpoint: &str) -> bool {
        let before = self.known.iter().position(|known| known == endpoint);
        if let Some(position) = before {
            self.known.remove(position);
        } else if self.known.len() == NEWCOMERS_KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back(endpoint.to_owned());
        debug_assert!(self.known.len() <= NEWCOMERS_KNOWN_MAX, "remembered without end");
        debug_assert!(self.known.iter().filter(|known| *known == endpoint).count() == 1);
        before.is_none()
    }
}

fn pace(event: &Event<'_>) -> Pace {
    match event {
        Event::ClientRejected { .. } => Pace::Counted(Counted::ClientsRejected),
        Event::DialFailedLocally { .. } => Pace::Counted(Counted::DialsFailedLocally),
        Event::AcceptPaused { .. } => Pace::Counted(Counted::AcceptPauses),
        Event::EndpointConnectionClosed { .. } => Pace::Counted(Counted::ConnectionsClosed),
        Event::RemovedConnectionClosed { .. } => Pace::Counted(Counted::RemovedConnectionsClosed),
        Event::SignalIgnored { .. } => Pace::Counted(Counted::SignalsIgnored),
        Event::AccessLogNotWritten { .. } => Pace::Counted(Counted::AccessLogNotWritten),
        Event::EndpointAdded { endpoint, .. } => about_endpoint("added", endpoint),
        Event::EndpointRemoved { endpoint, .. } => about_endpoint("removed", endpoint),
        Event::EndpointVerified { endpoint, .. } => about_endpoint("verified", endpoint),
        Event::EndpointChecked { endpoint, .. } => about_endpoint("passing", endpoint),
        Event::EndpointCheckUnanswered { endpoint, .. } => about_endpoint("unanswered", endpoint),
        Event::EndpointNotChecked { endpoint, .. } => about_endpoint("not_checked", endpoint),
        Event::EndpointNotVerified { endpoint, reason, .. } => {
            about_discovery("not_verified", format_args!("{endpoint}/{reason}"))
        }
        Event::EndpointSkipped { endpoint, name, .. }
        | Event::EndpointWithoutRoute { endpoint, name, .. } => {
            about_discovery("skipped", endpoint.or(*name).unwrap_or(&"none"))
        }
        Event::NameNotResolved { name, reason } => {
            about_discovery("not_resolved", format_args!("{name}/{reason}"))
        }
        Event::NameResolved { name } => about_discovery("resolved", name),
        Event::LastEndpointsKept { .. } => about_discovery("kept", "endpoints"),
        Event::TypedEndpointsUsed { source, .. } => {
            about_discovery("fallback", format_args!("{}/{}", source.source, source.subject))
        }
        Event::DiscoveredEndpointsUsed { source } => {
            about_discovery("discovered", format_args!("{}/{}", source.source, source.subject))
        }
        Event::ServiceSkipped { key, reason } => {
            about_discovery("service_skipped", format_args!("{:?}/{reason}", key.0))
        }
        Event::WeightIgnored { key } => {
            about_discovery("weight_ignored", format_args!("{:?}", key.0))
        }
        Event::NameServersUnknown { reason, .. } | Event::ResolverFileTooLong { reason, .. } => {
            about_discovery("resolv_conf", reason)
        }
        Event::NameServersKnown { servers, .. } => {
            about_discovery("name_servers", servers.join(","))
        }
        _ => Pace::AtOnce,
    }
}

fn about_endpoint(kind: &'static str, endpoint: impl Display) -> Pace {
    Pace::Gathered(Topic::Endpoints, kind, endpoint.to_string())
}

fn about_discovery(kind: &'static str, subject: impl Display) -> Pace {
    Pace::Gathered(Topic::Discovery, kind, subject.to_string())
}

fn write_counted(kind: Counted, heading: Heading, line: &str, pairs: usize) {
    match kind.has_pairs() {
        true => write(heading, format_args!("{line} pairs={pairs}")),
        false => write(heading, line),
    }
}

fn write_due(topic: Topic, due: Option<Due>) {
    match due {
        None => {}
        Some(Due::Alone(Line { heading, text })) => write(heading, text),
        Some(Due::Together(kinds)) => {
            debug_assert!(!kinds.is_empty(), "a line about nothing");
            let level = kinds.iter().map(|kind| kind.level).min().unwrap_or(Level::Info);
            let kinds: Kinds<'_> = &kinds;
            let event = match topic {
                Topic::Endpoints => Event::EndpointsChanged { kinds },
                Topic::Discovery => Event::DiscoveryChanged { kinds },
            };
            write(Heading { level, ..event.heading() }, event);
        }
    }
}

fn write(heading: Heading, line: impl Display) {
    log!(target: heading.target, heading.level, "{line}");
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Once;
    use std::time::Duration;

    use super::super::events::{Quoted, Value};
    use super::*;
    use crate::config::SUMMARY_INTERVAL;

    thread_local! {
        static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
        static TARGETS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps the lines of each test apart: tests have threads of their own.
    struct Memory;

    impl log::Log for Memory {
        fn enabled(&self, _: &log::Metadata) -> bool {
            true
        }

        fn log(&self, record: &log::Record) {
            let line = format!("{} {}", record.level(), record.args());
            LINES.with_borrow_mut(|lines| lines.push(line));
            TARGETS.with_borrow_mut(|targets| targets.push(record.target().to_owned()));
        }

        fn flush(&self) {}
    }

    fn journal() -> Journal {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Memory).expect("no other test needs a logger");
            log::set_max_level(log::LevelFilter::Trace);
        });
        Journal::new()
    }

    fn lines() -> Vec<String> {
        LINES.take()
    }

    const REJECTED: Event<'static> = Event::ClientRejected { reason: &"no_endpoint_active" };

    fn added<'a>(endpoint: Value<'a>) -> Event<'a> {
        Event::EndpointAdded { endpoint, name: &"a.test:1", priority: 0, weight: 0 }
    }

    fn without_route<'a>(endpoint: Value<'a>) -> Event<'a> {
        let endpoint = Some(endpoint);
        Event::EndpointWithoutRoute { endpoint, name: None, reason: &"no_route" }
    }

    #[test]
    fn what_clients_can_repeat_is_counted_kind_by_kind() {
        let (now, mut journal) = (Instant::now(), journal());
        (1..=3).for_each(|pairs| journal.log(REJECTED, now, pairs));
        journal.log(Event::AcceptPaused { reason: &"no_descriptors" }, now, 3);
        let text = "WARN clients rejected reason=no_endpoint_active";
        let paused = "WARN accept paused reason=no_descriptors count=1 pairs=3";
        assert_eq!(lines(), [format!("{text} count=1 pairs=1"), paused.to_owned()]);
        assert_eq!(journal.deadline(), Some(now + SUMMARY_INTERVAL));
        journal.log_due(now + SUMMARY_INTERVAL - Duration::from_millis(1), 3);
        assert_eq!(lines(), [""; 0]);
        journal.log_due(now + SUMMARY_INTERVAL, 9);
        assert_eq!(lines(), [format!("{text} count=2 pairs=9")], "those that are open now");
        assert_eq!(journal.deadline(), None);
    }

    #[test]
    fn at_the_end_no_pair_is_open() {
        let (now, mut journal) = (Instant::now(), journal());
        (0..2).for_each(|_| journal.log(REJECTED, now, 13));
        (0..2).for_each(|_| journal.log(Event::RELOAD_IGNORED, now, 13));
        lines();
        journal.log_rest(0);
        let rejected = "WARN clients rejected reason=no_endpoint_active count=1 pairs=0";
        let reload = "WARN signal ignored signal=SIGHUP reason=no_reload count=1";
        assert_eq!(lines(), [rejected, reload]);
    }

    #[test]
    fn endpoints_that_come_and_go_are_summed_up() {
        let (now, mut journal) = (Instant::now(), journal());
        // The first time each is news, however many there are.
        let endpoints: Vec<String> = (1..=100).map(|port| format!("10.0.0.1:{port}")).collect();
        endpoints.iter().for_each(|endpoint| journal.log(added(endpoint), now, 0));
        assert_eq!(lines().len(), 100);
        for endpoint in &endpoints[..CHANGES_AT_ONCE as usize] {
            journal.log(Event::EndpointRemoved { endpoint, pairs: 7 }, now, 0);
        }
        assert_eq!(
            lines().pop().as_deref(),
            Some("INFO endpoint removed endpoint=10.0.0.1:16 pairs=7")
        );
        journal.log(added(&"10.0.0.1:1"), now, 0);
        journal.log(
            Event::EndpointVerified { endpoint: &"10.0.0.1:2", after: SUMMARY_INTERVAL },
            now,
            0,
        );
        assert_eq!(lines(), [""; 0]);
        journal.log_due(now + SUMMARY_INTERVAL, 0);
        let want = "INFO endpoints changed added=[10.0.0.1:1] verified=[10.0.0.1:2]";
        assert_eq!(lines(), [want]);
    }

    #[track_caller]
    fn check_targets(names: &[&str]) {
        let want = names.iter().map(|name| format!("etcd_gateway::{name}"));
        assert_eq!(TARGETS.take(), want.collect::<Vec<_>>());
    }

    #[test]
    fn lines_have_the_target_of_their_event_however_late_they_are() {
        let (now, mut journal) = (Instant::now(), journal());
        TARGETS.take();
        (0..2).for_each(|_| journal.log(REJECTED, now, 1));
        (0..2).for_each(|_| journal.log(Event::AcceptPaused { reason: &"no_memory" }, now, 1));
        (0..2).for_each(|_| journal.log(Event::RELOAD_IGNORED, now, 1));
        check_targets(&["relay", "listen", "process"]);
        let removed = Event::EndpointRemoved { endpoint: &"10.0.0.1:1", pairs: 0 };
        (0..=CHANGES_AT_ONCE).for_each(|_| journal.log(removed, now, 1));
        assert!(TARGETS.take().iter().all(|target| target == "etcd_gateway::upstream"));
        (0..=TROUBLES_AT_ONCE).for_each(|_| journal.log(without_route(&"10.0.0.1:1"), now, 1));
        assert!(TARGETS.take().iter().all(|target| target == "etcd_gateway::discovery"));
        journal.log(Event::SpliceRefused, now, 1);
        check_targets(&["relay"]);
        journal.log_rest(0);
        check_targets(&["relay", "listen", "process", "upstream", "discovery"]);
        lines();
    }

    #[test]
    fn problems_of_discovery_are_summed_up_at_their_worst_level() {
        let (now, mut journal) = (Instant::now(), journal());
        for port in 0..TROUBLES_AT_ONCE {
            let endpoint = format!("10.0.0.1:{port}");
            journal.log(without_route(&endpoint), now, 0);
        }
        let first = "INFO endpoint skipped endpoint=10.0.0.1:0 reason=no_route";
        assert_eq!(lines().first().map(String::as_str), Some(first));
        journal.log(without_route(&"10.0.0.2:1"), now, 0);
        let (name, reason): (Value<'_>, Value<'_>) = (&"a.test", &"no_such_name");
        journal.log(Event::NameNotResolved { name, reason }, now, 0);
        journal.log_rest(0);
        let want = "WARN discovery changed skipped=[10.0.0.2:1] not_resolved=[a.test/no_such_name]";
        assert_eq!(lines(), [want]);
        assert_eq!(journal.deadline(), None);
    }

    #[test]
    fn an_authority_is_named_in_the_line_of_its_endpoint_alone() {
        let (now, mut journal) = (Instant::now(), journal());
        let event = Event::EndpointNotVerified {
            endpoint: &"10.0.0.1:1",
            reason: &"authority_unfit",
            authority: Some(Quoted("CN=the root")),
            retry_in: SUMMARY_INTERVAL,
        };
        (0..=TROUBLES_AT_ONCE).for_each(|_| journal.log(event, now, 0));
        let line = "WARN endpoint not verified endpoint=10.0.0.1:1 reason=authority_unfit \
                    authority=\"CN=the root\" retry_in=1s";
        assert_eq!(lines().pop().as_deref(), Some(line));
        (0..2).for_each(|_| journal.log(event, now, 0));
        journal.log_rest(0);
        let together = "WARN discovery changed not_verified=[10.0.0.1:1/authority_unfit,+2]";
        assert_eq!(lines(), [together]);
    }

    #[test]
    fn most_events_are_written_at_once() {
        let (now, mut journal) = (Instant::now(), journal());
        for _ in 0..100 {
            journal.log(Event::SpliceRefused, now, 0);
        }
        assert_eq!((lines().len(), journal.deadline()), (100, None));
    }

    #[test]
    fn newcomers_are_remembered_within_bounds() {
        let mut journal = journal();
        let all = 2 * NEWCOMERS_KNOWN_MAX;
        assert!((0..all).all(|number| journal.is_newcomer(&number.to_string())));
        assert_eq!(journal.known.len(), NEWCOMERS_KNOWN_MAX);
        assert!(!journal.is_newcomer(&(all - 1).to_string()), "the last one");
        assert!(journal.is_newcomer("0"), "long ago");
    }
}
