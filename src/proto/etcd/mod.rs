//! What etcd says in JSON over HTTP/1.1 (its grpc-gateway), and what it is asked: bodies of
//! requests, and the meaning of answers.
//!
//! Owns the form of each question and answer, after etcd 3.4 and 3.5. When to ask, of which member,
//! and what follows from an answer is decided elsewhere. Every parser takes any bytes, in time and
//! memory that their number bounds, and keeps no more of them than a limit allows.
//!
//! ```text
//! status 200 ──► json ──► status     a member: its leader, its role, its alarms
//!                    ├──► members    the list of members ──► server   which URLs can be dialed
//!                    ├──► auth       a token
//!                    ├──► kv         a page of keys and values ─┐
//! stream ─► splitter ┴──► watch      changes of them ───────────┴──► registry   services in them
//! else ─────────────────► failure    why a request or a watch was refused
//! ```

pub mod auth;
pub mod failure;
mod json;
pub mod kv;
pub mod members;
pub mod registry;
mod server;
pub mod splitter;
pub mod status;
pub mod watch;

pub use json::{Header, Malformed};
pub use server::SkipReason;

/// Bytes of a real member that are longer than a line here: its lines without their indentation.
#[cfg(test)]
fn joined(text: &str) -> String {
    text.lines().map(str::trim_start).collect()
}
