//! Admission: who may come in, how many in one turn, and when accepting pauses and goes on.
//!
//! Listeners are edge-triggered: the kernel tells once that the backlog is no longer empty. The
//! acceptor remembers that until an accept says `WouldBlock`; pausing for lack of a slot or a
//! descriptor therefore loses no wake-up. Clients that wait meanwhile stay in the kernel's backlog.

use std::net::SocketAddr;

use super::pump::Held;
use super::token::Token;
use super::wheel::TimerKey;
use super::{Reactor, Slot, Timer};
use crate::config::{ACCEPT_PAUSE, ACCEPTS_PER_TURN};
use crate::net::{Accept, Net, NetError};
use crate::observe::events::Event;
use crate::relay::Pair;
use crate::relay::step::Side;

/// A listener and whether its backlog may hold a client.
pub(super) struct Acceptor<L> {
    pub(super) listener: L,
    pub(super) address: SocketAddr,
    pub(super) ready: bool,
}

/// Whether clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// They are, as long as there is a slot.
    Open,
    /// The system had no descriptor or memory for one. Tried again when this timer fires or a
    /// pair or probe of ours is reaped, whichever comes first.
    Paused(TimerKey),
}

impl<N: Net> Reactor<N> {
    /// Whether there is a client to let in, or one to go on with, and nothing in the way.
    pub(super) fn could_accept(&self) -> bool {
        let is_ready = self.acceptors.iter().any(|acceptor| acceptor.ready);
        match self.admission {
            Admission::Open => !self.starved.is_empty() || (is_ready && self.has_room()),
            Admission::Paused(_) => false,
        }
    }

    pub(super) fn on_listener_event(&mut self, index: usize) {
        match self.acceptors.get_mut(index) {
            Some(acceptor) => acceptor.ready = true,
            None => self.metrics.events_stale += 1,
        }
    }

    /// Lets clients in, as far as room and budget go.
    ///
    /// Those that were let in and lack a descriptor for their server go first, and pause accepting
    /// again if they still lack it. Otherwise clients would take each other's last descriptors, and
    /// none would be served.
    pub(super) fn accept(&mut self) {
        if !self.could_accept() {
            return;
        }
        if self.admission == Admission::Open {
            self.dial_starved();
        }
        let (first, count) = (self.acceptor_next, self.acceptors.len());
        for index in (first..count).chain(0..first.min(count)) {
            for _ in 0..ACCEPTS_PER_TURN {
                if !self.has_room() || !self.acceptors[index].ready {
                    break;
                }
                self.accept_one(index);
            }
        }
    }

    fn accept_one(&mut self, index: usize) {
        let generation = self.next_generation();
        let slot = self.slots.vacant_key();
        let token = Token::Pair { slot, side: Side::Client, generation };
        let acceptor = &mut self.acceptors[index];
        match self.net.accept(&mut acceptor.listener, token.pack()) {
            Accept::WouldBlock => acceptor.ready = false,
            Accept::Connection(client, client_address) => {
                self.metrics.clients_accepted += 1;
                self.acceptor_next = index + 1;
                let key = self.slots.insert(Slot {
                    pair: Pair::new(self.now),
                    generations: [generation, generation],
                    client,
                    server: None,
                    held: [Held::Nothing, Held::Nothing],
                    timer: None,
                    endpoint: None,
                    client_address,
                    accepted_at: self.now,
                    queued: false,
                    doomed: false,
                });
                assert_eq!(key, slot, "the token names the slot");
                self.dial_next(key);
            }
            // The client left before its turn came; the next one may still be there.
            Accept::Failed(NetError::Aborted) => {}
            Accept::Failed(error) => self.pause_accepting(error),
        }
    }

    /// Any failure but a client's own may last. Trying again at once would spin, giving up would
    /// end the service: so it is tried again, but not at once.
    pub(super) fn pause_accepting(&mut self, error: NetError) {
        self.metrics.accept_pauses += 1;
        self.log(Event::AcceptPaused { reason: &error, pairs: self.slots.len() });
        self.pipes.make_way(&mut self.net, self.now);
        if self.admission == Admission::Open {
            let timer = self.wheel.arm(self.now + ACCEPT_PAUSE, Timer::Accept);
            self.admission = Admission::Paused(timer);
        }
    }

    /// A descriptor may have become free, or the pause is over.
    pub(super) fn resume_accepting(&mut self) {
        if let Admission::Paused(timer) = self.admission {
            self.wheel.cancel(timer);
            self.admission = Admission::Open;
        }
    }

    fn has_room(&self) -> bool {
        self.admission == Admission::Open && self.slots.len() < self.limits.connections_max
    }
}
