//! What it costs to be looked at: with `--admin-addr`, and without it nothing.

use std::io::{BufReader, Write};

use super::valgrind::{DHAT, Watched, allocations, expect_instructions, instructions_each, number};
use super::{
    ADMIN_SHARE_PERCENT, ALLOCATIONS_PER_CONNECTION, ALLOCATIONS_PER_MESSAGE, HEAP_ALLOWANCE_BYTES,
    HEAP_BYTES, HEAP_BYTES_WITH_ADMIN, INSTRUCTIONS_PER_SCRAPE,
};
use crate::util::*;

const ADMIN: &[&str] = &["--admin-addr=127.0.0.1:0"];

impl Watched {
    fn scrapes(&self, count: u64) {
        let mut admin = BufReader::new(admin_connection(admin_address(&self.gateway)));
        for _ in 0..count {
            let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
            admin.get_mut().write_all(request).expect("room for a request");
            let reply = read_reply(&mut admin).expect("an answer");
            assert_eq!(reply.status, 200);
        }
    }
}

/// The most bytes that the heap had at a time.
fn heap_bytes(arguments: &[&str]) -> u64 {
    let watched = Watched::start(DHAT, arguments);
    watched.round_trips(1);
    number(&watched.result("At t-gmax: "), "At t-gmax: ")
}

#[test]
fn without_an_admin_side_the_heap_is_what_it_was() {
    for (what, arguments, usual) in
        [("without", &[][..], HEAP_BYTES), ("with", ADMIN, HEAP_BYTES_WITH_ADMIN)]
    {
        let bytes = heap_bytes(arguments);
        println!("bytes on the heap {what} an admin side: {bytes}");
        let bound = usual + HEAP_ALLOWANCE_BYTES;
        assert!(bytes <= bound, "{bytes} bytes {what} an admin side, {bound} at most");
    }
}

#[test]
fn a_round_trip_takes_few_more_instructions_with_an_admin_side() {
    // How long a run takes decides how often timers move and samples are taken, which is more than
    // the difference that is looked for.
    let [without, with] = [&[][..], ADMIN].map(|arguments| {
        let runs = (0..5).map(|_| instructions_each(arguments, 1000, Watched::round_trips));
        runs.min().expect("five of them")
    });
    println!("instructions per round trip with an admin side: {with}, {without} without");
    let bound = without + without * ADMIN_SHARE_PERCENT / 100;
    assert!(with <= bound, "{with} instructions with an admin side, {bound} at most");
}

#[test]
fn a_scrape_takes_no_more_instructions_than_it_did() {
    let each = instructions_each(ADMIN, 50, Watched::scrapes);
    expect_instructions("scrape", INSTRUCTIONS_PER_SCRAPE, each);
}

#[test]
fn messages_and_connections_allocate_nothing_with_an_admin_side() {
    let messages = allocations(ADMIN, 10, 1000, Watched::round_trips);
    let connections = allocations(ADMIN, 10, 100, Watched::short_connections);
    println!("allocations with an admin side: {messages} for 2000 messages, {connections} for 100");
    assert_eq!(messages, 2000 * ALLOCATIONS_PER_MESSAGE);
    assert_eq!(connections, 100 * ALLOCATIONS_PER_CONNECTION);
}
