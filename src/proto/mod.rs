//! Codecs and dialogues without input or output: what is said over a socket, by which side and in
//! which order. Must not own a socket or read a clock: bytes, `now` and randomness are arguments.

pub(crate) mod dialogue;
pub mod dns;
pub mod etcd;
pub mod http1;
pub mod tls;
