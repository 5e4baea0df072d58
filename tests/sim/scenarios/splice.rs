//! Hand-written cases of bulk: what happens to the bytes in a pipe, and to the pipes.

use std::cell::Cell;
use std::time::Duration;

use etcd_gateway::config::{
    ACCEPT_PAUSE, BUFFER_BYTES, PIPE_PAUSE, SPARE_PIPES_AGE, SPARE_PIPES_MAX, SPLICE_AFTER_READS,
    SPLICES_SMALL_MAX, TURN_BUDGET_BYTES,
};

use super::*;
use crate::faults::Fault;
use crate::oracle::Seen;
use crate::oracle::pipe::Way;

/// What it takes to be spliced, and as much again in one splice.
const READS: u64 = SPLICE_AFTER_READS as u64 * BUFFER_BYTES as u64;
const BURST: u64 = READS + 100_000;
const MILLISECOND: Duration = Duration::from_millis(1);

fn seen(net: &SimNet, what: Seen) -> u64 {
    net.oracle().books.record.count(what)
}

fn pipes(net: &SimNet, reactor: &Reactor<SimNet>) -> (usize, usize) {
    (reactor.census().pipes, net.world().context.pipes_open)
}

/// A pair with a pipe that holds what the server did not take of a burst of the client's.
fn stuck(net: &SimNet, reactor: &mut Reactor<SimNet>) -> (Id, Id) {
    let (client, server) = pair(net, reactor);
    let before = reactor.census().pipes;
    net.world().leave_room(server, READS + 1);
    net.world().send(client, BURST);
    turn(reactor);
    assert_eq!(net.world().written_to(server), READS + 1);
    assert_eq!(pipes(net, reactor), (before + 1, before + 1));
    assert_eq!(reactor.census().buffers, 0);
    (client, server)
}

fn ends_by(net: &SimNet, ends: [Id; 2]) -> [Close; 2] {
    ends.map(|id| net.world().network.connections[id].ends_by)
}

fn closed(net: &SimNet, id: Id) -> Option<Close> {
    net.world().network.connections[id].closed
}

#[test]
fn bulk_is_spliced_and_leaves_nothing_behind() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), BURST);
    assert_eq!(seen(&net, Seen::Spliced), 1, "all that was left after the reads, at once");
    assert_eq!((reactor.census().buffers, pipes(&net, &reactor)), (0, (0, 1)));
    let start = net.world().context.now;
    // But for the look at the pair, whose client has had no answer.
    while pipes(&net, &reactor) != (0, 0) || reactor.census().timers > 1 {
        turn(&mut reactor);
        assert!(net.world().context.now - start < 2 * SPARE_PIPES_AGE, "{:?}", reactor.census());
    }
    assert_eq!(reactor.census(), Census { pairs: 1, timers: 1, ..Census::default() });
}

#[test]
fn a_pipe_full_of_small_segments_stops_short_and_nothing_hangs() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.pipe_slots = 64;
    net.world().context.plan.segments = &[1448];
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, 500_000);
    let start = net.world().context.now;
    while net.world().written_to(server) < 500_000 {
        turn(&mut reactor);
    }
    assert_eq!(net.world().context.now, start, "without any further event");
    assert_eq!(seen(&net, Seen::PipeFullOfSmallSegments), 4);
}

#[test]
fn a_pipe_may_hold_more_than_its_nominal_size() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.pipe_slots = 16;
    net.world().context.plan.segments = &[65_536];
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, 500_000);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), 500_000);
    assert_eq!(seen(&net, Seen::PipeOverfull), 1);
}

#[test]
fn an_end_waits_for_the_bytes_in_the_pipe() {
    let (net, mut reactor) = calm(10);
    let (client, server) = stuck(&net, &mut reactor);
    net.world().end(client);
    turn(&mut reactor);
    assert!(!net.world().network.connections[server].outbound.end_sent);
    net.world().release(server);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), BURST);
    assert!(net.world().network.connections[server].outbound.end_sent);
    assert_eq!(pipes(&net, &reactor), (0, 1));
    net.world().send(server, 10);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(client), 10, "the other direction goes on");
}

#[test]
fn a_reset_waits_for_the_bytes_in_the_pipe() {
    let (net, mut reactor) = calm(10);
    let (client, server) = stuck(&net, &mut reactor);
    net.world().die(client, NetError::Reset);
    turn(&mut reactor);
    assert_eq!((closed(&net, server), reactor.census().pipes), (None, 1));
    net.world().release(server);
    while reactor.census().pairs > 0 {
        turn(&mut reactor);
    }
    assert_eq!(net.world().written_to(server), BURST);
    assert_eq!(net.world().network.connections[server].unsent(), 0, "and they have arrived");
    assert_eq!(closed(&net, server), Some(Close::Reset));
}

