//! The model of a pair: what was reported to it so far, and what that obliges it to.
//! Tests only. Must not call the pair.

use std::time::{Duration, Instant};

use super::{HALF_CLOSED, OPEN};
use crate::readiness::Readiness;
use crate::relay::Limits;
use crate::relay::step::{Fault, Outcome, Side, Step};

/// What was reported to the pair so far, kept in the plainest way. Arrays: an entry for each side.
#[derive(Clone)]
pub(super) struct Expected {
    limits: &'static Limits,
    pub(super) connected: bool,
    pub(super) heard: [Readiness; 2],
    /// Bytes that were read from this side and not written yet.
    pub(super) held: [usize; 2],
    /// They are in a pipe.
    pub(super) piped: [bool; 2],
    /// It is spliced, and that number of splices at the end were small.
    pub(super) small_splices: [Option<u8>; 2],
    /// When the sockets are due for the options that were deferred.
    pub(super) options_at: Option<Instant>,
    /// The end of file was read from it.
    pub(super) eof: [bool; 2],
    /// No further byte comes from it: it ended, or is lost and was read empty.
    pub(super) over: [bool; 2],
    /// That end was passed on.
    pub(super) shut: [bool; 2],
    /// The first loss, and its outcome.
    pub(super) lost: Option<(Side, Fault)>,
    pub(super) lost_again: bool,
    pub(super) delivered: bool,
    /// When anything last moved or changed, and how much was unsent when that was last measured.
    pub(super) progress_at: Instant,
    pub(super) unsent: Option<usize>,
    /// How often the send queue was measured since the loss.
    pub(super) measurements: u32,
}

impl Expected {
    /// Of a pair whose client was just accepted.
    pub(super) fn new(limits: &'static Limits, now: Instant) -> Expected {
        let client = Readiness { writable: true, ..Readiness::default() };
        Expected {
            limits,
            connected: false,
            heard: [client, Readiness::default()],
            held: [0; 2],
            piped: [false; 2],
            small_splices: [None; 2],
            options_at: None,
            eof: [false; 2],
            over: [false; 2],
            shut: [false; 2],
            lost: None,
            lost_again: false,
            delivered: false,
            progress_at: now,
            unsent: None,
            measurements: 0,
        }
    }

    pub(super) fn connect(&mut self, now: Instant) {
        self.connected = true;
        self.heard[Side::Server.index()].writable = true;
        self.progress_at = now;
        self.options_at = Some(now + self.limits.deferred_options_after);
    }

    pub(super) fn knows(&self, side: Side) -> bool {
        self.connected || side == Side::Client
    }

    pub(super) fn hear(&mut self, side: Side, news: Readiness, now: Instant) {
        let was_half_closed = self.is_half_closed();
        let heard = &mut self.heard[side.index()];
        if news.error {
            heard.error = true;
            heard.writable = true;
            heard.readable = true;
        }
        if news.closed || news.urgent || news.readable {
            heard.readable = true;
        }
        if news.writable {
            heard.writable = true;
        }
        heard.closed |= news.closed;
        heard.urgent |= news.urgent;
        if !was_half_closed && self.is_half_closed() {
            self.progress(now);
        }
    }

    pub(super) fn learn(&mut self, step: Step, outcome: Outcome, now: Instant) {
        match (step, outcome) {
            (Step::Read(side), _) => self.learn_of_read(side, outcome, now),
            (Step::Write(side), Outcome::Moved { bytes, short }) => {
                self.held[side.index()] -= bytes;
                self.heard[side.other().index()].writable = !short;
                self.progress(now);
            }
            (Step::SpliceIn(side), _) => self.learn_of_splice(side, outcome, now),
            // A short one says nothing of the sink.
            (Step::SpliceOut(side), Outcome::Moved { bytes, .. }) => {
                self.held[side.index()] -= bytes;
                self.progress(now);
            }
            (Step::Write(side) | Step::SpliceOut(side), Outcome::WouldBlock) => {
                self.heard[side.other().index()].writable = false;
            }
            (
                Step::Write(side) | Step::SpliceOut(side) | Step::Shut(side),
                Outcome::Failed(fault),
            ) => self.lose(side.other(), fault, now),
            (Step::SetDeferredOptions, Outcome::Done) => {
                self.options_at.take().expect("options that are set already");
            }
            (Step::Shut(side), _) => {
                assert!(!self.shut[side.index()], "the end is passed on twice");
                self.shut[side.index()] = true;
            }
            (Step::TakeError(side), Outcome::Failed(fault)) => self.lose(side, fault, now),
            (Step::TakeError(side), _) => self.heard[side.index()].error = false,
            (Step::MeasureUnsent, Outcome::Unsent(unsent)) => self.learn_unsent(unsent, now),
            _ => panic!("{outcome:?} of {step:?}"),
        }
    }

