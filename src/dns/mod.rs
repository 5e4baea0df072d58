//! Names to addresses and services without a blocking call: the parts of a stub resolver.
//!
//! Everything here is a pure function of bytes: no socket, no clock, no file, no log line.
//!
//! ```text
//! resolv.conf(5) ──► resolv_conf ──► search ──► names to ask for, in order
//! hosts(5) ────────► hosts ────────► addresses that need no question
//! name, kind ──────► message ──────► bytes of a question; bytes of a reply ──► Reply
//! ```

pub mod hosts;
pub mod message;
pub mod name;
pub mod resolv_conf;
pub mod search;