#[test]
fn a_pipe_with_bytes_for_a_lost_sink_is_closed_and_never_used_again() {
    let (net, mut reactor) = calm(10);
    let (client, server) = stuck(&net, &mut reactor);
    net.world().die(server, NetError::Reset);
    turn(&mut reactor);
    assert!(!net.world().pipes.all[0].is_open);
    assert_eq!(pipes(&net, &reactor), (0, 0));
    assert_eq!(closed(&net, client), Some(Close::Reset));
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), BURST);
    assert_eq!(seen(&net, Seen::Spliced), 2);
    assert_eq!(net.world().pipes.all.len(), 2);
}

#[test]
fn pipes_with_bytes_go_with_their_pairs() {
    let (net, mut reactor) = calm(10);
    for _ in 0..3 {
        stuck(&net, &mut reactor);
    }
    net.world().terminate();
    net.world().terminate();
    reactor.run().expect("asked to end");
    reactor.drain().expect("an end");
    assert_eq!((reactor.census().pairs, pipes(&net, &reactor)), (0, (0, 0)));
}

#[test]
fn without_a_pipe_a_flow_copies_and_asks_again_after_a_pause() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().context.faults.always(Fault::PipeShortage);
    for _ in 0..5 {
        net.world().send(client, BURST);
        turn(&mut reactor);
    }
    assert_eq!(net.world().written_to(server), 5 * BURST);
    assert_eq!(
        net.world().context.faults.struck[Fault::PipeShortage as usize],
        1,
        "asked for once"
    );
    net.world().context.faults.stop();
    net.world().pass(PIPE_PAUSE);
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), 6 * BURST);
    assert_eq!(seen(&net, Seen::Spliced), 1);
}

#[test]
fn more_bulk_flows_than_pipes_are_copied() {
    let net = SimNet::new(World::calm(10, 1));
    net.world().context.plan.limits.pipes_max = 1;
    let mut reactor = start(&net);
    stuck(&net, &mut reactor);
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert_eq!(net.world().written_to(server), BURST);
    assert_eq!(seen(&net, Seen::Spliced), 1, "of the one that has the pipe");
}

#[test]
fn where_splicing_is_refused_all_is_copied_for_good_and_that_is_said_once() {
    let (net, mut reactor) = calm(10);
    net.world().context.plan.refuses_splice = true;
    count_warnings();
    for _ in 0..3 {
        let (client, server) = pair(&net, &mut reactor);
        net.world().send(client, BURST);
        turn(&mut reactor);
        assert_eq!(net.world().written_to(server), BURST, "nothing is lost");
        assert_eq!(pipes(&net, &reactor), (0, 0));
        net.world().pass(2 * PIPE_PAUSE);
    }
    assert_eq!(seen(&net, Seen::SpliceRefused), 1);
    assert_eq!(net.world().pipes.all.len(), 1);
    assert_eq!(REFUSALS_TOLD.get(), 1);
}

thread_local! {
    /// How often this test's thread has logged that splicing is refused.
    static REFUSALS_TOLD: Cell<u32> = const { Cell::new(0) };
}

struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let is_refusal = record.args().to_string().starts_with("splice refused");
        REFUSALS_TOLD.set(REFUSALS_TOLD.get() + u32::from(is_refusal));
    }

    fn flush(&self) {}
}

fn count_warnings() {
    log::set_logger(&Counter).expect("no other test needs a logger");
}

#[test]
fn spliced_flows_share_a_turn() {
    let (net, mut reactor) = calm(100);
    let pairs: Vec<_> = (0..16).map(|_| pair(&net, &mut reactor)).collect();
    let most = (TURN_BUDGET_BYTES / pairs.len() + FLOW_SHARE_BYTES_MIN) as u64;
    pairs.iter().for_each(|(client, _)| net.world().send(*client, BULK));
    for turns in 1..=5 {
        turn(&mut reactor);
        let world = net.world();
        let moved: Vec<_> = pairs.iter().map(|(_, server)| world.written_to(*server)).collect();
        let is_fair = moved.iter().all(|bytes| (READS..=turns * most).contains(bytes));
        assert!(is_fair, "{moved:?}");
    }
    assert_eq!(net.world().context.pipes_open, 1, "each has it for a moment");
}

