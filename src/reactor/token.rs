//! The token under which a socket is registered: {kind, slot, generation} in one word and back.
//!
//! ```text
//!   bit 0-2   kind
//!   bit 3-22  slot
//!   bit 23-   generation: 32 bits, or the lowest 9 where a word has 32
//! ```
//!
//! A slot is reused. A late event of its former value has the former generation, so it finds no
//! value. Where only 9 bits of the generation fit, it could find another value 512 insertions
//! later, which does no harm: events are hints.

use crate::arena::{Arena, Generation, Key};
use crate::config::CONNECTIONS_MAX;
use crate::relay::step::Side;

const KIND_BITS: u32 = 3;
const SLOT_BITS: u32 = 20;
const SLOT_SHIFT: u32 = KIND_BITS;
const GENERATION_SHIFT: u32 = KIND_BITS + SLOT_BITS;
const GENERATION_BITS: u32 = if usize::BITS == 64 { 32 } else { usize::BITS - GENERATION_SHIFT };
const GENERATION_MASK: u32 = u32::MAX >> (32 - GENERATION_BITS);

const _: () = assert!(CONNECTIONS_MAX <= 1 << SLOT_BITS, "a slot must fit its bits");
const _: () = assert!(GENERATION_SHIFT + GENERATION_BITS <= usize::BITS);

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A listener.
    Listener,
    /// One side of a pair. Each dial has a generation of its own; the client has that of the slot.
    Pair(Side),
    /// A socket of an exchange.
    Exchange,
    /// A socket of an exchange in which an endpoint is asked whether it serves.
    Check,
    /// A socket of an exchange in which a source of endpoints asks a server.
    Line,
    /// A listener of the admin side.
    AdminListener,
}

/// The token of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The kind, which implies the arena of the slot.
    pub kind: Kind,
    /// The slot.
    pub slot: usize,
    /// The lowest [`GENERATION_BITS`] of the generation.
    generation: u32,
}

impl Token {
    /// The token of a value in an arena.
    pub fn new(kind: Kind, key: Key) -> Token {
        Token::of_generation(kind, key, key.generation())
    }

    /// The token of a socket that belongs to a value but has a generation of its own.
    pub fn of_generation(kind: Kind, key: Key, generation: Generation) -> Token {
        Token { kind, slot: key.slot(), generation: generation.get() & GENERATION_MASK }
    }

    /// Whether the token was made with this generation.
    #[inline]
    pub fn is_of(self, generation: Generation) -> bool {
        self.generation == generation.get() & GENERATION_MASK
    }

    /// The key of the value that the token was made for; `None` if that was removed.
    #[inline]
    pub fn key_in<T>(self, arena: &Arena<T>) -> Option<Key> {
        arena.key_at(self.slot).filter(|key| self.is_of(key.generation()))
    }

    /// The token as one word.
    pub fn pack(self) -> usize {
        assert!(self.slot < 1 << SLOT_BITS, "slot {} does not fit", self.slot);
        let kind = match self.kind {
            Kind::Listener => 0,
            Kind::Pair(Side::Client) => 1,
            Kind::Pair(Side::Server) => 2,
            Kind::Exchange => 3,
            Kind::Check => 4,
            Kind::Line => 5,
            Kind::AdminListener => 6,
        };
        (self.generation as usize) << GENERATION_SHIFT | self.slot << SLOT_SHIFT | kind
    }

    /// The inverse of [`Token::pack`]; `None` for a word that it cannot have made.
    #[inline]
    pub fn unpack(word: usize) -> Option<Token> {
        let kind = match word & ((1 << KIND_BITS) - 1) {
            0 => Kind::Listener,
            1 => Kind::Pair(Side::Client),
            2 => Kind::Pair(Side::Server),
            3 => Kind::Exchange,
            4 => Kind::Check,
            5 => Kind::Line,
            6 => Kind::AdminListener,
            _ => return None,
        };
        let slot = word >> SLOT_SHIFT & ((1 << SLOT_BITS) - 1);
        // The cast drops nothing: `pack` put at most 32 bits there.
        Some(Token { kind, slot, generation: (word >> GENERATION_SHIFT) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 7] = [
        Kind::Listener,
        Kind::Pair(Side::Client),
        Kind::Pair(Side::Server),
        Kind::Exchange,
        Kind::Check,
        Kind::Line,
        Kind::AdminListener,
    ];

    #[test]
    fn every_token_comes_back_as_it_was() {
        for generation in [0, 1, 300, GENERATION_MASK] {
            for slot in [0, 1, 255, 65_536, CONNECTIONS_MAX - 1] {
                for kind in KINDS {
                    let token = Token { kind, slot, generation };
                    assert_eq!(Token::unpack(token.pack()), Some(token));
                }
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_no_token() {
        for word in [7, 15, usize::MAX] {
            assert_eq!(Token::unpack(word), None);
        }
    }

    #[test]
    fn a_token_finds_its_value_alone() {
        let mut arena = Arena::default();
        let key = arena.insert('a');
        let token = Token::new(Kind::Exchange, key);
        assert_eq!(token.key_in(&arena), Some(key));
        arena.remove(key);
        assert_eq!(token.key_in(&arena), None);
        let next = arena.insert('b');
        assert_eq!((next.slot(), token.key_in(&arena)), (key.slot(), None));
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_slot_beyond_its_bits_is_a_bug() {
        let kind = Kind::Listener;
        let _ = Token { kind, slot: 1 << SLOT_BITS, generation: 0 }.pack();
    }
}
