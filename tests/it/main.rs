//! The real binary on loopback sockets, in networks that fail, before a real etcd cluster, and
//! under tools that count what it does.
//!
//! Every wait has a deadline and waits for something that happens: bytes, an end of file, a log
//! line. A tool that is missing fails the test that needs it, with what to install. Tests of what
//! the gateway itself does over TLS are omitted from a build without it.

mod access_log;
mod admin;
mod changing;
mod cli;
#[cfg(feature = "tls")]
mod client_certificate;
mod cost;
mod death;
mod dialing;
mod etcd;
mod failover;
mod faults;
mod fuzz_corpus;
mod health;
mod health_members;
mod host_files;
mod hostile_members;
mod inactivity;
mod limits;
mod listen_names;
mod listening;
mod make_run;
mod members;
mod monitoring;
mod names;
mod page;
#[cfg(feature = "tls")]
mod proof;
#[cfg(feature = "tls")]
mod refused_members;
mod refused_users;
mod registry;
mod registry_churn;
mod relay;
mod remote_members;
mod removal;
mod replaced_members;
mod resolver;
mod reuse_port;
mod service_manager;
mod signals;
mod socket_options;
mod splice;
mod srv;
mod start;
mod status;
mod stderr;
// What only the tests of TLS use stays where these are omitted.
#[cfg_attr(not(feature = "tls"), allow(dead_code, unused_imports))]
mod util;
#[cfg(feature = "tls")]
mod verify;
