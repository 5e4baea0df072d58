//! A stream of JSON objects, cut into its messages.
//!
//! Owns where a message ends: where its braces and brackets are closed. Chunks of HTTP do not say
//! it: etcd sends a message of more than 2048 bytes in two, a proxy may send any, and the last
//! message of a stream has no line break behind it. What a message means is decided elsewhere.
//!
//! ```text
//! bytes   {"result":{..}}\n{"resu | lt":{..}}\n
//! state   ────────────────  ┌─────┴── Within { depth, .. }: kept
//!         a message         └───────────► a message
//! ```

use std::mem;

use super::json::Malformed;

/// Where the last byte of the stream was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two messages.
    Between,
    /// In a message, outside of its strings, with braces and brackets to close.
    Within { depth: usize },
    /// In a string of a message.
    Text { depth: usize },
    /// Behind a backslash in a string.
    Escape { depth: usize },
    /// In what is not a message, or too long for one: nothing can be read any further.
    Failed(Malformed),
}

/// Cuts a stream, at most one message of which is kept.
#[derive(Debug)]
pub struct Splitter {
    state: State,
    /// The beginning of a message that has not ended.
    message: Vec<u8>,
    bytes_max: usize,
}

impl Splitter {
    /// The beginning of a stream whose messages have at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Splitter {
        Splitter { state: State::Between, message: Vec::new(), bytes_max }
    }

    /// Takes bytes of the stream from the front of `input` until a message ends, which is returned
    /// without blanks around it. `None`: all bytes are taken, and no message ended.
    ///
    /// # Errors
    /// [`Malformed`], and the same with every further call: [`Malformed::TooLarge`] for a message
    /// of more bytes than it may have, [`Malformed::NotJson`] for a byte between messages that is
    /// neither a blank nor a brace. Not every other error is found: a message has to be parsed.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let bytes: &[u8] = input;
        let mut begin = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let (before, after) = (self.state, self.state.after(*byte));
            self.state = after;
            match (before, after) {
                (_, State::Failed(_)) => break,
                (State::Between, State::Between) => begin = at + 1,
                (_, State::Between) => {
                    self.keep(&bytes[begin..=at])?;
                    *input = &bytes[at + 1..];
                    return Ok(Some(mem::take(&mut self.message)));
                }
                _ => {}
            }
        }
        *input = &[];
        if let State::Failed(reason) = self.state {
            self.message = Vec::new();
            return Err(reason);
        }
        self.keep(&bytes[begin..])?;
        Ok(None)
    }

    /// Whether a message has begun and not ended: a stream that ends now is cut.
    pub fn is_within(&self) -> bool {
        self.state != State::Between
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.message.len() + bytes.len() > self.bytes_max {
            self.message = Vec::new();
            self.state = State::Failed(Malformed::TooLarge);
            return Err(Malformed::TooLarge);
        }
        self.message.extend_from_slice(bytes);
        debug_assert!(self.message.len() <= self.bytes_max);
        Ok(())
    }
}

