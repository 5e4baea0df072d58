//! What etcd says in JSON over HTTP/1.1 (its grpc-gateway), and what it is asked: bodies of
//! requests, and the meaning of answers.
//!
//! Owns the form of each question and answer, after etcd 3.4 and 3.5. When to ask, of which member,
//! and what follows from an answer is decided elsewhere. Every parser takes any bytes, in time and
//! memory that their number bounds, and keeps no more of them than a limit allows.
//!
//! ```text
//! body ──► json ──► status    a member: its leader, its role, its alarms
//! ```

mod json;
pub mod status;

pub use json::Malformed;

/// Bytes of a real member that are longer than a line here: its lines without their indentation.
#[cfg(test)]
fn joined(text: &str) -> String {
    text.lines().map(str::trim_start).collect()
}