#[test]
fn messages_of_up_to_64_kib_are_read_once_each_and_never_spliced() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    for bytes in (0..100).map(|index| [16_384, 65_536][index % 2]) {
        for side in [client, server] {
            net.world().send(side, bytes);
            turn(&mut reactor);
        }
    }
    let world = net.world();
    for side in [client, server] {
        assert_eq!(
            (world.written_to(side), world.network.connections[side].reads),
            (50 * 81_920, 100)
        );
    }
    assert!(world.pipes.all.is_empty());
}

#[test]
fn of_many_pipes_a_few_are_kept_unused() {
    let (net, mut reactor) = calm(20);
    let servers: Vec<Id> = (0..=SPARE_PIPES_MAX).map(|_| stuck(&net, &mut reactor).1).collect();
    servers.iter().for_each(|&server| net.world().release(server));
    turn(&mut reactor);
    assert_eq!(pipes(&net, &reactor), (0, SPARE_PIPES_MAX));
}

#[test]
fn a_pipe_that_is_wanted_now_and_then_is_kept() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    for count in 1..=5 {
        net.world().send(client, BURST);
        turn(&mut reactor);
        assert_eq!(net.world().written_to(server), count * BURST);
        net.world().pass(SPARE_PIPES_AGE * 9 / 10);
    }
    assert_eq!(net.world().pipes.all.len(), 1, "opened once");
}

#[test]
fn small_messages_after_bulk_are_copied_again() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert!(net.oracle().way_of(client).is_spliced());
    for _ in 0..30 {
        net.world().send(client, 1000);
        net.world().pass(SPARE_PIPES_AGE / 10);
        turn(&mut reactor);
    }
    assert_eq!(net.world().written_to(server), BURST + 30_000);
    assert_eq!(net.oracle().way_of(client), Way::Copied { full_reads: 0 });
    let small = u64::from(SPLICES_SMALL_MAX);
    assert_eq!(seen(&net, Seen::Spliced), 1 + small, "the messages that showed it");
    assert_eq!(pipes(&net, &reactor), (0, 0), "kept for no flow");
}

#[test]
fn an_end_that_a_splice_tells_of_may_be_an_urgent_mark() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().send_urgently(client, BURST);
    net.world().end(client);
    while !net.world().network.connections[server].outbound.end_sent {
        turn(&mut reactor);
    }
    assert_eq!(seen(&net, Seen::EndBeforeMark), 1);
    assert_eq!(net.world().written_to(server), BURST);
}

#[test]
fn a_reset_that_a_splice_tells_of_may_come_before_urgent_bytes() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().send_urgently(client, BURST);
    net.world().die(client, NetError::Reset);
    while reactor.census().pairs > 0 {
        turn(&mut reactor);
    }
    assert_eq!(seen(&net, Seen::Spliced), 1);
    assert_eq!(net.world().written_to(server), BURST);
    assert_eq!(closed(&net, server), Some(Close::Reset));
}

#[test]
fn a_bulk_flow_leaves_free_descriptors_to_the_clients_that_wait_for_them() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    net.world().context.plan.descriptors_max = 5;
    net.world().send(client, BURST);
    turn(&mut reactor);
    assert_eq!(pipes(&net, &reactor), (0, 1));
    net.world().connect(PORT, 1);
    let start = net.world().context.now;
    while reactor.metrics().pairs_connected < 2 {
        net.world().send(client, BURST);
        net.world().pass(MILLISECOND);
        turn(&mut reactor);
        assert!(
            net.world().context.now - start < 2 * ACCEPT_PAUSE,
            "the pipe is opened again and again"
        );
    }
    assert!(net.world().written_to(server) > 10 * BURST, "it goes on by copying");
}

#[test]
fn only_a_pair_that_lasts_gets_the_options_of_one() {
    let (net, mut reactor) = calm(10);
    let (client, server) = pair(&net, &mut reactor);
    while !net.world().network.connections[server].has_deferred_options {
        assert_eq!(ends_by(&net, [client, server]), [Close::Orderly; 2]);
        turn(&mut reactor);
    }
    let since = net.oracle().known_at(server);
    let age = net.world().context.now - since;
    assert!(age >= SECOND && age < SECOND + 2 * MILLISECOND, "{age:?}");
    assert!(!net.world().network.connections[client].has_deferred_options, "a client's has them");
    assert_eq!(reactor.census(), Census { pairs: 1, ..Census::default() }, "and no timer is left");
    assert_eq!(ends_by(&net, [client, server]), [Close::Reset; 2], "as long as it goes on");
    net.world().end(client);
    turn(&mut reactor);
    assert_eq!(ends_by(&net, [client, server]), [Close::Reset; 2], "a cut answer would look whole");
    net.world().end(server);
    turn(&mut reactor);
    assert_eq!([client, server].map(|id| closed(&net, id)), [Some(Close::Orderly); 2]);
}
