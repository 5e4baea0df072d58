//! Observation of a run from outside: events, which are lines of the log, and counters. Decides
//! nothing about the run. Takes plain facts and `now` as arguments; does not know the reactor.
//!
//! ```text
//!   the reactor's parts ──► Event ──► Journal ──┬─ at once ───────────────┬──► log
//!                             ▲                 ├─ counted ── repeats.rs ─┤
//!   main, before there is one ┘─── write ──┐    └─ gathered ─ changes.rs ─┘
//!                                          └──► log
//! ```

pub mod access_log;
mod changes;
#[macro_use]
mod declare;
pub mod events;
pub mod facts;
mod fields;
pub mod history;
pub(crate) mod journal;
pub mod metrics;
pub mod page;
pub mod records;
pub mod render;
mod repeats;
pub mod timings;
