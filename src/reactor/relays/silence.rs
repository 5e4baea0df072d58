//! The pairs whose client waits for an answer: looked at now and then, so that a server that is
//! silent is noticed. Bytes themselves cost no timer work.

use std::time::{Duration, Instant};

use super::Slot;
use crate::arena::{Arena, Key};
use crate::config::SILENCE_LOOK_MIN;
use crate::net::{Host, Net};
use crate::reactor::context::{Context, Timer};
use crate::reactor::upstream::Upstream;
use crate::reactor::wheel::TimerKey;
use crate::relay::Phase;
use crate::relay::silence::Framing;
use crate::scheme::Scheme;
use crate::upstream::{Endpoint, Question};

/// What counts as a question and an answer on a client's connection to the endpoint.
pub(super) fn framing(endpoint: &Endpoint) -> Framing {
    match endpoint.health_check() {
        Some(check) if check.question == Question::Etcd && endpoint.is_checked() => {
            match check.scheme {
                Scheme::Http => Framing::Http2,
                Scheme::Https => Framing::Http2OverTls,
            }
        }
        _ => Framing::Unknown,
    }
}

/// Keys of pairs that are gone, however few pairs there are.
const GONE_MAX: usize = 64;

/// Pairs with bytes that had no answer when they were last looked at.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Each once.
    keys: Vec<Key>,
    timer: Option<TimerKey>,
    /// When to look at them, while there are any.
    look_at: Option<Instant>,
    /// When they were last looked at.
    looked_at: Instant,
    /// From the first bytes without an answer to the first look.
    first_look: Duration,
}

impl Unanswered {
    pub(super) fn new(first_look: Duration, now: Instant) -> Unanswered {
        debug_assert!(first_look >= SILENCE_LOOK_MIN);
        let keys = Vec::with_capacity(2 * GONE_MAX);
        Unanswered { keys, timer: None, look_at: None, looked_at: now, first_look }
    }

    /// Adds a pair that is not among them.
    pub(super) fn add<N: Net>(&mut self, context: &mut Context<N>, key: Key) {
        self.keys.push(key);
        if self.look_at.is_none() {
            self.looked_at = context.now;
            self.plan(context, Some(context.now + self.first_look));
        }
    }

    fn plan<N: Net>(&mut self, context: &mut Context<N>, look_at: Option<Instant>) {
        self.look_at = look_at;
        context.rearm(&mut self.timer, look_at, Timer::Silence);
    }

    /// Whether it is time to look at the pairs.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }

    /// Looks at the pairs: reports each that is silent for longer than usual to the upstream, and
    /// forgets those that have an answer.
    pub(super) fn look<N: Net + Host>(
        &mut self,
        slots: &mut Arena<Slot<N>>,
        context: &mut Context<N>,
        upstream: &mut Upstream<N>,
    ) {
        let now = context.now;
        let now_ms = context.wheel.now_ms() as u32;
        let since = now.saturating_duration_since(self.looked_at);
        let mut next_look: Option<Duration> = None;
        self.keys.retain(|key| {
            let Some(slot) = slots.get_mut(*key) else { return false };
            let endpoint = slot.endpoint.filter(|_| matches!(slot.pair.phase(), Phase::Relaying));
            let (longest, unanswered) = (slot.answers.longest(), slot.answers.unanswered(now_ms));
            let (Some(endpoint), Some(unanswered)) = (endpoint, unanswered) else {
                slot.awaits_answer = false;
                if let Some(endpoint) = endpoint {
                    upstream.on_answer(endpoint, longest);
                }
                return false;
            };
            let before = unanswered.saturating_sub(since);
            let look = upstream.on_unanswered(context, endpoint, before, unanswered, longest);
            let wait = look.saturating_sub(unanswered);
            next_look = Some(next_look.map_or(wait, |next| next.min(wait)));
            true
        });
        self.looked_at = now;
        let wait = next_look.map(|wait| wait.max(SILENCE_LOOK_MIN).max(self.first_look / 2));
        self.plan(context, wait.map(|wait| now + wait));
    }

    /// Forgets pairs that are gone, once they may be the majority. Forgetting each at once would
    /// take quadratic time for many pairs. A timer that fires soon stays even without a pair: short
    /// connections would arm it, and cancel it, again and again.
    pub(super) fn prune<N: Net>(&mut self, context: &mut Context<N>, slots: &Arena<Slot<N>>) {
        if self.keys.len() > 2 * slots.len() + GONE_MAX {
            self.keys.retain(|key| slots.contains(*key));
        }
        let is_far = self.look_at.is_some_and(|at| at > context.now + self.first_look);
        if is_far && slots.is_empty() {
            self.keys.clear();
            self.plan(context, None);
        }
    }

    /// Whether there are not many more keys than pairs: each pair has one, and those of gone ones
    /// are forgotten once there are twice as many.
    pub(super) fn is_bounded(&self, pairs: usize) -> bool {
        self.keys.len() <= 3 * pairs + GONE_MAX
    }
}
