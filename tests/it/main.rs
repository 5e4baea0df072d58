//! The real binary on loopback sockets, in networks that fail, and before a real etcd cluster.
//!
//! Every wait has a deadline and waits for something that happens: bytes, an end of file, a log
//! line. A tool that is missing fails the test that needs it, with what to install.

mod cli;
mod etcd;
mod failover;
mod faults;
mod fuzz_corpus;
mod limits;
mod relay;
mod reuse_port;
mod signals;
mod util;
