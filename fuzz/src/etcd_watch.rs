//! Streams of a watch: whatever the cuts are, the messages are the same, and no message is longer
//! than it may be.
//!
//! The oracle is a splitter over the whole stream that knows strings by looking for their ends. It
//! must not call the product. The first byte says where the stream is cut.

use etcd_gateway::config::ETCD_TEXT_CHARACTERS_MAX;
use etcd_gateway::proto::etcd::Malformed;
use etcd_gateway::proto::etcd::splitter::Splitter;
use etcd_gateway::proto::etcd::watch::{Message, parse};

/// Small enough that the fuzzer exceeds it.
const BYTES_MAX: usize = 512;
const PREFIX: &[u8] = b"svc/";

/// Messages, and what ended the stream.
type Split = (Vec<Vec<u8>>, Result<bool, Malformed>);

/// Reads the bytes behind the first one as a stream.
pub fn check(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else { return };
    let want = expected(stream);
    assert_eq!(split([stream]), want, "in one piece");
    assert_eq!(split(stream.chunks(1)), want, "byte by byte");
    assert_eq!(split(stream.chunks(usize::from(*step) + 1)), want, "in pieces of {step} + 1");
    let (first, rest) = stream.split_at(usize::from(*step).min(stream.len()));
    assert_eq!(split([first, &[], rest]), want, "cut at {step}");
    for message in &want.0 {
        assert!(message.len() <= BYTES_MAX);
        check_message(message);
    }
}

fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Split {
    let mut splitter = Splitter::new(BYTES_MAX);
    let mut messages = Vec::new();
    for mut piece in pieces {
        loop {
            match splitter.next(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(reason) => {
                    assert_eq!(splitter.next(&mut &b"{}"[..]), Err(reason), "it stays an error");
                    return (messages, Err(reason));
                }
            }
        }
        assert!(piece.is_empty());
    }
    (messages, Ok(splitter.is_within()))
}

/// The same from the whole stream.
fn expected(stream: &[u8]) -> Split {
    let mut messages = Vec::new();
    let mut rest = stream;
    loop {
        let blanks = rest.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
        rest = &rest[blanks..];
        match rest.first() {
            None => return (messages, Ok(false)),
            Some(b'{') => {}
            Some(_) => return (messages, Err(Malformed::NotJson)),
        }
        let length = length(rest);
        if length.unwrap_or(rest.len()) > BYTES_MAX {
            return (messages, Err(Malformed::TooLarge));
        }
        let Some(length) = length else { return (messages, Ok(true)) };
        messages.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
}

/// The length of the message at the front; `None` if it does not end.
fn length(stream: &[u8]) -> Option<usize> {
    let (mut at, mut open) = (0, 0);
    loop {
        match stream.get(at)? {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            b'"' => {
                at += 1;
                while *stream.get(at)? != b'"' {
                    at += if stream[at] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        at += 1;
        if open == 0 {
            return Some(at);
        }
    }
}

fn check_message(message: &[u8]) {
    match parse(message, PREFIX) {
        Ok(Message::Created(header) | Message::Progress(header)) => {
            assert!(header.member_id > 0 && header.cluster_id > 0);
        }
        Ok(Message::Events { events, .. }) => {
            assert!(!events.is_empty());
            assert!(events.iter().all(|event| event.key().starts_with(PREFIX)));
            assert!(events.iter().all(|event| event.mod_revision() > 0));
        }
        Ok(Message::Compacted { compact_revision }) => assert!(compact_revision > 0),
        Ok(Message::Canceled(failure) | Message::Failed(failure)) => {
            assert!(failure.message.len() <= ETCD_TEXT_CHARACTERS_MAX);
        }
        Err(reason) => assert_ne!(reason, Malformed::TooLarge, "it is short"),
    }
}
