//! What is recorded of each pair to be shown: its attempts, how long its dial and its first answer
//! took, and how much of its payload is counted already.
//!
//! Apart from the slots, since it is there only if something shows it. Payload of running pairs is
//! looked at once a second, some pairs in each turn, instead of being counted with each message.

use std::time::{Duration, Instant};

use super::Relays;
use super::slot::Slot;
use crate::arena::Key;
use crate::config::limits::SAMPLED_PAIRS_PER_TURN;
use crate::net::{Host, Net, Telemetry};
use crate::observe::access_log::AccessRecord;
use crate::reactor::context::Context;
use crate::reactor::upstream::Upstream;
use crate::relay::ending::EndedIn;
use crate::relay::step::Side;

/// What is recorded of all pairs.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// By slot.
    rows: Vec<Account>,
    /// The slot that is looked at next; `None`: the pairs are not being looked at.
    cursor: Option<usize>,
}

/// What is recorded of one pair.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Dials that began.
    pub(super) attempts: u32,
    /// How long the dial took by which the pair is connected.
    pub(super) dial: Option<Duration>,
    /// When the client's first bytes were read.
    asked_at: Option<Instant>,
    /// From then to the server's first bytes.
    pub(super) first_byte: Option<Duration>,
    /// Payload that is counted already, by its source.
    counted: [u64; 2],
}

impl Accounts {
    /// The account of the pair in this slot.
    pub(super) fn of(&mut self, key: Key) -> &mut Account {
        let slot = key.slot();
        if self.rows.len() <= slot {
            self.rows.resize_with(slot + 1, Account::default);
        }
        &mut self.rows[slot]
    }

    /// Begins the account of a new pair.
    pub(super) fn open(&mut self, key: Key) {
        *self.of(key) = Account::default();
    }
}

impl Account {
    /// Notes the client's first bytes. Returns whether they are.
    pub(super) fn note_asked(&mut self, now: Instant) -> bool {
        let is_first = self.asked_at.is_none();
        self.asked_at.get_or_insert(now);
        is_first
    }

    /// Notes the server's first bytes in answer to those, and returns how long they took.
    pub(super) fn note_answered(&mut self, now: Instant) -> Option<Duration> {
        debug_assert!(self.first_byte.is_none(), "the first one comes once");
        self.first_byte = self.asked_at.map(|asked_at| now.saturating_duration_since(asked_at));
        self.first_byte
    }

    /// Counts the payload that was delivered since the last time.
    pub(super) fn take_delivered(&mut self, delivered: [u64; 2]) -> [u64; 2] {
        let before = std::mem::replace(&mut self.counted, delivered);
        std::array::from_fn(|side| delivered[side] - before[side])
    }
}

impl<N: Net + Host> Relays<N> {
    /// Looks at some pairs: counts what they have delivered. Takes a sample of the endpoints after
    /// the last one.
    pub(in crate::reactor) fn sample_pairs(
        &mut self,
        context: &mut Context<N>,
        upstream: &Upstream<N>,
    ) {
        let (Some(accounts), Some(observer)) = (&mut self.accounts, &mut context.observer) else {
            return;
        };
        if observer.take_sample_due() {
            accounts.cursor.get_or_insert(0);
        }
        let Some(first) = accounts.cursor else { return };
        let count = accounts.rows.len();
        let end = count.min(first + SAMPLED_PAIRS_PER_TURN);
        for slot in first..end {
            let Some(slot) = self.slots.key_at(slot).map(|key| (key, &self.slots[key])) else {
                continue;
            };
            let (key, slot) = slot;
            let delivered = Side::BOTH.map(|side| slot.pair.flow(side).delivered());
            let bytes = accounts.rows[key.slot()].take_delivered(delivered);
            if let Some(endpoint) = slot.endpoint.filter(|_| bytes != [0, 0]) {
                observer.endpoints.add_bytes(endpoint, bytes);
            }
        }
        accounts.cursor = (end < count).then_some(end);
        match accounts.cursor {
            Some(_) => observer.note_next_turn(),
            None => observer.endpoints.sample(upstream.endpoints()),
        }
    }
}

/// Counts what is left to be counted of a pair that has ended, and adds its line to the access
/// log.
pub(super) fn close_account<N: Net + Host>(
    accounts: &mut Option<Box<Accounts>>,
    context: &mut Context<N>,
    upstream: &Upstream<N>,
    key: Key,
    slot: &Slot<N>,
) {
    let Some(accounts) = accounts else { return };
    let Context { net, observer, metrics, now, .. } = context;
    let (Some(observer), Some(ending)) = (observer, slot.pair.ending()) else { return };
    let account = accounts.of(key);
    let delivered = Side::BOTH.map(|side| slot.pair.flow(side).delivered());
    let bytes = account.take_delivered(delivered);
    if let Some(endpoint) = slot.endpoint.filter(|_| bytes != [0, 0]) {
        observer.endpoints.add_bytes(endpoint, bytes);
    }
    let duration = now.saturating_duration_since(slot.accepted_at);
    // As in the counters: a client that was rejected had no connection to take time.
    if !ending.is_unserved() {
        observer.timings.connections.add(duration);
    }
    let Some(access) = &mut observer.access else { return };
    let endpoint = slot.endpoint.filter(|_| ending.phase != EndedIn::Dialing);
    let is_long = access.add(&AccessRecord {
        time: net.telemetry().unix_time(),
        client: &slot.client_address,
        listener: &metrics.listener(slot.listener).address,
        endpoint: endpoint.and_then(|endpoint| upstream.address(endpoint)),
        name: endpoint.and_then(|endpoint| observer.endpoints.name(endpoint)),
        attempts: account.attempts,
        dial: account.dial,
        first_byte: account.first_byte,
        duration,
        client_bytes: delivered[Side::Client.index()],
        server_bytes: delivered[Side::Server.index()],
        cause: ending.cause,
        phase: ending.phase,
    });
    if is_long {
        context.write_access_log();
    }
}
