//! The map of etcd-gateway: its layers, the direction of their calls, and its invariants.
//!
//! ```text
//! main ──► config  the command line: what was typed, then what it means; every limit
//!   └────► reactor  the loop: carries facts to decisions, and out what they say
//!            ├────► relay       one client and its server, two flows; pure
//!            ├────► upstream    the endpoints to dial: priority, weight, health; pure
//!            ├────► discovery   the sources of endpoints; results are specs for `upstream`
//!            │        └──► proto::dns  names to records: a stub resolver without sockets
//!            ├────► observe     events, which are lines of the log, and counters
//!            └────► net         trait Net; its mio implementation is the only home of sockets,
//!                               clock and entropy
//! ```
//!
//! `main` leads to `status`, too, the command that shows what a running gateway says about itself.
//!
//! Leaves that every layer may import: `address`, of an endpoint or a listener; `arena`, values
//! with generational keys; `readiness`, the known state of a socket; `recent`, facts that were true
//! not long ago; `scheme`, of an endpoint's URL; `usage`, of the host by this process.
//!
//! Invariants:
//! - A byte read from one side is written to the other exactly once and in order, or the pair
//!   ends with a reset on both sides: a failure never appears as a clean end of file.
//! - The death of the process, by SIGKILL for instance, does not appear as one either, once a pair
//!   is old enough (`relay/deferred.rs`).
//! - An end of file is passed on only after the last byte before it.
//! - A client is not read before its server connection is established, so failover loses nothing.
//! - A pair has one teardown (`reactor/relays/`), at the end of a turn and for a stated reason.
//!   Handlers only mark it as over.
//! - `relay`, `upstream`, `discovery` and `proto` take `now`, files and randomness as arguments;
//!   they own no socket, read no clock, write no log line. `tests/tidy/` checks the imports.
//! - No call waits for a name server: look-ups are driven by events like everything else, also
//!   those of names to listen on.

pub mod address;
pub mod arena;
pub mod config;
pub mod discovery;
pub mod net;
pub mod observe;
pub mod proto;
pub mod reactor;
pub mod readiness;
mod recent;
pub mod relay;
pub mod scheme;
pub mod startup;
pub mod status;
pub mod upstream;
pub mod usage;