impl State {
    /// The state behind one more byte.
    fn after(self, byte: u8) -> State {
        match (self, byte) {
            (State::Between, b' ' | b'\t' | b'\r' | b'\n') => State::Between,
            (State::Between, b'{') => State::Within { depth: 1 },
            (State::Between, _) => State::Failed(Malformed::NotJson),
            (State::Within { depth }, b'{' | b'[') => State::Within { depth: depth + 1 },
            (State::Within { depth: 1 }, b'}' | b']') => State::Between,
            (State::Within { depth }, b'}' | b']') => State::Within { depth: depth - 1 },
            (State::Within { depth }, b'"') => State::Text { depth },
            (State::Text { depth }, b'"') => State::Within { depth },
            (State::Text { depth }, b'\\') => State::Escape { depth },
            (State::Escape { depth }, _) => State::Text { depth },
            (same @ (State::Within { .. } | State::Text { .. } | State::Failed(_)), _) => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 64;

    /// The messages of a stream that comes in these pieces, and the error that ends it.
    fn split(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Malformed>, bool) {
        let mut splitter = Splitter::new(BYTES_MAX);
        let mut messages = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match splitter.next(&mut input) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(reason) => return (messages, Some(reason), splitter.is_within()),
                }
            }
            assert!(input.is_empty());
        }
        (messages, None, splitter.is_within())
    }

    #[test]
    fn messages_end_where_their_braces_are_closed() {
        for (stream, want) in [
            ("", &[][..]),
            (" \n\r\n\t", &[]),
            ("{}", &["{}"]),
            ("{}{}", &["{}", "{}"]),
            ("{\"a\":1}\n{\"b\":[{}]}\n", &["{\"a\":1}", "{\"b\":[{}]}"]),
            (" \n{\n\"a\" : 1\n}\n", &["{\n\"a\" : 1\n}"]),
            (r#"{"a":"}{"}{"b":"\"}"}"#, &[r#"{"a":"}{"}"#, r#"{"b":"\"}"}"#]),
            (r#"{"a":"\\"}{}"#, &[r#"{"a":"\\"}"#, "{}"]),
            ("{]{}", &["{]", "{}"]),
        ] {
            let want: Vec<Vec<u8>> = want.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(split(&[stream.as_bytes()]), (want, None, false), "{stream}");
        }
    }

    #[test]
    fn every_cut_gives_the_same_messages() {
        let stream = br#" {"a":"\"}\\","b":[{},[]]}
            {}{"c":"{"} {"d""#;
        let whole = split(&[stream]);
        assert_eq!((whole.0.len(), whole.1, whole.2), (3, None, true));
        for at in 0..=stream.len() {
            let (first, rest) = stream.split_at(at);
            assert_eq!(split(&[first, rest]), whole, "{at}");
            for other in 0..=rest.len() {
                let (second, third) = rest.split_at(other);
                assert_eq!(split(&[first, second, third]), whole, "{at} {other}");
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(split(&bytes), whole);
    }

    #[test]
    fn what_is_not_a_message_ends_the_stream() {
        for (stream, messages) in [("x", 0), ("{}x", 1), ("}", 0), ("[]", 0), ("{},{}", 1)] {
            let (found, reason, _) = split(&[stream.as_bytes()]);
            assert_eq!((found.len(), reason), (messages, Some(Malformed::NotJson)), "{stream}");
        }
        let mut splitter = Splitter::new(BYTES_MAX);
        assert_eq!(splitter.next(&mut &b"x"[..]), Err(Malformed::NotJson));
        assert_eq!(splitter.next(&mut &b"{}"[..]), Err(Malformed::NotJson));
        assert_eq!(splitter.next(&mut &b""[..]), Err(Malformed::NotJson));
    }

    fn message_of(bytes: usize) -> String {
        format!("{{\"{}\"}}", "a".repeat(bytes - 4))
    }

    #[test]
    fn messages_are_bounded() {
        let longest = message_of(BYTES_MAX);
        let longer = message_of(BYTES_MAX + 1);
        for cut in 0..=BYTES_MAX {
            let (first, rest) = longest.as_bytes().split_at(cut);
            assert_eq!(split(&[b"\n\n", first, rest, b"\n\n"]).0, [longest.as_bytes()]);
            let (first, rest) = longer.as_bytes().split_at(cut);
            assert_eq!(split(&[first, rest]), (Vec::new(), Some(Malformed::TooLarge), true));
        }
        let mut splitter = Splitter::new(BYTES_MAX);
        assert_eq!(splitter.next(&mut &[b'{'; 1000][..]), Err(Malformed::TooLarge));
        assert_eq!(splitter.message.capacity(), 0);
        assert_eq!(splitter.next(&mut &b"{}"[..]), Err(Malformed::TooLarge));
        assert_eq!(split(&[&[b'\n'; 1000], b"{}"]).0, [b"{}"]);
    }
}
