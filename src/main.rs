//! Parse, read the configuration, run, and turn the outcome into an exit status: 0 after an
//! orderly end, 1 when it could not start or go on, 2 for bad usage. Every failure is one line
//! on stderr.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use env_logger::Target;
use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::config::capacity::memory_max_bytes;
use etcd_gateway::config::discovery_srv::{DiscoverySrv, Trust, UnusedFlag};
use etcd_gateway::config::flags::{self, Invocation};
use etcd_gateway::config::log_filter::{self, Ignored};
use etcd_gateway::config::special_address::SpecialAddress;
use etcd_gateway::config::{self, Config};
use etcd_gateway::discovery::{Environment, Sources};
use etcd_gateway::net::mio::{MioNet, SocketOptions};
use etcd_gateway::net::notify::{NotifyError, ServiceManager};
use etcd_gateway::net::remark::{Remark, RemarkKind};
use etcd_gateway::net::rlimit::Descriptors;
use etcd_gateway::net::stderr::LineWriter;
use etcd_gateway::net::tls::Verifier;
use etcd_gateway::observe::events::{Event, Quoted, Value, list};
use etcd_gateway::reactor::{Limits, Listeners, Reactor, StartError, resolve_listeners};
use log::LevelFilter;

/// The variable that says what is logged where the flag is absent.
const LOG_VARIABLE: &str = "RUST_LOG";

