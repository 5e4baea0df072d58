//! The observer: what is remembered of the run so that it can be shown. It is there only if
//! something shows it, and costs nothing otherwise. Must not decide anything about the run.

use std::path::PathBuf;

use super::context::{Context, Timer};
use crate::config::admin::AccessLogFormat;
use crate::config::limits::{ACCESS_LOG_BYTES, SAMPLE_INTERVAL, TURNS_PER_MEASUREMENT};
use crate::net::{Host, Net, Telemetry};
use crate::observe::access_log::AccessRecord;
use crate::observe::events::{Event, Quoted};
use crate::observe::records::{EndpointRecords, Moment};
use crate::observe::timings::Timings;

/// What is remembered of the run.
#[derive(Debug)]
pub(super) struct Observer {
    pub(super) timings: Timings,
    pub(super) endpoints: EndpointRecords,
    /// When the process was started, by either clock.
    pub(super) started: Moment,
    /// Turns since the last one that was measured.
    unmeasured: u32,
    /// Whether the present turn does more than to relay.
    is_notable: bool,
    /// Whether the next one does, whatever happens.
    is_next_notable: bool,
    /// Whether a second has passed since the last sample.
    is_sample_due: bool,
    /// Whether a client of the admin side has asked in this turn how endpoints do.
    is_asked: bool,
    /// `None`: there is no access log.
    pub(super) access: Option<AccessLines>,
}

/// Lines of the access log that are to be written at the end of the turn.
#[derive(Debug)]
pub(super) struct AccessLines {
    format: AccessLogFormat,
    lines: Vec<u8>,
}

impl AccessLines {
    /// Adds a line. Returns whether the lines are to be written before the end of the turn.
    pub(super) fn add(&mut self, record: &AccessRecord<'_>) -> bool {
        record.write(self.format, &mut self.lines);
        self.lines.len() >= ACCESS_LOG_BYTES
    }
}

impl Observer {
    fn new(started: Moment, access_log: Option<AccessLogFormat>) -> Observer {
        let access = access_log.map(|format| AccessLines { format, lines: Vec::new() });
        Observer {
            access,
            timings: Timings::default(),
            endpoints: EndpointRecords::default(),
            started,
            unmeasured: 0,
            // What was found before is recorded in the first turn, which does not wait.
            is_notable: true,
            is_next_notable: false,
            is_sample_due: false,
            is_asked: false,
        }
    }

    /// Notes that the next turn does more than to relay, and is not to wait.
    pub(super) fn note_next_turn(&mut self) {
        self.is_next_notable = true;
    }

    /// Whether a sample is due. True once.
    pub(super) fn take_sample_due(&mut self) -> bool {
        std::mem::take(&mut self.is_sample_due)
    }

    /// Notes that a client of the admin side has asked how endpoints do.
    pub(super) fn note_asked(&mut self) {
        self.is_asked = true;
    }

    /// Whether one has. True once.
    pub(super) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.is_asked)
    }

    /// Whether the turn that ends is to be measured: those that did more than to relay, and some of
    /// the others, since reading the clock costs as much as a part of a small message.
    fn takes_turn(&mut self) -> bool {
        self.unmeasured += 1;
        let takes = self.is_notable || self.unmeasured >= TURNS_PER_MEASUREMENT;
        self.is_notable = std::mem::take(&mut self.is_next_notable);
        if takes {
            self.unmeasured = 0;
        }
        takes
    }
}

impl<N: Net + Host> Context<N> {
    /// Begins to observe the run.
    pub(super) fn observe(&mut self, access_log: Option<AccessLogFormat>) {
        let started = moment(self);
        self.observer = Some(Box::new(Observer::new(started, access_log)));
        // Descriptors are counted one by one the first time, which takes longer later.
        self.net.telemetry().usage();
    }

    /// Has endpoints, and what pairs have delivered, sampled from now on once a second.
    pub(super) fn sample_once_a_second(&mut self) {
        self.wheel.arm(self.now + SAMPLE_INTERVAL, Timer::Sample);
        if let Some(observer) = &mut self.observer {
            observer.is_sample_due = true;
        }
    }

    /// Writes the lines about the pairs that have ended in this turn.
    pub(super) fn write_access_log(&mut self) {
        let Some(access) = self.observer.as_mut().and_then(|observer| observer.access.as_mut())
        else {
            return;
        };
        if access.lines.is_empty() {
            return;
        }
        let written = self.net.telemetry().write_access_log(&access.lines);
        access.lines.clear();
        if let Err(reason) = written {
            self.log(Event::AccessLogNotWritten { reason: &reason });
        }
    }

    /// Does what SIGHUP asks for.
    pub(super) fn on_hang_up(&mut self) {
        let outcome = reopen_access_log(&mut self.net);
        outcome.report(|event| self.log(event));
    }

    /// Measures the turn that ends, if it is one of those that are.
    #[inline]
    pub(super) fn measure_turn(&mut self) {
        let now = self.now;
        if let Some(observer) = &mut self.observer
            && observer.takes_turn()
        {
            let took = self.net.telemetry().read_clock().saturating_duration_since(now);
            observer.timings.turns.add(took);
        }
    }
}

// Also for parts that know nothing of the host.
impl<N: Net> Context<N> {
    /// Notes that this turn does more than to relay.
    #[inline]
    pub(super) fn note_turn(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.is_notable = true;
        }
    }
}

/// Whether something is shown, and this turn does more than to relay.
#[inline]
pub(super) fn is_notable(observer: Option<&Observer>) -> bool {
    observer.is_some_and(|observer| observer.is_notable)
}

/// The result of SIGHUP.
#[derive(Debug)]
pub(super) enum HangUp {
    /// The access log was opened again.
    Reopened(PathBuf),
    /// It could not be, for this reason, and its old file is kept.
    Kept(String),
    /// The access log is standard output.
    Unchanged,
    /// There is no access log, and nothing else is read again.
    Ignored,
}

impl HangUp {
    /// Logs the result.
    pub(super) fn report(&self, log: impl FnOnce(Event<'_>)) {
        match self {
            HangUp::Reopened(path) => {
                let path = path.to_string_lossy();
                log(Event::AccessLogReopened { file: Quoted(&path) });
            }
            HangUp::Kept(reason) => log(Event::AccessLogNotReopened { reason: Quoted(reason) }),
            HangUp::Unchanged => {}
            HangUp::Ignored => log(Event::RELOAD_IGNORED),
        }
    }
}

/// Opens the access log again, where there is one, as the file of its name may be another one.
/// Also before the run is observed: the file is open by then.
pub(super) fn reopen_access_log<N: Host>(net: &mut N) -> HangUp {
    let telemetry = net.telemetry();
    if telemetry.access_log_lines_dropped().is_none() {
        return HangUp::Ignored;
    }
    match telemetry.reopen_access_log() {
        Ok(Some(path)) => HangUp::Reopened(path),
        Ok(None) => HangUp::Unchanged,
        Err(reason) => HangUp::Kept(reason),
    }
}

/// The time of this turn, by either clock.
pub(super) fn moment<N: Net + Host>(context: &mut Context<N>) -> Moment {
    Moment { now: context.now, unix_time: context.net.telemetry().unix_time() }
}
