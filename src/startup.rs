//! What the process does once at its start: the log begins, and the service manager is notified.
//! What is configured and run is decided in `main.rs`.

use std::env;
use std::io::Write;

use env_logger::Target;
use log::LevelFilter;

use crate::config::limits;
use crate::config::log_filter::{self, Ignored, IgnoredReason};
use crate::net::notify::{NotifyError, ServiceManager};
use crate::net::remark::{Remark, RemarkKind};
use crate::net::stderr::LineWriter;
use crate::observe::events::{Event, Quoted, TARGETS, Value, list};

/// The variable that sets what is logged where `--log-level` is absent.
const LOG_VARIABLE: &str = "RUST_LOG";

/// Starts the log: one event a line, without a timestamp, which journald, syslog and container
/// runtimes add.
pub fn start_log(level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.unwrap_or(limits::LOG_LEVEL_DEFAULT));
    let variable = env::var_os(LOG_VARIABLE).filter(|_| level.is_none()).unwrap_or_default();
    let filter = log_filter::parse(&variable.to_string_lossy(), TARGETS);
    builder.parse_filters(&filter.directives);
    builder.target(Target::Pipe(Box::new(LineWriter::new(dropped_lines))));
    builder.format(|buffer, record| writeln!(buffer, "{} {}", record.level(), record.args()));
    builder.init();
    for Ignored { part, reason } in &filter.ignored {
        let levels = list(reason.levels());
        let levels = Some(&levels[..]).filter(|levels| !levels.is_empty());
        let targets = list(TARGETS);
        let targets = Some(&targets[..]).filter(|_| *reason == IgnoredReason::UnknownTarget);
        Event::LogFilterIgnored { value: Quoted(part), reason, levels, targets }.write();
    }
}

/// The line for `count` lines that were dropped before it.
fn dropped_lines(count: u64) -> String {
    let event = Event::LinesDropped { count };
    format!("{} {event}\n", event.level())
}

/// The service manager that is notified; `None`: there is none, or it cannot be.
pub fn service_manager() -> Option<ServiceManager> {
    ServiceManager::from_environment().unwrap_or_else(|error| {
        log_not_notified(None, &error);
        None
    })
}

/// Notifies the service manager, if there is one.
pub fn notify(manager: &Option<ServiceManager>, state: &str) {
    if let Some(Err(error)) = manager.as_ref().map(|manager| manager.notify(state)) {
        log_not_notified(Some(&state), &error);
    }
}

/// Logs a remark about a certificate.
pub fn log_remark(remark: &Remark) {
    let Remark { kind, number, subject, reason, file } = remark;
    let (number, subject, reason) = (*number, Quoted(subject), reason as Value<'_>);
    let file = file.as_deref().map(Quoted);
    match kind {
        RemarkKind::Skipped => Event::CertificateSkipped { number, subject, reason, file }.write(),
        RemarkKind::TrustedForItself => {
            Event::CertificateForItself { number, subject, reason, file }.write();
        }
        RemarkKind::NotInForce => {
            Event::CertificateNotInForce { number, subject, reason, file }.write();
        }
        RemarkKind::NotForClients => {
            Event::CertificateNotForClients { subject, file }.write();
        }
        RemarkKind::Unusable => {
            Event::CertificateUnusable { number, subject, reason, file }.write();
        }
    }
}

fn log_not_notified(state: Option<Value<'_>>, error: &NotifyError) {
    let (socket, reason) = (Quoted(&error.socket), &error.reason);
    Event::ServiceManagerNotNotified { state, socket, reason }.write();
}