fn main() -> ExitCode {
    let config = match flags::parse(env::args_os()) {
        Ok(Invocation::Help(text) | Invocation::Version(text)) => return print(&text),
        Ok(Invocation::Run(typed)) => Config::from_typed(&typed),
        Err(error) => Err(error),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => return fail(&error, 2),
    };
    start_log(config.log.level);
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn run(config: &Config) -> Result<(), String> {
    let descriptors = descriptors(config)?;
    let limits = limits(config, descriptors, config.listen.addresses.len());
    // Before signals are taken, which only the loop attends to: the file may be a pipe that nobody
    // writes to, or be on a network that does not answer.
    let verifier = verifier(config)?;
    let broken = |error| format!("cannot wait for events: {error}");
    let mut net = MioNet::new(socket_options(config)).map_err(broken)?;
    // Before names are looked up and addresses waited for: a signal ends both.
    net.take_signals().map_err(|error| format!("cannot take signals: {error}"))?;
    if let Some(verifier) = verifier {
        verifier.remarks().iter().for_each(log_remark);
        net.verify_with(verifier);
    }
    let environment = environment();
    let resolved = resolve_listeners(net, limits, &config.listen.addresses, environment.clone());
    let Some(Listeners { net, addresses, retry }) = resolved.map_err(|error| error.to_string())?
    else {
        Event::StoppedBeforeListening.write();
        return Ok(());
    };
    let limits = Limits { listen_retry: retry, ..limits };
    let sources = sources(config, environment);
    let mut reactor = match Reactor::start(net, limits, &addresses, sources) {
        Ok(reactor) => reactor,
        Err(StartError::Terminated) => {
            Event::StoppedBeforeReady.write();
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    let manager = service_manager();
    announce(config, &reactor);
    tell(&manager, "READY=1");
    reactor.run().map_err(broken)?;
    tell(&manager, "STOPPING=1");
    reactor.drain().map_err(broken)?;
    let metrics = reactor.metrics();
    Event::Stopped {
        clients: metrics.clients_accepted,
        completed: metrics.pairs_completed,
        rejected: metrics.clients_turned_away,
        cut: metrics.pairs_cut,
        client_bytes: metrics.client_bytes,
        server_bytes: metrics.server_bytes,
    }
    .write();
    Ok(())
}

/// How many descriptors may still be opened, which must be enough to serve somebody.
fn descriptors(config: &Config) -> Result<u64, String> {
    let (descriptors, least) = (Descriptors::count(), config.descriptors_min());
    if descriptors.free() < least {
        let (limit, needed) = (descriptors.limit(), descriptors.limit_for(least));
        return Err(format!(
            "descriptor limit of {limit} is too low: needs {needed} (ulimit -n, LimitNOFILE=)"
        ));
    }
    Ok(descriptors.free())
}

/// Tells that it is ready, and what for.
fn announce(config: &Config, reactor: &Reactor<MioNet>) {
    let (endpoints, listen) = (list(reactor.endpoints().addresses()), list(reactor.listening()));
    let (endpoints, listen) = (&endpoints[..], &listen[..]);
    let reuse_port = Some(true).filter(|_| config.listen.reuse_port);
    match endpoints.is_empty() {
        true => Event::ReadyWithoutEndpoints { endpoints, listen, reuse_port }.write(),
        false => Event::Ready { endpoints, listen, reuse_port }.write(),
    }
    warn_of_this_host(config);
    for UnusedFlag { flag, reason } in &config.unused {
        Event::FlagWithoutEffect { flag: &format_args!("--{flag}"), reason }.write();
    }
    let names = list(reactor.names_to_resolve());
    if !names.is_empty() {
        Event::WaitingForEndpoints { names: &names }.write();
    }
}

fn socket_options(config: &Config) -> SocketOptions {
    SocketOptions {
        keepalive: config.time_limits.keepalive,
        user_timeout: config.time_limits.tcp_user_timeout,
        reuse_port: config.listen.reuse_port,
    }
}

/// Whoever copies the address on which a server listens may not know where it leads from here.
fn warn_of_this_host(config: &Config) {
    let is_unspecified = |endpoint: &&EndpointAddress| match endpoint.host {
        Host::Address(address) => SpecialAddress::of(address) == Some(SpecialAddress::Unspecified),
        Host::Name(_) => false,
    };
    let typed = config.endpoints.addresses.iter().filter(is_unspecified);
    let endpoints = list(typed);
    if !endpoints.is_empty() {
        Event::EndpointsMeanThisHost { endpoints: &endpoints }.write();
    }
}

/// What endpoints have to show that were found by discovery.
fn verifier(config: &Config) -> Result<Option<Verifier>, String> {
    let Some(DiscoverySrv { domain, trust: Trust::Certified { authority }, .. }) =
        &config.discovery
    else {
        return Ok(None);
    };
    // etcd asks for the discovery domain, too, and not for the host that a record names: whoever
    // can forge the record could name a host of their own.
    let name = domain.strip_suffix('.').unwrap_or(domain);
    Verifier::new(authority.as_deref(), name).map(Some)
}

/// Where endpoints are to come from.
fn sources(config: &Config, environment: Environment) -> Sources {
    Sources {
        endpoints: config.endpoints.addresses.clone(),
        srv: config.discovery.clone(),
        names: Vec::new(),
        patience: config.time_limits.connect_timeout,
        environment,
    }
}

/// What the environment says of how to look names up, as to every program that asks by the C
/// library.
fn environment() -> Environment {
    let variable = |name: &str| env::var_os(name).map(OsString::into_encoded_bytes);
    Environment { local_domain: variable("LOCALDOMAIN"), options: variable("RES_OPTIONS") }
}

fn limits(config: &Config, descriptors: u64, listeners: usize) -> Limits {
    let connections = config.connections_limit(descriptors, listeners);
    if let Some(asked) = connections.lowered_from {
        let max = connections.max;
        Event::MaxConnectionsLowered { asked, max, descriptors }.write();
    }
    Event::Limits {
        connections_max: connections.max,
        pipes_max: connections.pipes_max,
        descriptors,
        buffer_bytes: config::BUFFER_BYTES,
        pair_bytes: Reactor::<MioNet>::PAIR_BYTES,
        memory_max_bytes: memory_max_bytes(connections.max, Reactor::<MioNet>::PAIR_BYTES),
        flow_budget_bytes: config::FLOW_BUDGET_BYTES,
        accepts_per_turn: config::ACCEPTS_PER_TURN,
        events_per_turn: config::EVENTS_PER_TURN,
    }
    .write();
    Limits::new(config, connections)
}

/// One event a line, without a time: journald, syslog and container runtimes add their own.
fn start_log(level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.unwrap_or(config::LOG_LEVEL_DEFAULT));
    let variable = env::var_os(LOG_VARIABLE).filter(|_| level.is_none()).unwrap_or_default();
    let filter = log_filter::parse(&variable.to_string_lossy());
    builder.parse_filters(&filter.directives);
    builder.target(Target::Pipe(Box::new(LineWriter::new(dropped_lines))));
    builder.format(|buffer, record| writeln!(buffer, "{} {}", record.level(), record.args()));
    builder.init();
    for Ignored { part, reason } in &filter.ignored {
        let levels = list(reason.levels());
        let levels = Some(&levels[..]).filter(|levels| !levels.is_empty());
        Event::LogFilterIgnored { value: Quoted(part), reason, levels }.write();
    }
}

/// The line that says how many are missing before it.
fn dropped_lines(count: u64) -> String {
    let event = Event::LinesDropped { count };
    format!("{} {event}\n", event.level())
}

fn service_manager() -> Option<ServiceManager> {
    ServiceManager::from_environment().unwrap_or_else(|error| {
        log_not_notified(None, &error);
        None
    })
}

fn tell(manager: &Option<ServiceManager>, state: &str) {
    if let Some(Err(error)) = manager.as_ref().map(|manager| manager.notify(state)) {
        log_not_notified(Some(&state), &error);
    }
}

fn log_remark(remark: &Remark) {
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
        RemarkKind::Unusable => {
            Event::CertificateUnusable { number, subject, reason, file }.write();
        }
    }
}

fn log_not_notified(state: Option<Value<'_>>, error: &NotifyError) {
    let (socket, reason) = (&error.socket, &error.reason);
    Event::ServiceManagerNotNotified { state, socket, reason }.write();
}

fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever closed our output does not want the rest.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            fail(&format!("cannot write to stdout: {}", error.kind()), 1)
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn fail(reason: &dyn Display, status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "etcd-gateway: {reason}");
    ExitCode::from(status)
}
