//! What follows from health checks and from suspicion: log lines, endpoints that are left, and
//! names that are looked up again.

use std::time::{Duration, Instant};

use super::Upstream;
use super::checker::Decided;
use crate::config::{SILENCE_MAX, SILENCE_MIN, SILENCE_UNUSUAL_AFTER};
use crate::net::{Host, Net};
use crate::observe::events::{Event, Value};
use crate::reactor::context::Context;
use crate::relay::ending::Cause;
use crate::relay::silence::SilenceLimits;
use crate::upstream::{
    CheckChange, CheckFailure, CheckNews, EndpointId, EndpointSet, Question, Removed, Silent,
    Standing, Suspicion,
};

/// When silence of an endpoint that is checked gets suspicious.
const SUSPICIOUS: SilenceLimits = SilenceLimits { min: SILENCE_MIN, max: SILENCE_MAX };
/// When silence of another one is worth a line.
const UNUSUAL: SilenceLimits =
    SilenceLimits { min: SILENCE_UNUSUAL_AFTER, max: SILENCE_UNUSUAL_AFTER };

impl<N: Net + Host> Upstream<N> {
    /// Handles the timer of an endpoint's checks.
    pub(in crate::reactor) fn on_check_timer(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
    ) {
        let decided = self.checker.on_timer(context, &mut self.monitor.endpoints, endpoint);
        self.apply_check(context, decided);
    }

    /// Has endpoints checked for as long as the admin side is asked how they do, as if a client had
    /// come: the answers would be old where no client's dial finds out what has changed.
    pub(in crate::reactor) fn on_asked(&mut self, context: &mut Context<N>) {
        if context.observer.as_mut().is_some_and(|observer| observer.take_asked()) {
            self.checker.note_need(context, &mut self.monitor.endpoints);
        }
    }

    /// Applies what a check has changed.
    pub(super) fn apply_check(&mut self, context: &mut Context<N>, decided: Decided) {
        let Decided { news, revived, has_new_leader } = decided;
        if has_new_leader {
            self.discovery.on_doubt(context.now);
        }
        let has_changed = news.is_some() || revived.is_some();
        self.monitor.on_change(context, revived, "check");
        if let Some(news) = news {
            log_news(context, &self.monitor.endpoints, &news);
            if let CheckChange::BecameFailing { .. } = news.change {
                self.discovery.on_doubt(context.now);
            }
        }
        if has_changed {
            self.note_standing(context);
        }
    }

    /// Looks at the standing of all endpoints after a change: whether clients have to go to such
    /// as fail their checks, and whether those may be left.
    pub(super) fn note_standing(&mut self, context: &mut Context<N>) {
        let endpoints = &self.monitor.endpoints;
        let is_failing_open = endpoints.best_standing() == Some(Standing::Failing);
        let count = endpoints.active_count();
        let serving = endpoints.iter().filter(|(_, endpoint)| endpoint.is_serving()).count();
        // While one is there of which nothing is known, neither has begun nor ended.
        let is_failing_open = is_failing_open || self.is_failing_open && serving == 0;
        if is_failing_open && !self.is_failing_open {
            context.log(Event::FailingOpen { endpoints: count });
        } else if !is_failing_open && self.is_failing_open {
            context.log(Event::FailingOpenEnded { endpoints: serving });
        }
        self.is_failing_open = is_failing_open;
        self.is_standing_dirty = true;
        self.is_shown_dirty = true;
        context.note_turn();
    }

    /// The endpoints that fail their checks while another one serves, if they may be others than
    /// before: dials to them are to be abandoned.
    #[inline]
    pub(in crate::reactor) fn take_failing(&mut self) -> Option<Vec<Removed>> {
        std::mem::take(&mut self.is_standing_dirty).then(|| failing(&self.monitor.endpoints))
    }

