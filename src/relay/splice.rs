//! Bulk: when a flow is spliced through a pipe, and what the outcomes of splices mean. Pure.
//!
//! What a splice says about a socket is less than what a read says. One that moves fewer bytes than
//! it was asked for may have found the socket empty, or no slot left in the pipe for one more small
//! segment. One that moves nothing may have met the end, or an urgent mark with bytes behind it.
//! So only a splice that blocks uses readiness up, and only a read is believed about the end, that
//! of a lost connection included.

use std::time::Instant;

use super::step::{Outcome, Side};
use super::{Limits, Pair, Phase};

/// When a flow changes between copying and splicing.
#[derive(Clone, Copy, Debug)]
pub struct SpliceLimits {
    /// This many reads in a row that fill the buffer (> 0) are the sign of a bulk transfer.
    pub after_reads: u8,
    /// A splice is small if it gets less than it was asked for, and less than this: below about
    /// that, two more system calls cost more than copying.
    pub bytes_min: usize,
    /// This many small splices in a row (> 0) are the sign that it is over.
    pub small_max: u8,
}

impl Pair {
    /// Whether a splice from that side is as good as a read: not before urgent data, and not from a
    /// connection that is lost, of which a splice shows less than what had arrived.
    pub(super) fn may_splice(&self, side: Side) -> bool {
        !self.ready[side.index()].urgent && matches!(self.phase, Phase::Relaying)
    }

    pub(super) fn apply_splice_in(
        &mut self,
        side: Side,
        outcome: Outcome,
        limits: &Limits,
        now: Instant,
    ) {
        debug_assert!(self.may_splice(side), "a splice that says less than a read");
        debug_assert_eq!(self.flow(side).pending(), 0, "a splice into a pipe that holds bytes");
        let flow = &mut self.flows[side.index()];
        debug_assert!(flow.is_spliced(), "a splice in a flow that is copied");
        match outcome {
            Outcome::Moved { bytes, short } => {
                flow.on_splice_in(bytes, short, limits.splice);
                self.inactivity.restart(now);
            }
            Outcome::NoPipe | Outcome::Eof => flow.fall_back_to_copy(),
            // As of a read: the pipe was empty, so it cannot have been the pipe that was full.
            Outcome::WouldBlock => self.apply_read(side, outcome, limits, now),
            // Bytes may be left, behind a mark that a splice does not pass. Reads will show.
            Outcome::Failed(fault) => self.lose(side, fault, now),
            _ => unreachable!("{outcome:?} of a splice from a socket"),
        }
    }

