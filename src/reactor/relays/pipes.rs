//! The pool of pipes, which lends a pipe to a flow while the pipe holds bytes of it.
//!
//! A flow fills a pipe and empties it within the same turn, unless its sink is slow, so a few pipes
//! serve all flows. Two limits: for all pipes, because full ones hold the kernel's memory, and for
//! unused ones, which are closed once no flow has needed one for a while. A lack of pipes is not an
//! error: the flow copies.

use std::time::Instant;

use super::Relays;
use crate::config::{PIPE_PAUSE, SPARE_PIPES_AGE, SPARE_PIPES_MAX};
use crate::net::{Net, NetError};
use crate::observe::events::{Event, Value};
use crate::reactor::context::{Context, Timer};

/// Lends pipes.
pub(super) struct Pipes<P> {
    supply: Supply,
    /// Empty pipes.
    spare: Vec<P>,
    lent: usize,
    pipes_max: usize,
    lent_at: Instant,
    /// Whether the timer is armed after which unused pipes are closed.
    is_watched: bool,
}

/// Whether the kernel gives further pipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    Open,
    /// The last attempt failed for want of descriptors or memory; the next one is at `retry_at`.
    Short {
        retry_at: Instant,
    },
    /// The kernel or a sandbox refuses to splice, so no pipe is opened from now on.
    Refused,
}

impl<P> Pipes<P> {
    /// A pool of at most `pipes_max` pipes, which opens none yet.
    pub(super) fn new(pipes_max: usize, now: Instant) -> Pipes<P> {
        let (supply, spare) = (Supply::Open, Vec::new());
        Pipes { supply, spare, lent: 0, pipes_max, lent_at: now, is_watched: false }
    }

    /// Lends an empty pipe; `None` if none is available now.
    pub(super) fn lend<N: Net<Pipe = P>>(&mut self, net: &mut N, now: Instant) -> Option<P> {
        let pipe = match (self.spare.pop(), self.supply) {
            (Some(spare), _) => spare,
            (None, Supply::Refused) => return None,
            (None, Supply::Short { retry_at }) if now < retry_at => return None,
            (None, _) if self.lent >= self.pipes_max => return None,
            (None, _) => self.open(net, now)?,
        };
        self.lent += 1;
        self.lent_at = now;
        Some(pipe)
    }

    fn open<N: Net<Pipe = P>>(&mut self, net: &mut N, now: Instant) -> Option<P> {
        match net.open_pipe() {
            Ok(pipe) => {
                self.supply = Supply::Open;
                Some(pipe)
            }
            Err(NetError::NotSupported) => {
                self.refuse(net);
                None
            }
            Err(error) => {
                // The first failure in a row is logged at info, further ones at debug.
                let (reason, pipes): (Value<'_>, _) = (&error, self.lent);
                match self.supply {
                    Supply::Open => Event::NoPipe { reason, pipes }.write(),
                    _ => Event::StillNoPipe { reason, pipes }.write(),
                }
                self.supply = Supply::Short { retry_at: now + PIPE_PAUSE };
                None
            }
        }
    }

    /// Takes back a pipe that is empty again.
    pub(super) fn give_back<N: Net<Pipe = P>>(&mut self, net: &mut N, pipe: P) {
        self.count_back();
        if self.spare.len() < SPARE_PIPES_MAX && self.supply != Supply::Refused {
            self.spare.push(pipe);
        } else {
            net.close_pipe(pipe);
        }
    }

    /// Takes back a pipe that may hold bytes, which are dropped.
    pub(super) fn discard<N: Net<Pipe = P>>(&mut self, net: &mut N, pipe: P) {
        self.count_back();
        net.close_pipe(pipe);
    }

    /// Makes all flows copy from now on, because the kernel does not splice here.
    pub(super) fn refuse<N: Net<Pipe = P>>(&mut self, net: &mut N) {
        if self.supply != Supply::Refused {
            self.supply = Supply::Refused;
            Event::SpliceRefused.write();
        }
        self.close_spare(net);
    }

    /// Frees descriptors for a client that lacks one. Each unused pipe has two: they are closed,
    /// and none is opened for a while, or the next bulk flow would take what the client waits for.
    pub(super) fn release_descriptors<N: Net<Pipe = P>>(&mut self, net: &mut N, now: Instant) {
        self.close_spare(net);
        if self.supply != Supply::Refused {
            self.supply = Supply::Short { retry_at: now + PIPE_PAUSE };
        }
    }

    fn close_spare<N: Net<Pipe = P>>(&mut self, net: &mut N) {
        self.spare.drain(..).for_each(|pipe| net.close_pipe(pipe));
    }

    /// The number of pipes that are lent at present.
    pub(super) fn lent(&self) -> usize {
        self.lent
    }

    fn count_back(&mut self) {
        assert!(self.lent > 0, "more pipes came back than were lent");
        self.lent -= 1;
    }
}

impl<N: Net> Relays<N> {
    /// Arms the timer after which unused pipes are closed.
    pub(in crate::reactor) fn watch_spare_pipes(&mut self, context: &mut Context<N>) {
        let pipes = &mut self.pipes;
        if !pipes.spare.is_empty() && !pipes.is_watched {
            pipes.is_watched = true;
            context.wheel.arm(pipes.lent_at + SPARE_PIPES_AGE, Timer::SparePipes);
        }
    }

    /// Handles the timer: closes unused pipes, unless one was lent meanwhile.
    pub(in crate::reactor) fn on_spare_pipes_timer(&mut self, context: &mut Context<N>) {
        let pipes = &mut self.pipes;
        pipes.is_watched = false;
        if pipes.lent_at + SPARE_PIPES_AGE <= context.now {
            pipes.close_spare(&mut context.net);
        }
    }
}
