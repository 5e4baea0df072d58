//! One direction of a connection, as TCP carries it: bytes and an end, in order, through a send
//! queue and a receive queue of bounded length. Knows no time; the world says when bytes move.
//!
//! ```text
//!   program ──► sent ──(send queue)──► arrived ──(receive queue)──► taken ──► program
//!               end                    end                          end
//! ```
//!
//! Always holds: `taken <= arrived <= sent`, and the end follows the last byte at each station.
//! Bytes are positions: the byte at one is a function of the wire and the position, so that a
//! receiver can tell whether bytes are the next ones, and nothing needs to be stored.

use std::sync::OnceLock;

/// A prime, so that no size of a buffer divides it.
const PERIOD: usize = 65_521;

#[derive(Debug)]
pub struct Wire {
    /// Tells the bytes of this wire from those of all others.
    stream: u64,
    send_room: u64,
    receive_room: u64,
    pub sent: u64,
    pub arrived: u64,
    pub taken: u64,
    pub end_sent: bool,
    pub end_arrived: bool,
    pub end_taken: bool,
    /// A byte out of band was sent here: a read stops before it, and the next one goes on. A splice
    /// does not get past it.
    pub urgent_mark: Option<u64>,
    /// Whether the world has something moving on this wire already.
    pub is_moving: bool,
    /// No byte arrives from now on.
    pub is_held: bool,
}

impl Wire {
    pub fn new(stream: u64, send_room: u64, receive_room: u64) -> Wire {
        Wire {
            stream,
            send_room,
            receive_room,
            sent: 0,
            arrived: 0,
            taken: 0,
            end_sent: false,
            end_arrived: false,
            end_taken: false,
            urgent_mark: None,
            is_moving: false,
            is_held: false,
        }
    }

    /// Bytes that the send queue still takes.
    pub fn room(&self) -> u64 {
        self.send_room.saturating_sub(self.sent - self.arrived)
    }

    /// Bytes that wait to be taken.
    pub fn waiting(&self) -> u64 {
        self.arrived - self.taken
    }

    /// What the sender's kernel still holds; the end counts as one byte, as in Linux.
    pub fn unacknowledged(&self) -> u64 {
        self.sent - self.arrived + u64::from(self.end_sent && !self.end_arrived)
    }

    /// Bytes that could arrive now.
    pub fn deliverable(&self) -> u64 {
        let window = self.receive_room.saturating_sub(self.waiting());
        (self.sent - self.arrived).min(window)
    }

    /// Whether anything could arrive now.
    pub fn can_deliver(&self) -> bool {
        let end_is_next = self.end_sent && !self.end_arrived && self.sent == self.arrived;
        !self.is_held && (self.deliverable() > 0 || end_is_next)
    }

    /// From now on both queues hold at least `bytes`.
    pub fn widen(&mut self, bytes: u64) {
        self.send_room = self.send_room.max(bytes);
        self.receive_room = self.receive_room.max(bytes);
    }

    /// From now on the send queue takes `bytes` more.
    pub fn leave_room(&mut self, bytes: u64) {
        self.send_room = self.sent - self.arrived + bytes;
    }

    /// From now on neither queue takes anything.
    pub fn close_queues(&mut self) {
        (self.send_room, self.receive_room) = (0, 0);
    }

    pub fn send(&mut self, bytes: u64) {
        assert!(!self.end_sent, "bytes behind the end");
        self.sent += bytes;
    }

    /// `bytes` arrive, and the end if it is next.
    pub fn deliver(&mut self, bytes: u64) {
        self.arrived += bytes;
        assert!(self.arrived <= self.sent, "arrived before it was sent");
        self.end_arrived = self.end_sent && self.arrived == self.sent;
    }

    /// `bytes` are taken.
    pub fn take(&mut self, bytes: u64) {
        self.taken += bytes;
        assert!(self.taken <= self.arrived, "taken before it arrived");
        if self.urgent_mark.is_some_and(|mark| mark < self.taken) {
            self.urgent_mark = None;
        }
    }

    /// Bytes that a splice could take: it does not get past an urgent mark, as a read does.
    pub fn spliceable(&self) -> u64 {
        let mark = self.urgent_mark.unwrap_or(u64::MAX);
        self.arrived.min(mark) - self.taken
    }

    /// Whether the end is all that is left to take.
    pub fn is_at_end(&self) -> bool {
        self.end_arrived && self.waiting() == 0
    }

    /// What was sent and has not arrived will never do.
    pub fn cut(&mut self) {
        self.sent = self.arrived;
        self.is_held = true;
    }

    /// The bytes from `position` on.
    pub fn fill(&self, mut position: u64, mut buffer: &mut [u8]) {
        while !buffer.is_empty() {
            let piece = self.piece(position, buffer.len());
            let (now, later) = buffer.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            position += piece.len() as u64;
            buffer = later;
        }
    }

    /// Whether these are the bytes from `position` on.
    pub fn matches(&self, mut position: u64, mut buffer: &[u8]) -> bool {
        while !buffer.is_empty() {
            let piece = self.piece(position, buffer.len());
            let (now, later) = buffer.split_at(piece.len());
            if now != piece {
                return false;
            }
            position += piece.len() as u64;
            buffer = later;
        }
        true
    }

    fn piece(&self, position: u64, length_max: usize) -> &'static [u8] {
        let start = (self.stream.wrapping_mul(48_271).wrapping_add(position)) % PERIOD as u64;
        let rest = &noise()[start as usize..];
        &rest[..rest.len().min(length_max)]
    }
}

/// Bytes without any pattern that is shorter than they are.
fn noise() -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    NOISE.get_or_init(|| {
        let mut random = crate::random::Random::new(0);
        (0..PERIOD).map(|_| random.bits() as u8).collect()
    })
}

#[test]
fn bytes_are_told_from_those_of_other_places_and_wires() {
    let wire = Wire::new(3, 0, 0);
    let mut bytes = [0; 300];
    wire.fill(PERIOD as u64 - 100, &mut bytes);
    assert!(wire.matches(PERIOD as u64 - 100, &bytes));
    assert!(!wire.matches(PERIOD as u64 - 99, &bytes));
    assert!(!Wire::new(4, 0, 0).matches(PERIOD as u64 - 100, &bytes));
    bytes[299] ^= 1;
    assert!(!wire.matches(PERIOD as u64 - 100, &bytes));
}
