//! Admission: whether clients are accepted, or accepting pauses for want of descriptors or memory.

use crate::config::ACCEPT_PAUSE;
use crate::net::Net;
use crate::reactor::context::{Context, Timer};
use crate::reactor::wheel::TimerKey;

/// Whether clients are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Clients are accepted while there are slots.
    Open,
    /// The system had no descriptor or memory for a client. Accepting goes on when this timer
    /// fires, or earlier when a pair or an exchange frees a descriptor.
    Paused(TimerKey),
}

impl Admission {
    /// Stops accepting for [`ACCEPT_PAUSE`].
    pub(super) fn pause<N: Net>(&mut self, context: &mut Context<N>) {
        if *self == Admission::Open {
            let timer = context.wheel.arm(context.now + ACCEPT_PAUSE, Timer::Accept);
            *self = Admission::Paused(timer);
        }
    }

    /// Goes on accepting, when the pause is over or a descriptor may have become free.
    pub(super) fn resume<N: Net>(&mut self, context: &mut Context<N>) {
        if let Admission::Paused(timer) = *self {
            context.wheel.cancel(timer);
            *self = Admission::Open;
        }
    }
}
