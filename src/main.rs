//! Parse, read the configuration, run, and turn the outcome into an exit status: 0 after an
//! orderly end, 1 when it could not start or go on, 2 for bad usage. Every failure is one line
//! on stderr.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use env_logger::Target;
use etcd_gateway::args::{self, Invocation};
use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::config::capacity::memory_max_bytes;
use etcd_gateway::config::discovery_srv::{DiscoverySrv, Trust, UnusedFlag};
use etcd_gateway::config::log_filter;
use etcd_gateway::config::special_address::SpecialAddress;
use etcd_gateway::config::{self, Config};
use etcd_gateway::discovery::srv::SrvSource;
use etcd_gateway::discovery::{Environment, Sources};
use etcd_gateway::net::mio::{MioNet, SocketOptions};
use etcd_gateway::net::notify::ServiceManager;
use etcd_gateway::net::rlimit::Descriptors;
use etcd_gateway::net::stderr::LineWriter;
use etcd_gateway::net::tls::Verifier;
use etcd_gateway::reactor::{Limits, Listeners, Reactor, StartError};
use log::{LevelFilter, debug, info, warn};

/// The variable that says what is logged where the flag is absent.
const LOG_VARIABLE: &str = "RUST_LOG";

fn main() -> ExitCode {
    let config = match args::parse(env::args_os()) {
        Ok(Invocation::Help(text) | Invocation::Version(text)) => return print(&text),
        Ok(Invocation::Run(typed)) => Config::from_typed(&typed),
        Err(error) => Err(error),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => return fail(&error, 2),
    };
    start_log(config.log_level);
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn run(config: &Config) -> Result<(), String> {
    let descriptors = descriptors(config)?;
    let limits = limits(config, descriptors, config.listen.len());
    // Before signals are taken, which only the loop attends to: the file may be a pipe that nobody
    // writes to, or be on a network that does not answer.
    let verifier = verifier(config)?;
    let broken = |error| format!("cannot wait for events: {error}");
    let mut net = MioNet::new(socket_options(config)).map_err(broken)?;
    // Before names are looked up and addresses waited for: a signal ends both.
    net.take_signals().map_err(|error| format!("cannot take signals: {error}"))?;
    if let Some(verifier) = verifier {
        for remark in verifier.remarks() {
            warn!("certificate {remark}");
        }
        net.verify_with(verifier);
    }
    let environment = environment();
    let resolved = Reactor::resolve_listeners(net, limits, &config.listen, environment.clone());
    let Some(Listeners { net, addresses, retry }) = resolved.map_err(|error| error.to_string())?
    else {
        info!("stopped before it listened");
        return Ok(());
    };
    let limits = Limits { listen_retry: retry, ..limits };
    let sources = sources(config, environment);
    let mut reactor = match Reactor::start(net, limits, &addresses, sources) {
        Ok(reactor) => reactor,
        Err(StartError::Terminated) => {
            info!("stopped before it was ready");
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
    info!(
        "stopped clients={} completed={} rejected={} cut={} client_bytes={} server_bytes={}",
        metrics.clients_accepted,
        metrics.pairs_completed,
        metrics.clients_turned_away,
        metrics.pairs_cut,
        metrics.client_bytes,
        metrics.server_bytes,
    );
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
    let endpoints = join(reactor.endpoints().addresses());
    let listening = join(reactor.listening());
    let none_known = if endpoints.is_empty() { ", no endpoint known yet" } else { "" };
    let shared = if config.reuse_port { " reuse_port=true" } else { "" };
    info!(
        "ready to proxy client requests{none_known} endpoints=[{endpoints}] \
         listen=[{listening}]{shared}"
    );
    warn_of_this_host(config);
    for UnusedFlag { flag, reason } in &config.unused {
        warn!("flag has no effect flag=--{flag} reason={reason}");
    }
    let names: Vec<String> = reactor.names_to_resolve().map(|name| name.to_string()).collect();
    if !names.is_empty() {
        info!("waiting for endpoints names=[{}]", names.join(","));
    }
}

fn socket_options(config: &Config) -> SocketOptions {
    SocketOptions {
        keepalive: config.keepalive,
        user_timeout: config.tcp_user_timeout,
        reuse_port: config.reuse_port,
    }
}

/// Whoever copies the address on which a server listens may not know where it leads from here.
fn warn_of_this_host(config: &Config) {
    let is_unspecified = |endpoint: &&EndpointAddress| match endpoint.host {
        Host::Address(address) => SpecialAddress::of(address) == Some(SpecialAddress::Unspecified),
        Host::Name(_) => false,
    };
    let typed = config.endpoints.iter().filter(is_unspecified);
    let typed: Vec<String> = typed.map(EndpointAddress::to_string).collect();
    if !typed.is_empty() {
        warn!("endpoints without an address mean this host endpoints=[{}]", typed.join(","));
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
    let srv = config.discovery.as_ref().map(|discovery| SrvSource {
        domain: discovery.domain.clone(),
        suffix: discovery.name.clone(),
        is_insecure: discovery.trust == Trust::Everybody,
    });
    Sources {
        endpoints: config.endpoints.clone(),
        srv,
        patience: config.connect_timeout,
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
        warn!("max-connections lowered asked={asked} max={max} descriptors={descriptors}");
    }
    debug!(
        "limits connections_max={} pipes_max={} descriptors={descriptors} buffer_bytes={} \
         pair_bytes={} memory_max_bytes={} flow_budget_bytes={} accepts_per_turn={} \
         events_per_turn={}",
        connections.max,
        connections.pipes_max,
        config::BUFFER_BYTES,
        Reactor::<MioNet>::PAIR_BYTES,
        memory_max_bytes(connections.max, Reactor::<MioNet>::PAIR_BYTES),
        config::FLOW_BUDGET_BYTES,
        config::ACCEPTS_PER_TURN,
        config::EVENTS_PER_TURN,
    );
    Limits::new(config, connections)
}

/// One event a line, without a time: journald, syslog and container runtimes add their own.
fn start_log(level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.unwrap_or(config::LOG_LEVEL_DEFAULT));
    let variable = env::var_os(LOG_VARIABLE).filter(|_| level.is_none()).unwrap_or_default();
    let filter = log_filter::parse(&variable.to_string_lossy());
    builder.parse_filters(&filter.directives);
    builder.target(Target::Pipe(Box::new(LineWriter::default())));
    builder.format(|buffer, record| writeln!(buffer, "{} {}", record.level(), record.args()));
    builder.init();
    for part in &filter.ignored {
        let reason = log_filter::reason(part);
        warn!("part of {LOG_VARIABLE} ignored value={part:?} {reason}");
    }
}

fn join(addresses: impl Iterator<Item = SocketAddr>) -> String {
    addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(",")
}

fn service_manager() -> Option<ServiceManager> {
    ServiceManager::from_environment().unwrap_or_else(|error| {
        warn!("service manager not notified {error}");
        None
    })
}

fn tell(manager: &Option<ServiceManager>, state: &str) {
    if let Some(Err(error)) = manager.as_ref().map(|manager| manager.notify(state)) {
        warn!("service manager not notified state={state} {error}");
    }
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
