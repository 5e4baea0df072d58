//! The very same `Reactor` over simulated sockets and a virtual clock: no descriptor, no thread, no
//! real time, and so the same outcome in every run.

mod net;
mod scenarios;
