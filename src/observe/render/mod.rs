//! Answers about the process as bytes, from [`super::facts`]: metrics, status, readiness.
//!
//! Pure: owns the formats, and decides nothing about requests, sockets or when a piece is wanted.
//!
//! ```text
//!   Snapshot ──► process.rs ───┐
//!   Facts ─────► endpoints.rs ─┼─ text.rs ──► metrics.rs: one piece after another
//!            └─► names ────────┘
//!   Snapshot, Facts ──► json.rs ──► status.rs: the same
//! ```
//!
//! An answer is rendered in pieces, between which the process goes on: each rendering keeps where
//! it is. What is of the whole process is from one [`super::facts::Snapshot`], so that its sums
//! fit; endpoints and names are as they are when their piece is rendered, so some may be missing
//! that have come or gone meanwhile.

mod endpoints;
mod escape;
mod json;
mod listeners;
mod metrics;
mod process;
mod readiness;
mod status;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub(super) use listeners::{ListenerFacts, listeners};
pub use metrics::MetricsRendering;
pub use readiness::{NotReady, readiness};
pub use status::{StatusRendering, history_of};
pub use text::Format;
pub use time::{HttpDate, Timestamp};
