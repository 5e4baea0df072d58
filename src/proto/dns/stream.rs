//! A question and its answer on a stream: two bytes of length before each message (RFC 1035,
//! 4.2.2). Must not know a socket: says what is to be written, and takes what was read.

/// One question, on its way out, and the answer on its way in.
///
/// Invariant: `written <= outgoing.len()`, and at most 65537 bytes have come in.
#[derive(Debug)]
pub struct Framing {
    outgoing: Vec<u8>,
    written: usize,
    incoming: Vec<u8>,
    /// The answer was handed over.
    is_answered: bool,
}

const LENGTH_BYTES: usize = 2;

impl Framing {
    /// A question that is to be sent.
    ///
    /// # Panics
    /// When it is longer than 65535 bytes, which no question is.
    pub fn new(message: &[u8]) -> Framing {
        let length = u16::try_from(message.len()).expect("a question is short");
        let outgoing = [&length.to_be_bytes(), message].concat();
        debug_assert_eq!(outgoing.len(), LENGTH_BYTES + message.len());
        Framing { outgoing, written: 0, incoming: Vec::new(), is_answered: false }
    }

    /// The bytes that are still to be written; empty once all were.
    pub fn unwritten(&self) -> &[u8] {
        &self.outgoing[self.written..]
    }

    /// Notes that `bytes` more of it were written, which it has.
    pub fn wrote(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.unwritten().len(), "more than there was");
        self.written += bytes;
        assert!(self.written <= self.outgoing.len(), "more than there was");
        self.invariants();
    }

    /// Takes bytes that were read: at most 65537 are kept.
    pub fn take(&mut self, bytes: &[u8]) {
        self.invariants();
        let room = LENGTH_BYTES + usize::from(u16::MAX) - self.incoming.len();
        self.incoming.extend_from_slice(&bytes[..bytes.len().min(room)]);
        assert!(self.incoming.len() <= LENGTH_BYTES + usize::from(u16::MAX));
        self.invariants();
    }

    /// The answer, once it is whole, and once.
    pub fn take_message(&mut self) -> Option<Vec<u8>> {
        let message = self.message().filter(|_| !self.is_answered)?.to_vec();
        self.is_answered = true;
        debug_assert!(message.len() + LENGTH_BYTES <= self.incoming.len(), "of what has not come");
        Some(message)
    }

    /// The answer, once it is whole. Bytes that follow it are ignored.
    fn message(&self) -> Option<&[u8]> {
        let (length, rest) = self.incoming.split_first_chunk::<LENGTH_BYTES>()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }

    fn invariants(&self) {
        debug_assert!(self.outgoing.len() >= LENGTH_BYTES, "a question without its length");
        debug_assert!(self.incoming.len() <= LENGTH_BYTES + usize::from(u16::MAX), "no end");
        debug_assert!(!self.is_answered || self.message().is_some(), "what was given is not there");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_goes_out_behind_its_length() {
        let mut framing = Framing::new(b"what?");
        assert_eq!(framing.unwritten(), b"\0\x05what?");
        framing.wrote(1);
        assert_eq!(framing.unwritten(), b"\x05what?");
        framing.wrote(6);
        assert_eq!(framing.unwritten(), b"");
    }

    #[test]
    fn an_answer_is_whole_or_none_however_it_is_split() {
        let sent = b"\0\x06answer and more";
        for first in 0..sent.len() {
            let mut framing = Framing::new(b"");
            framing.take(&sent[..first]);
            let want = (first >= 8).then_some(&b"answer"[..]);
            assert_eq!(framing.message(), want, "{first}");
            framing.take(&sent[first..]);
            assert_eq!(framing.message(), Some(&b"answer"[..]), "{first}");
        }
    }

    #[test]
    fn no_more_is_kept_than_one_message_can_be() {
        let mut framing = Framing::new(b"");
        framing.take(&[0xff; 2]);
        for _ in 0..10 {
            framing.take(&[7; 60_000]);
        }
        assert_eq!(framing.message().map(<[u8]>::len), Some(65_535));
        assert_eq!(framing.incoming.len(), 65_537);
    }
}