    pub(super) fn apply_splice_out(&mut self, side: Side, outcome: Outcome, now: Instant) {
        debug_assert!(self.phase.is_connected(), "a splice to no server: {self:?}");
        debug_assert!(self.flow(side).pending() > 0, "a splice out of an empty pipe");
        match outcome {
            Outcome::Moved { bytes, .. } => {
                self.flows[side.index()].on_write(bytes);
                self.inactivity.restart(now);
            }
            Outcome::WouldBlock | Outcome::Failed(_) => self.apply_write(side, outcome, now),
            _ => unreachable!("{outcome:?} of a splice to a socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readiness::Readiness;
    use crate::relay::ending::{Cause, EndedIn};
    use crate::relay::step::{Fault, Step};
    use crate::relay::tests::{
        BROKEN, BUDGET, CLOSED, LIMITS, READABLE, URGENT, WRITABLE, ended, relaying, run,
    };

    const SOURCE: Side = Side::Client;
    const READ: Step = Step::Read(SOURCE);
    const WRITE: Step = Step::Write(SOURCE);
    const IN: Step = Step::SpliceIn(SOURCE);
    const OUT: Step = Step::SpliceOut(SOURCE);
    const SHUT: Step = Step::Shut(SOURCE);

    const fn moved(bytes: usize) -> Outcome {
        Outcome::Moved { bytes, short: false }
    }

    const fn short(bytes: usize) -> Outcome {
        Outcome::Moved { bytes, short: true }
    }

    /// A pair whose client has sent so much that it is spliced, in the middle of a turn.
    fn bulk(news: Readiness, now: Instant) -> Pair {
        let mut pair = relaying(now);
        pair.on_ready(SOURCE, READABLE, now);
        for (step, outcome) in [(READ, moved(10)), (WRITE, moved(10))].repeat(2) {
            assert_eq!(pair.next(&BUDGET, &LIMITS, now), Some(step));
            pair.apply(step, outcome, &LIMITS, now);
        }
        pair.on_ready(SOURCE, news, now);
        pair
    }

    #[test]
    fn reads_that_keep_filling_the_buffer_lead_to_splices_until_one_blocks() {
        let now = Instant::now();
        let mut pair = bulk(READABLE, now);
        // A short splice may have met a pipe without slots: only one that blocks ends the round.
        let steps = [(IN, short(20)), (OUT, moved(20)), (IN, Outcome::WouldBlock)];
        run(&mut pair, now, &steps);
        pair.on_ready(SOURCE, READABLE, now);
        run(&mut pair, now, &steps);
    }

    #[test]
    fn small_splices_in_a_row_lead_back_to_reads() {
        let now = Instant::now();
        let mut pair = bulk(READABLE, now);
        let small = [(IN, short(7)), (OUT, moved(7))];
        // It got all that it asked for, so it says nothing about the source.
        let full = [(IN, moved(7)), (OUT, moved(7))];
        let large = [(IN, short(8)), (OUT, moved(8))];
        let copied = [(READ, short(3)), (WRITE, moved(3))];
        let steps = [small, full, small, large, small, small, copied];
        run(&mut pair, now, &steps.concat());
    }

    #[test]
    fn messages_that_fill_the_buffer_one_at_a_time_are_not_bulk() {
        let now = Instant::now();
        let mut pair = relaying(now);
        for _ in 0..5 {
            pair.on_ready(SOURCE, READABLE, now);
            let steps = [(READ, moved(10)), (WRITE, moved(10)), (READ, Outcome::WouldBlock)];
            run(&mut pair, now, &steps);
        }
    }

    #[test]
    fn without_a_pipe_the_flow_copies_and_asks_again_later() {
        let now = Instant::now();
        let mut pair = bulk(READABLE, now);
        let copied = [(READ, moved(10)), (WRITE, moved(10))];
        let steps = [&[(IN, Outcome::NoPipe)], &copied[..], &copied, &[(IN, Outcome::WouldBlock)]];
        run(&mut pair, now, &steps.concat());
    }

    #[test]
    fn only_a_read_is_believed_about_the_end() {
        let now = Instant::now();
        let mut pair = bulk(CLOSED, now);
        let steps = [(IN, moved(10)), (OUT, moved(10)), (IN, Outcome::Eof)];
        let behind_a_mark = [(READ, short(5)), (WRITE, moved(5)), (SHUT, Outcome::Done)];
        run(&mut pair, now, &[steps, behind_a_mark].concat());
        let mut pair = bulk(CLOSED, now);
        run(&mut pair, now, &[&steps[..], &[(READ, Outcome::Eof), (SHUT, Outcome::Done)]].concat());
    }

    #[test]
    fn urgent_data_is_read_around() {
        let now = Instant::now();
        let mut pair = bulk(URGENT, now);
        let copied = [(READ, short(10)), (WRITE, moved(10))];
        let steps = [&copied[..], &copied, &[(READ, Outcome::WouldBlock)]];
        run(&mut pair, now, &steps.concat());
    }

    #[test]
    fn bytes_in_the_pipe_wait_for_the_sink_and_hold_reads_and_the_end_back() {
        let now = Instant::now();
        let mut pair = bulk(CLOSED, now);
        run(&mut pair, now, &[(IN, moved(20)), (OUT, short(5)), (OUT, Outcome::WouldBlock)]);
        assert_eq!(pair.flow(SOURCE).pending(), 15);
        pair.on_ready(Side::Server, WRITABLE, now);
        let rest = [(OUT, moved(15)), (IN, Outcome::Eof), (READ, Outcome::Eof)];
        run(&mut pair, now, &[&rest[..], &[(SHUT, Outcome::Done)]].concat());
    }

    #[test]
    fn bytes_in_the_pipe_are_delivered_before_the_reset_that_follows_them() {
        let now = Instant::now();
        let mut pair = bulk(READABLE, now);
        run(&mut pair, now, &[(IN, moved(20)), (OUT, Outcome::WouldBlock)]);
        pair.on_ready(SOURCE, BROKEN, now);
        pair.on_ready(Side::Server, WRITABLE, now);
        let lost = Outcome::Failed(Fault::Reset);
        let first = [(OUT, moved(20)), (IN, lost), (READ, short(9)), (WRITE, moved(9))];
        let last = [(Step::MeasureUnsent, Outcome::Unsent([0, 0]))];
        run(&mut pair, now, &[&first[..], &last].concat());
        let cause = Cause::Lost(SOURCE, Fault::Reset);
        assert_eq!(pair.ending(), ended(cause, EndedIn::Relaying));
    }

    #[test]
    fn bytes_in_the_pipe_are_dropped_once_the_sink_is_lost() {
        let now = Instant::now();
        let mut pair = bulk(READABLE, now);
        let read_other = (Step::Read(Side::Server), Outcome::WouldBlock);
        let measure = (Step::MeasureUnsent, Outcome::Unsent([9, 9]));
        let lost = (OUT, Outcome::Failed(Fault::Reset));
        run(&mut pair, now, &[(IN, moved(20)), lost, read_other, measure]);
        assert_eq!((pair.flow(SOURCE).pending(), pair.flow(SOURCE).delivered()), (0, 20));
    }
}
