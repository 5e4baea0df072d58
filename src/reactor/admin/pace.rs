//! How much of the time the admin side gets while there are pairs.

use std::time::Duration;

use crate::config::limits::ADMIN_SHARE;
use crate::net::Net;
use crate::reactor::context::{Context, Timer};
use crate::reactor::wheel::TimerKey;

/// Whether the admin side pauses.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The timer that ends the pause; `None`: there is none.
    pause: Option<TimerKey>,
}

impl Pace {
    /// Whether nothing is done at present.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Pauses after a step that took this long, so that it was one part in [`ADMIN_SHARE`].
    pub(super) fn pause_after<N: Net>(&mut self, context: &mut Context<N>, took: Duration) {
        let pause = took * (ADMIN_SHARE - 1);
        if !pause.is_zero() {
            self.pause(context, pause);
        }
    }

    /// Pauses for so long, unless it pauses already.
    pub(super) fn pause<N: Net>(&mut self, context: &mut Context<N>, pause: Duration) {
        if self.pause.is_none() {
            self.pause = Some(context.wheel.arm(context.now + pause, Timer::Admin));
        }
    }

    /// Ends the pause, whose timer has fired.
    pub(super) fn resume(&mut self) {
        self.pause = None;
    }

    /// Ends the pause for good.
    pub(super) fn stop<N: Net>(&mut self, context: &mut Context<N>) {
        if let Some(timer) = self.pause.take() {
            context.wheel.cancel(timer);
        }
    }
}
