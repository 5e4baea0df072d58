//! Whether clients are let in, or accepting pauses for want of descriptors or memory.

use crate::config::ACCEPT_PAUSE;
use crate::net::Net;
use crate::reactor::context::{Context, Timer};
use crate::reactor::wheel::TimerKey;

/// Whether clients are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// They are, as long as there is a slot.
    Open,
    /// The system had no descriptor or memory for one. Tried again when this timer fires or a
    /// pair or probe of ours is reaped, whichever comes first.
    Paused(TimerKey),
}

impl Admission {
    /// Nobody is let in for a while.
    pub(super) fn pause<N: Net>(&mut self, context: &mut Context<N>) {
        if *self == Admission::Open {
            let timer = context.wheel.arm(context.now + ACCEPT_PAUSE, Timer::Accept);
            *self = Admission::Paused(timer);
        }
    }

    /// A descriptor may have become free, or the pause is over.
    pub(super) fn resume<N: Net>(&mut self, context: &mut Context<N>) {
        if let Admission::Paused(timer) = *self {
            context.wheel.cancel(timer);
            *self = Admission::Open;
        }
    }
}