    fn learn_of_read(&mut self, side: Side, outcome: Outcome, now: Instant) {
        let heard = &mut self.heard[side.index()];
        match outcome {
            Outcome::Moved { bytes, short } => {
                self.held[side.index()] += bytes;
                self.piped[side.index()] = false;
                let small_splices = &mut self.small_splices[side.index()];
                // It takes one full read, or more than there are.
                let is_enough = self.limits.splice.after_reads == 1;
                let is_bulk = small_splices.is_none() && is_enough && !short;
                *small_splices = is_bulk.then_some(0);
                // A short read leaves nothing behind, unless more is known to wait: and if nothing
                // more will come, that was the end.
                if short && !heard.closed && !heard.urgent {
                    heard.readable = false;
                }
                if short && heard.closed && !heard.urgent && !heard.error {
                    self.eof[side.index()] = true;
                    self.over[side.index()] = true;
                }
                self.progress(now);
            }
            Outcome::WouldBlock => {
                heard.readable = false;
                heard.urgent = false;
                self.over[side.index()] |= self.lost.is_some_and(|(lost, _)| lost == side);
            }
            Outcome::Eof => {
                heard.readable = false;
                heard.closed = true;
                self.eof[side.index()] = true;
                self.over[side.index()] = true;
                self.progress(now);
            }
            Outcome::Failed(fault) => {
                self.over[side.index()] = true;
                self.lose(side, fault, now);
            }
            _ => panic!("{outcome:?} of a read"),
        }
    }

    fn learn_of_splice(&mut self, side: Side, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Moved { bytes, short } => {
                self.held[side.index()] += bytes;
                self.piped[side.index()] = true;
                let limits = self.limits.splice;
                let small_splices = &mut self.small_splices[side.index()];
                let before = small_splices.expect("a splice of a flow that is copied");
                let is_small = short && bytes < limits.bytes_min;
                let after = if is_small { before + 1 } else { 0 };
                *small_splices = (after < limits.small_max).then_some(after);
                self.progress(now);
            }
            Outcome::WouldBlock => self.heard[side.index()].readable = false,
            // An end is left for a read to confirm.
            Outcome::Eof | Outcome::NoPipe => self.small_splices[side.index()] = None,
            // So is what came before a loss.
            Outcome::Failed(fault) => self.lose(side, fault, now),
            _ => panic!("{outcome:?} of a splice"),
        }
    }

    fn learn_unsent(&mut self, unsent: [usize; 2], now: Instant) {
        if let Some((lost, _)) = self.lost
            && self.is_flushed(lost)
        {
            self.measurements += 1;
            self.delivered = unsent[lost.other().index()] == 0;
        }
        let unsent = unsent.iter().sum();
        if self.unsent.is_some_and(|before| unsent < before) {
            self.progress(now);
        }
        self.unsent.get_or_insert(unsent);
    }

    fn progress(&mut self, now: Instant) {
        self.progress_at = now;
        self.unsent = None;
    }

    fn lose(&mut self, side: Side, fault: Fault, now: Instant) {
        match self.lost {
            None => {
                self.lost = Some((side, fault));
                self.held[side.other().index()] = 0;
                let heard = &mut self.heard[side.index()];
                heard.error = false;
                // What it sent before is fetched without waiting for an event.
                heard.readable = true;
                self.progress(now);
            }
            Some((lost, _)) if lost == side => {}
            Some(_) => self.lost_again = true,
        }
    }

    /// Everything that the lost side sent was written.
    fn is_flushed(&self, lost: Side) -> bool {
        self.over[lost.index()] && self.held[lost.index()] == 0
    }

    pub(super) fn is_complete(&self) -> bool {
        let is_sound = self.lost.is_none() && self.heard.iter().all(|heard| !heard.error);
        is_sound && self.eof == [true; 2] && self.held == [0; 2]
    }

    pub(super) fn is_half_closed(&self) -> bool {
        let has_ended = self.heard.iter().any(|heard| heard.closed || heard.error);
        self.lost.is_some() || self.eof.contains(&true) || has_ended
    }

    pub(super) fn inactivity_limit(&self) -> Duration {
        if self.is_half_closed() { HALF_CLOSED } else { OPEN }
    }

    /// All steps but the measurement of the send queues, and whether they can and should be made.
    pub(super) fn work(&self, budget: [usize; 2], now: Instant) -> Vec<(Step, bool)> {
        let is_due = self.options_at.is_some_and(|at| at <= now);
        let mut work = vec![(Step::SetDeferredOptions, is_due)];
        for side in Side::BOTH {
            let (own, other) = (side.index(), side.other().index());
            let heard = self.heard[own];
            let is_sink_writable = self.heard[other].writable && self.connected;
            // What a lost side sent is still delivered, and nothing is sent to it.
            let (is_lost, is_left) = match self.lost {
                Some((lost, _)) => (lost == side, lost != side),
                None => (false, false),
            };
            let has_room = self.held[own] == 0 && !self.over[own] && budget[own] > 0;
            let read = has_room && heard.readable && is_sink_writable && !is_left;
            let write = self.held[own] > 0 && is_sink_writable && !is_left;
            let is_due = self.over[own] && self.held[own] == 0 && !self.shut[own];
            // An end with an error behind it may not be a clean one: that is heard first.
            let shut = is_due && self.lost.is_none() && !heard.error;
            // A side that is read will show its error by itself.
            let is_read = self.connected && !self.over[own] && !is_left;
            let take_error = heard.error && !is_read && !is_lost;
            let is_bulk = self.small_splices[own].is_some();
            let is_bulk = is_bulk && !heard.urgent && self.lost.is_none();
            let is_piped = self.piped[own];
            work.extend([(Step::Read(side), read && !is_bulk)]);
            work.extend([(Step::SpliceIn(side), read && is_bulk)]);
            work.extend([(Step::Write(side), write && !is_piped)]);
            work.extend([(Step::SpliceOut(side), write && is_piped)]);
            work.extend([(Step::Shut(side), shut), (Step::TakeError(side), take_error)]);
        }
        work
    }
}
