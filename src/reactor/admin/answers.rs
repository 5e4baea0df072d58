//! What is answered: the resources of the admin side, and the facts that they are rendered from.
//! Changes nothing.

use crate::arena::Key;
use crate::discovery::{NameState, Names};
use crate::net::{Host, Net, Telemetry};
use crate::observe::facts::{
    EndpointCounts, EndpointFacts, Facts, NameFacts, RunState, Snapshot, StateChange,
};
use crate::observe::metrics::Metrics;
use crate::observe::page::{self, PageRendering};
use crate::observe::records::EndpointRecords;
use crate::observe::render::{Format, MetricsRendering, StatusRendering, history_of, readiness};
use crate::proto::http1::{Head, Length, Method, ServedRequest};
use crate::reactor::context::Context;
use crate::reactor::relays::Relays;
use crate::reactor::upstream::Upstream;
use crate::upstream::EndpointSet;
use std::time::Instant;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// The methods of all resources.
const ALLOW: &[(&str, &str)] = &[("Allow", "GET, HEAD")];
/// The features that the program was built with.
const FEATURES: &[&str] = if cfg!(feature = "tls") { &["tls"] } else { &[] };

/// The parts of the reactor that are shown.
pub(super) struct Shown<'a, N: Net + Host> {
    pub(super) relays: &'a Relays<N>,
    pub(super) upstream: &'a Upstream<N>,
    pub(super) state: RunState,
}

impl<N: Net + Host> Shown<'_, N> {
    /// Whether there are pairs, which the admin side has to leave time for.
    pub(super) fn has_pairs(&self) -> bool {
        self.relays.len() > 0
    }

    fn snapshot(&self, context: &mut Context<N>) -> Box<Snapshot> {
        let telemetry = context.net.telemetry();
        let (usage, now) = (telemetry.usage(), telemetry.unix_time());
        let log_lines_dropped = telemetry.log_lines_dropped();
        let access_lines_dropped = telemetry.access_log_lines_dropped();
        let observer = context.observer.as_ref();
        let started = observer.map(|observer| observer.started);
        let timings = observer.map(|observer| observer.timings).unwrap_or_default();
        Box::new(Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            features: FEATURES,
            started_at: started.map(|started| started.unix_time).unwrap_or_default(),
            now,
            uptime: started
                .map(|started| context.now.saturating_duration_since(started.now))
                .unwrap_or_default(),
            state: self.state,
            usage,
            metrics: Metrics::clone(&context.metrics),
            timings,
            lookups: *self.upstream.discovery().names().lookups(),
            resources: self.relays.resources(),
            endpoints: EndpointCounts::of(self.upstream.endpoints()),
            log_lines_dropped,
            access_lines_dropped,
        })
    }
}

/// What is read while an answer is rendered.
struct Lists<'a> {
    endpoints: &'a EndpointSet,
    records: &'a EndpointRecords,
    names: &'a Names,
    now: Instant,
}

impl Facts for Lists<'_> {
    fn endpoint(&self, place: usize) -> Option<(usize, EndpointFacts<'_>)> {
        self.records.facts(self.endpoints, place, self.now)
    }

    fn name(&self, place: usize) -> Option<(usize, NameFacts<'_>)> {
        let (place, state) = self.names.at_or_above(place)?;
        let NameState { wanted, resolved_at, due_at, error } = state;
        let age = resolved_at.map(|at| self.now.saturating_duration_since(at));
        let next_in = due_at.map(|at| at.saturating_duration_since(self.now));
        Some((place, NameFacts { name: wanted, age, next_in, error }))
    }

    fn change(&self, index: usize) -> Option<&StateChange> {
        self.records.change(index)
    }
}

/// An answer that is being given.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    fields: &'static [(&'static str, &'static str)],
    content: Content,
}

enum Content {
    Text(String),
    Metrics(Box<Snapshot>, Box<MetricsRendering>),
    Status(Box<Snapshot>, Box<StatusRendering>),
    Page(Box<Snapshot>, Box<PageRendering>),
}

impl Answer {
    /// The answer to a request.
    pub(super) fn new<N: Net + Host>(
        request: &ServedRequest,
        context: &mut Context<N>,
        shown: &Shown<'_, N>,
    ) -> Answer {
        if !matches!(request.path.as_str(), "/" | "/metrics" | "/status" | "/healthz" | "/readyz") {
            return Answer::text(404, "not found\n".to_owned());
        }
        if request.method == Method::Other {
            let answer = Answer::text(405, "method not allowed\n".to_owned());
            return Answer { fields: ALLOW, ..answer };
        }
        if request.path != "/healthz"
            && let Some(observer) = &mut context.observer
        {
            observer.note_asked();
        }
        match request.path.as_str() {
            "/metrics" => {
                let format = match request.accepts_open_metrics {
                    true => Format::OpenMetrics,
                    false => Format::Prometheus,
                };
                let rendering = Box::new(MetricsRendering::new(format));
                let content = Content::Metrics(shown.snapshot(context), rendering);
                Answer { status: 200, content_type: format.content_type(), fields: &[], content }
            }
            "/status" => {
                let rendering = Box::new(StatusRendering::new(history_of(&request.query)));
                let content = Content::Status(shown.snapshot(context), rendering);
                Answer { status: 200, content_type: JSON, fields: &[], content }
            }
            "/" => {
                let rendering = Box::new(PageRendering::new());
                let content = Content::Page(shown.snapshot(context), rendering);
                Answer { status: 200, content_type: HTML, fields: page::FIELDS, content }
            }
            "/readyz" => Answer::readiness(shown),
            _ => Answer::text(200, "ok\n".to_owned()),
        }
    }

    fn text(status: u16, text: String) -> Answer {
        Answer { status, content_type: TEXT, fields: &[], content: Content::Text(text) }
    }

    fn readiness<N: Net + Host>(shown: &Shown<'_, N>) -> Answer {
        let counts = EndpointCounts::of(shown.upstream.endpoints());
        match readiness(shown.state, counts) {
            Ok(()) => Answer::text(200, "ready\n".to_owned()),
            Err(reasons) => {
                Answer::text(503, reasons.iter().map(|reason| format!("{reason}\n")).collect())
            }
        }
    }

    /// The head of the answer.
    pub(super) fn head(&self) -> Head {
        let length = match &self.content {
            Content::Text(text) => Length::Known(text.len()),
            Content::Metrics(..) | Content::Status(..) | Content::Page(..) => Length::Unknown,
        };
        let Answer { status, content_type, fields, .. } = *self;
        Head { status, content_type, length, fields }
    }

    /// Writes the next piece of the body.
    pub(super) fn write_piece<N: Net + Host>(
        &mut self,
        context: &mut Context<N>,
        key: Key,
        shown: &Shown<'_, N>,
    ) {
        let Context { exchanges, observer, now, .. } = context;
        let (Some(server), Some(observer)) = (exchanges.server_of(key), observer.as_ref()) else {
            return;
        };
        let facts = Lists {
            endpoints: shown.upstream.endpoints(),
            records: &observer.endpoints,
            names: shown.upstream.discovery().names(),
            now: *now,
        };
        let content = &mut self.content;
        server.body(&mut |out| match content {
            Content::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
            Content::Metrics(snapshot, rendering) => rendering.next(snapshot, &facts, out),
            Content::Status(snapshot, rendering) => rendering.next(snapshot, &facts, out),
            Content::Page(snapshot, rendering) => rendering.next(snapshot, &facts, out),
        });
    }
}
