//! What an event's token says: {kind, side, generation, slot} packed into one word and back.
//!
//! ```text
//!   bit 0-2   kind and side
//!   bit 3-22  slot
//!   bit 23-   generation: 32 bits, or the 9 that are left where a word has 32
//! ```
//!
//! A slot is used again and again. An event that was meant for its former user carries the former
//! generation, so it is recognised and dropped.

use crate::config::CONNECTIONS_MAX;
use crate::relay::step::Side;

const KIND_BITS: u32 = 3;
const SLOT_BITS: u32 = 20;
const SLOT_SHIFT: u32 = KIND_BITS;
const GENERATION_SHIFT: u32 = KIND_BITS + SLOT_BITS;
const GENERATION_BITS: u32 = if usize::BITS == 64 { 32 } else { usize::BITS - GENERATION_SHIFT };

const _: () = assert!(CONNECTIONS_MAX <= 1 << SLOT_BITS, "a slot must fit its bits");
const _: () = assert!(GENERATION_SHIFT + GENERATION_BITS <= usize::BITS);

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A listener, by its index. There is one generation of them.
    Listener(usize),
    /// One side of a pair.
    Pair { slot: usize, side: Side, generation: Generation },
    /// A dial of the monitor.
    Probe { slot: usize, generation: Generation },
    /// A socket of the resolver.
    Exchange { slot: usize, generation: Generation },
}

/// Tells apart the successive users of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// The next one. Wraps; by then the former user has long been forgotten.
    pub fn next(self) -> Generation {
        let mask = u32::MAX >> (32 - GENERATION_BITS);
        Generation(self.0.wrapping_add(1) & mask)
    }
}

impl Token {
    /// As one word.
    pub fn pack(self) -> usize {
        let (kind, slot, generation) = match self {
            Token::Listener(index) => (0, index, Generation(0)),
            Token::Pair { slot, side: Side::Client, generation } => (1, slot, generation),
            Token::Pair { slot, side: Side::Server, generation } => (2, slot, generation),
            Token::Probe { slot, generation } => (3, slot, generation),
            Token::Exchange { slot, generation } => (4, slot, generation),
        };
        assert!(slot < 1 << SLOT_BITS, "slot {slot} does not fit");
        (generation.0 as usize) << GENERATION_SHIFT | slot << SLOT_SHIFT | kind
    }

    /// What [`Token::pack`] packed.
    pub fn unpack(word: usize) -> Token {
        let slot = word >> SLOT_SHIFT & ((1 << SLOT_BITS) - 1);
        // The cast drops nothing: `pack` put at most 32 bits there.
        let generation = Generation((word >> GENERATION_SHIFT) as u32);
        match word & ((1 << KIND_BITS) - 1) {
            0 => Token::Listener(slot),
            1 => Token::Pair { slot, side: Side::Client, generation },
            2 => Token::Pair { slot, side: Side::Server, generation },
            3 => Token::Probe { slot, generation },
            _ => Token::Exchange { slot, generation },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let last = Generation(u32::MAX >> (32 - GENERATION_BITS));
        for generation in [Generation(0), Generation(1), Generation(300), last] {
            for slot in [0, 1, 255, 65_536, CONNECTIONS_MAX - 1] {
                for token in [
                    Token::Pair { slot, side: Side::Client, generation },
                    Token::Pair { slot, side: Side::Server, generation },
                    Token::Probe { slot, generation },
                    Token::Exchange { slot, generation },
                ] {
                    assert_eq!(Token::unpack(token.pack()), token);
                }
            }
        }
        assert_eq!(Token::unpack(Token::Listener(3).pack()), Token::Listener(3));
    }

    #[test]
    fn generations_wrap_within_their_bits() {
        let last = Generation(u32::MAX >> (32 - GENERATION_BITS));
        assert_eq!(last.next(), Generation(0));
        assert_eq!(Generation(0).next(), Generation(1));
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_slot_beyond_its_bits_is_a_bug() {
        Token::Listener(1 << SLOT_BITS).pack();
    }
}
