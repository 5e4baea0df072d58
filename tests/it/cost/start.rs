//! System calls at start: few, and the same few whatever the limits are.

use super::{CALLS_TO_FIRST_WAIT, CALLS_TO_LISTENER, PAIR_BYTES, release_build};
use crate::util::*;

/// What main() calls until the gateway waits for clients, the lines of its log aside.
fn calls_of_main(descriptors: u64, arguments: &[&str]) -> Calls {
    // In front of an address where nothing listens, and which is never dialed.
    let builder = Gateway::builder().endpoint(&refused_address().to_string()).log_level("info");
    let builder = arguments.iter().fold(builder, |builder, argument| builder.arg(argument));
    let gateway = Traced::start(builder.nofile(descriptors, descriptors));
    let is_log = |line: &str| line.contains(" write(2, ") || line.contains("poll([{fd=2, ");
    // The last thing that the runtime does before main() is to install a handler of this signal.
    gateway.calls().after_last("rt_sigaction(SIGBUS, ").only(|line| !is_log(line))
}

#[test]
fn the_start_costs_no_more_calls_than_it_did_whatever_the_limits() {
    let many = own_hard_limit();
    let usual = calls_of_main(many, &[]);
    let to_listener = usual.count_to("listen");
    println!("calls up to the listener: {to_listener}");
    println!("calls up to the first wait: {}", usual.each(1));
    assert!(to_listener <= CALLS_TO_LISTENER, "{to_listener} up to the listener\n{usual}");
    assert!(usual.count() <= CALLS_TO_FIRST_WAIT, "{}\n{usual}", usual.each(1));

    for (descriptors, arguments) in
        [(64, &[][..]), (many, &["--max-connections=1"]), (many, &["--max-connections=1000000"])]
    {
        let other = calls_of_main(descriptors, arguments);
        let limits = format!("{descriptors} descriptors and {arguments:?}");
        assert_eq!(other.histogram(), usual.histogram(), "{limits}\n{other}");
    }
}

#[test]
fn a_pair_takes_no_more_bytes_than_it_did() {
    let builder = Gateway::builder().endpoint(&refused_address().to_string()).log_level("debug");
    let gateway = builder.program(release_build()).start();
    let bytes = gateway.logged_number("limits connections_max=", "pair_bytes");
    println!("bytes per pair: {bytes}");
    assert!(bytes <= PAIR_BYTES, "{bytes} bytes, {PAIR_BYTES} at most");
    let manual = include_str!("../../../docs/performance.md");
    assert!(manual.contains(&format!("A pair takes {PAIR_BYTES} bytes")), "it has another");
}
