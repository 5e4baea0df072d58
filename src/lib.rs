//! The map of etcd-gateway: the layers, who may call whom, and what must always hold.
//!
//! ```text
//! main ──► config  the command line: what was typed, then what it means; every limit
//!   └────► reactor  the loop: moves facts between sockets and decisions, decides nothing
//!            ├────► relay       one client and its server, two flows; pure
//!            ├────► upstream    whom we may dial: priority, weight, health; pure
//!            ├────► discovery   where endpoints come from; hands over specs
//!            │        └──► proto::dns  names to records: a stub resolver that asks nobody itself
//!            └────► net         trait Net; its mio implementation is the only home of sockets,
//!                               clock and entropy
//! ```
//!
//! Leaves that every layer may import: `readiness`, what is known of a socket without asking it;
//! `recent`, what was true not long ago.
//!
//! What must always hold:
//! - A byte read from one side is written to the other exactly once and in order, or the pair
//!   ends with a reset on both sides: no failure is ever shown as a clean end of file.
//! - Nor is the death of the process, by SIGKILL for instance, once a pair is old enough
//!   (`relay/deferred.rs`).
//! - An end of file is passed on only after the last byte before it.
//! - A client is not read before its server connection stands, so failover can lose nothing.
//! - A pair has one teardown (`reactor/relays/`), at the end of a turn and for a stated reason.
//!   Handlers only mark it as over.
//! - `relay`, `upstream`, `discovery` and `proto` take `now`, files and randomness as arguments;
//!   they own no socket, read no clock, write no log line. `tests/tidy/` checks who imports whom.
//! - No call waits for a name server: names are looked up by events, as everything else, also those
//!   to listen on.

pub mod address;
pub mod arena;
pub mod config;
pub mod discovery;
pub mod net;
pub mod observe;
pub mod proto;
pub mod reactor;
pub mod readiness;
pub mod recent;
pub mod relay;
pub mod upstream;