    /// The endpoints whose running pairs are to be closed, with the time from which on and the
    /// reason: those that fail their checks, and those that were removed.
    pub(in crate::reactor) fn to_close(&self) -> Vec<(EndpointId, Instant, Cause)> {
        let failing = self.monitor.endpoints.replaceable();
        let with_pairs = failing.filter(|(_, endpoint, _)| endpoint.pairs() > 0);
        let due = with_pairs.filter_map(|(id, endpoint, since)| {
            let is_etcd = endpoint.health_check()?.question == Question::Etcd;
            Some((id, since + self.close_on_failure.delay(is_etcd)?, Cause::EndpointFailed))
        });
        let delay = self.close_on_removal.delay();
        let leavers =
            self.monitor.endpoints.leavers().filter_map(|(id, removed_at)| {
                Some((id, removed_at + delay?, Cause::EndpointRemoved))
            });
        due.chain(leavers).collect()
    }

    /// Records that something speaks against the endpoint, so that it is checked at once.
    pub(in crate::reactor) fn suspect(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        suspicion: Suspicion,
    ) {
        if self.monitor.endpoints.suspect(endpoint, suspicion, context.now) {
            self.checker.sync_timer(context, &self.monitor.endpoints, endpoint);
        }
    }

    /// Records that the endpoint has answered a client within this time at the longest.
    pub(in crate::reactor) fn on_answer(&mut self, endpoint: EndpointId, longest: Duration) {
        self.monitor.endpoints.on_answer(endpoint, longest, SILENCE_UNUSUAL_AFTER);
    }

    /// Looks at bytes of a client that have been without an answer for `unanswered`, and had been
    /// for `before` at the last look; `longest` is what the connection took so far. Returns at what
    /// length of the silence to look again.
    pub(in crate::reactor) fn on_unanswered(
        &mut self,
        context: &mut Context<N>,
        endpoint: EndpointId,
        before: Duration,
        unanswered: Duration,
        longest: Duration,
    ) -> Duration {
        let endpoints = &mut self.monitor.endpoints;
        if endpoints.get(endpoint).is_some_and(|found| found.is_checked()) {
            if SUSPICIOUS.is_due(before, unanswered, longest)
                && endpoints.suspect(endpoint, Suspicion::Silent, context.now)
            {
                self.checker.sync_timer(context, endpoints, endpoint);
            }
            return SUSPICIOUS.next_look(unanswered, longest);
        }
        if UNUSUAL.is_due(before, unanswered, longest)
            && let Some(Silent { longest_before }) =
                endpoints.on_silence(endpoint, unanswered, SILENCE_UNUSUAL_AFTER)
            && let Some(address) = endpoints.address(endpoint)
        {
            context.metrics.silences += 1;
            let (endpoint, silent_for) = (address as Value<'_>, unanswered);
            context.log(Event::EndpointSilent { endpoint, silent_for, longest_before });
        }
        UNUSUAL.next_look(unanswered, longest)
    }
}

/// Logs a change of what checks have shown.
fn log_news<N: Net>(context: &mut Context<N>, endpoints: &EndpointSet, news: &CheckNews) {
    let endpoint: Value<'_> = &news.address;
    let found = endpoints.get(news.id);
    let pairs = found.map_or(0, |found| found.pairs());
    let check = found.and_then(|found| found.health_check());
    let check: Value<'_> = check.map_or(&"none", |check| &check.question);
    context.log(match &news.change {
        CheckChange::BecamePassing { failed_for: Some(failed_for) } => {
            Event::EndpointPassing { endpoint, failed_for: *failed_for }
        }
        CheckChange::BecamePassing { failed_for: None } => {
            Event::EndpointChecked { endpoint, check }
        }
        CheckChange::BecameFailing { reason } => Event::EndpointFailing { endpoint, reason, pairs },
        CheckChange::FailsOtherwise { reason } => {
            Event::EndpointFailsOtherwise { endpoint, reason }
        }
        CheckChange::Unanswered { reason } => Event::EndpointCheckUnanswered { endpoint, reason },
        CheckChange::BecameForeign { reason: reason @ CheckFailure::ClientCertificateHasName } => {
            Event::EndpointNotCheckable { endpoint, reason }
        }
        CheckChange::BecameForeign { reason } => Event::EndpointNotChecked { endpoint, reason },
    });
}

/// The endpoints that fail their checks while another one serves.
fn failing(endpoints: &EndpointSet) -> Vec<Removed> {
    let failing = endpoints.replaceable().map(|(id, endpoint, _)| Removed {
        id,
        address: endpoint.address().clone(),
        pairs: endpoint.pairs(),
    });
    failing.collect()
}
