//! What must hold of everything that is read from outside, whatever it says.
//!
//! A property takes any bytes and panics when it does not hold. Each compares the product with an
//! oracle that is written another way, slow and plain, and with itself on a varied input. No file
//! here may need a nightly compiler or libFuzzer: `tests/it/fuzz_corpus.rs` compiles them, too,
//! and replays the corpus with every `cargo test`.
//!
//! ```text
//! fuzz_targets/NAME.rs ──┐
//!                        ├──► check(bytes) ──► etcd_gateway::{config, discovery, observe, proto}
//! corpus/NAME/* ─────────┘                ──► oracle
//! ```

pub mod address;
mod admin;
pub mod command_line;
mod configuration;
pub mod discovery;
pub mod dns_reply;
pub mod duration;
pub mod etcd_answer;
pub mod etcd_watch;
mod exposition;
pub mod hosts;
pub mod http_answer;
pub mod http_request;
pub mod render;
pub mod resolv_conf;

/// One property under the name of its fuzz target and of its folder in the corpus.
pub struct Target {
    /// `fuzz_targets/NAME.rs`, `corpus/NAME/`, `dictionaries/NAME`.
    pub name: &'static str,
    /// Panics if the property does not hold of these bytes.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 14] = [
    Target { name: "command_line", check: command_line::check },
    Target { name: "discovery", check: discovery::check },
    Target { name: "dns_reply", check: dns_reply::check },
    Target { name: "duration", check: duration::check },
    Target { name: "endpoint", check: address::check_endpoint },
    Target { name: "etcd_answer", check: etcd_answer::check },
    Target { name: "etcd_watch", check: etcd_watch::check },
    Target { name: "flag", check: command_line::check_flag },
    Target { name: "hosts", check: hosts::check },
    Target { name: "http_answer", check: http_answer::check },
    Target { name: "http_request", check: http_request::check },
    Target { name: "listen", check: address::check_listen },
    Target { name: "render", check: render::check },
    Target { name: "resolv_conf", check: resolv_conf::check },
];

/// A message goes to a terminal or into a journal: nothing in it may end a line, move the cursor
/// or turn the direction of the text, whatever was typed.
fn assert_one_line(message: &str) {
    assert!(!message.trim().is_empty());
    let breaks = |c: char| {
        let turns = ['\u{2028}', '\u{2029}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}'];
        c.is_control() || turns.contains(&c)
    };
    assert!(!message.contains(breaks), "not one plain line: {message:?}");
}
