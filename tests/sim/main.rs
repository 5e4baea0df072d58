//! The very same `Reactor` over simulated sockets and a virtual clock: no descriptor, no thread, no
//! real time, and so the same outcome in every run. Everything is drawn from one seed.
//!
//! ```text
//!   search ──► plan, faults ──► world ◄──── net ◄──── Reactor
//!                                 │ ▲          │
//!                     peers, actors, wires   oracle
//! ```

mod actor;
mod connection;
mod faults;
mod net;
mod oracle;
mod peers;
mod plan;
mod puppets;
mod random;
mod scenarios;
mod search;
mod trace;
mod wire;
mod world;
