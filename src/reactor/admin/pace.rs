//! How much of the time the admin side gets while there are pairs.

use std::time::Duration;

use crate::config::limits::{
    ADMIN_ACCEPT_PAUSE, ADMIN_SHARE, ADMIN_TURN_TIME, ADMIN_TURN_TIME_MAX,
};
use crate::net::Net;
use crate::reactor::context::{Context, Timer};
use crate::reactor::wheel::TimerKey;

/// What the admin side does not do at present.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The timer that ends a pause of everything; `None`: there is none.
    pause: Option<TimerKey>,
    /// The timer before which no client is accepted.
    accept_pause: Option<TimerKey>,
}

/// Which pause a timer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reactor) enum Pause {
    Everything,
    Accepting,
}

impl Pace {
    /// Whether nothing is done at present.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether clients are not accepted at present, while those that were have their answers.
    pub(super) fn is_accepting_paused(&self) -> bool {
        self.accept_pause.is_some()
    }

    /// After this time nothing more is begun in this turn: it is a share of what the turn took
    /// before, so that turns that are slow do not starve the admin side.
    pub(super) fn turn_time(turn_took: Duration) -> Duration {
        (turn_took / ADMIN_SHARE).clamp(ADMIN_TURN_TIME, ADMIN_TURN_TIME_MAX)
    }

    /// Pauses after work that took this long in a turn, so that it was at most one part in
    /// [`ADMIN_SHARE`] of the time from the beginning of the turn.
    pub(super) fn pause_after<N: Net>(&mut self, context: &mut Context<N>, took: Duration) {
        let pause = took * ADMIN_SHARE;
        if !pause.is_zero() && self.pause.is_none() {
            self.pause = Some(arm(context, pause, Pause::Everything));
        }
    }

    /// Accepts no client for some time, for want of a descriptor or memory.
    pub(super) fn pause_accepting<N: Net>(&mut self, context: &mut Context<N>) {
        if self.accept_pause.is_none() {
            self.accept_pause = Some(arm(context, ADMIN_ACCEPT_PAUSE, Pause::Accepting));
        }
    }

    /// Ends a pause, whose timer has fired.
    pub(super) fn resume(&mut self, pause: Pause) {
        match pause {
            Pause::Everything => self.pause = None,
            Pause::Accepting => self.accept_pause = None,
        }
    }

    /// Ends all pauses for good.
    pub(super) fn stop<N: Net>(&mut self, context: &mut Context<N>) {
        for timer in [self.pause.take(), self.accept_pause.take()].into_iter().flatten() {
            context.wheel.cancel(timer);
        }
    }
}

fn arm<N: Net>(context: &mut Context<N>, time: Duration, pause: Pause) -> TimerKey {
    context.wheel.arm(context.now + time, Timer::Admin(pause))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;
    use crate::config::limits::{ADMIN_TURN_TIME, ADMIN_TURN_TIME_MAX};

    #[test]
    fn slow_turns_give_the_admin_side_its_share_within_bounds() {
        for (turn_took, time) in [
            (Duration::ZERO, ADMIN_TURN_TIME),
            (Duration::from_millis(4), Duration::from_micros(250)),
            (Duration::from_secs(60), ADMIN_TURN_TIME_MAX),
        ] {
            assert_eq!(Pace::turn_time(turn_took), time, "{turn_took:?}");
        }
    }
}
