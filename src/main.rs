//! The process: from the command line to a configuration, a reactor and an exit status: 0 after an
//! orderly end, 1 if it could not start or go on, 2 for bad usage. Every failure is one line on
//! stderr.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use etcd_gateway::config::admin::{AccessLogFormat, AccessLogPath};
use etcd_gateway::config::capacity::memory_max_bytes;
use etcd_gateway::config::discovery_srv::{CAN_VERIFY, DiscoverySrv};
use etcd_gateway::config::flags::{self, Invocation, UsageError};
use etcd_gateway::config::registry::User;
use etcd_gateway::config::tls::{ClientFiles, Tls};
use etcd_gateway::config::unused::UnusedFlag;
use etcd_gateway::config::{Config, Members, limits};
use etcd_gateway::discovery::{
    Credentials, Environment, FollowMembers, HealthPolicy, KnownMembers, RecordError,
    RegistrySettings, Sources, StartingPoints,
};
use etcd_gateway::net::access_log::AccessLog;
use etcd_gateway::net::mio::{MioNet, SocketOptions};
use etcd_gateway::net::password;
use etcd_gateway::net::rlimit::Descriptors;
use etcd_gateway::net::state_file;
use etcd_gateway::net::tls::Verifier;
use etcd_gateway::net::tls_settings::{self, TlsSettings};
use etcd_gateway::net::{FileError, Host, NetError};
use etcd_gateway::observe::access_log::dropped_lines as dropped_access_lines;
use etcd_gateway::observe::events::{Event, Quoted, list};
use etcd_gateway::reactor::{Limits, Listeners, Reactor, StartError, Views, resolve_listeners};
use etcd_gateway::startup::{log_remark, notify, service_manager, start_log};
use etcd_gateway::status;

fn main() -> ExitCode {
    let config = match flags::parse(env::args_os()) {
        Ok(Invocation::Help(text) | Invocation::Version(text)) => return print(&text),
        Ok(Invocation::Status(typed)) => {
            let status = status::run(&typed);
            return status
                .map_or_else(|failed| fail(&failed.reason, failed.status), ExitCode::from);
        }
        Ok(Invocation::Run(typed)) => Config::from_typed(&typed),
        Err(error) => Err(error),
    };
    let config = match config {
        Ok(config) => config,
        Err(error) => return fail(&error, 2),
    };
    start_log(config.log.level);
    let members = match follow_members(&config) {
        Ok(members) => members,
        Err(error) => return fail(&error, 2),
    };
    match run(&config, members) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn run(config: &Config, members: Option<FollowMembers>) -> Result<(), String> {
    let descriptors = descriptors(config)?;
    let limits = limits(config, descriptors, config.listen.addresses.len());
    // Before signals are taken, which only the loop handles, so that a signal can end this: the
    // file may be a pipe without a writer, or on a file server that does not answer.
    let verifier = verifier(config)?;
    let registry = registry(config)?;
    let mut net = MioNet::new(socket_options(config)).map_err(cannot_wait)?;
    if let Some(access_log) = access_log(config)? {
        net.telemetry().log_access_to(access_log);
    }
    // Before names are looked up and addresses waited for, so that a signal ends both.
    net.take_signals().map_err(|error| format!("cannot take signals: {error}"))?;
    if let Some(verifier) = &verifier {
        verifier.remarks().iter().for_each(log_remark);
        if verifier.has_no_authorities() {
            Event::NoAuthorities.write();
        }
    }
    let connector = verifier.map(Verifier::into_connector);
    let environment = environment();
    let listen = config.tcp_addresses();
    let resolved = resolve_listeners(net, limits, &listen, environment.clone());
    let Some(Listeners { net, addresses, retry }) = resolved.map_err(|error| error.to_string())?
    else {
        Event::StoppedBeforeListening.write();
        return Ok(());
    };
    let limits = Limits { listen_retry: retry, ..limits };
    let sources = sources(config, members, registry, environment);
    let (listen, admin) = addresses.split_at(config.listen.addresses.len());
    let admin = config.admin.resolved(admin);
    let has_access_log = config.admin.access_log.is_some();
    let access_log = Some(config.admin.access_log_format).filter(|_| has_access_log);
    let views = Views { admin: &admin, access_log };
    let mut reactor = match Reactor::start(net, limits, listen, views, sources, connector) {
        Ok(reactor) => reactor,
        Err(StartError::Terminated) => {
            Event::StoppedBeforeReady.write();
            return Ok(());
        }
        Err(error) => return Err(error.to_string()),
    };
    let manager = service_manager();
    announce(config, &reactor);
    notify(&manager, "READY=1");
    reactor.run().map_err(cannot_wait)?;
    notify(&manager, "STOPPING=1");
    reactor.drain().map_err(cannot_wait)?;
    let metrics = reactor.metrics();
    Event::Stopped {
        clients: metrics.clients_accepted,
        completed: metrics.pairs_completed(),
        rejected: metrics.rejections.total(),
        cut: metrics.pairs_cut(),
        client_bytes: metrics.client_bytes,
        server_bytes: metrics.server_bytes,
    }
    .write();
    Ok(())
}

/// The access log, opened; `None`: there is none.
fn access_log(config: &Config) -> Result<Option<AccessLog>, String> {
    let notice: fn(u64) -> String = match config.admin.access_log_format {
        AccessLogFormat::Logfmt => |count| dropped_access_lines(AccessLogFormat::Logfmt, count),
        AccessLogFormat::Json => |count| dropped_access_lines(AccessLogFormat::Json, count),
    };
    match &config.admin.access_log {
        Some(AccessLogPath::File(path)) => AccessLog::open(path, notice).map(Some),
        Some(AccessLogPath::Stdout) => AccessLog::stdout(notice).map(Some),
        None => Ok(None),
    }
}

fn cannot_wait(error: NetError) -> String {
    format!("cannot wait for events: {error}")
}

/// The number of descriptors that may still be opened: enough for one client at least.
fn descriptors(config: &Config) -> Result<u64, String> {
    let (descriptors, min) = (Descriptors::count(), config.descriptors_min());
    if descriptors.free() < min {
        let (limit, needed) = (descriptors.limit(), descriptors.limit_for(min));
        return Err(format!(
            "descriptor limit of {limit} is too low: needs {needed} (ulimit -n, LimitNOFILE=)"
        ));
    }
    Ok(descriptors.free())
}

/// Logs that the gateway is ready, with its addresses and with the flags that have no effect.
fn announce(config: &Config, reactor: &Reactor<MioNet>) {
    let (endpoints, listen) = (list(reactor.endpoints().addresses()), list(reactor.listening()));
    let (endpoints, listen) = (&endpoints[..], &listen[..]);
    let reuse_port = Some(true).filter(|_| config.listen.reuse_port);
    match endpoints.is_empty() {
        true => Event::ReadyWithoutEndpoints { endpoints, listen, reuse_port }.write(),
        false => Event::Ready { endpoints, listen, reuse_port }.write(),
    }
    let admin = list(reactor.admin_addresses());
    if !admin.is_empty() {
        Event::AdminListening { admin: &admin }.write();
    }
    let reachable = list(config.admin.reachable());
    if !reachable.is_empty() {
        Event::AdminReachable { admin: &reachable }.write();
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

/// Warns of endpoints such as `0.0.0.0`. They are often copied from a server's listen address, and
/// lead to this host instead of that server's.
fn warn_of_this_host(config: &Config) {
    let endpoints = &config.endpoints.addresses;
    let endpoints = list(endpoints.iter().filter(|endpoint| endpoint.host.is_unspecified()));
    if !endpoints.is_empty() {
        Event::EndpointsMeanThisHost { endpoints: &endpoints }.write();
    }
}

/// Whether connections of our own may be over TLS.
fn has_connector(config: &Config) -> bool {
    let domain = config.discovery.as_ref().and_then(DiscoverySrv::certified_domain);
    CAN_VERIFY && (domain.is_some() || config.tls.has_https_checks)
}

/// The verifier of servers that connections of our own over TLS lead to; `None` where there are no
/// such connections.
fn verifier(config: &Config) -> Result<Option<Verifier>, String> {
    let Tls { authority, client, has_https_checks } = &config.tls;
    let domain = config.discovery.as_ref().and_then(DiscoverySrv::certified_domain);
    if !has_connector(config) {
        return Ok(None);
    }
    let client = client
        .as_ref()
        .map(|ClientFiles { certificate, key }| tls_settings::ClientFiles { certificate, key });
    let (authority, has_other_names) = (authority.as_deref(), *has_https_checks);
    Verifier::new(TlsSettings { authority, client, domain, has_other_names }).map(Some)
}

/// The registry, with the credentials of its user.
fn registry(config: &Config) -> Result<Option<RegistrySettings>, String> {
    let Some(registry) = config.registry.clone() else { return Ok(None) };
    let credentials = match &registry.user {
        Some(User { name, password_file }) => {
            let (name, password) = (name.clone(), password::read(password_file)?);
            Some(Credentials { name, password })
        }
        None => None,
    };
    Ok(Some(RegistrySettings { registry, credentials }))
}

/// The sources of endpoints.
fn sources(
    config: &Config,
    members: Option<FollowMembers>,
    registry: Option<RegistrySettings>,
    environment: Environment,
) -> Sources {
    let health = &config.health;
    Sources::new(config.time_limits.discovery_patience(), environment)
        .checked(HealthPolicy::new(&health.check, health.port, has_connector(config)))
        .with(config.endpoints.addresses.clone())
        .with(config.discovery.clone())
        .with(members)
        .with(registry)
}

/// The list of members to follow, and what the file of `--state-file` has of it; `None` where it is
/// not followed.
fn follow_members(config: &Config) -> Result<Option<FollowMembers>, UsageError> {
    let Members { is_followed, interval, file, .. } = config.members.clone();
    if !is_followed {
        return Ok(None);
    }
    let starting_points = starting_points(config);
    let remembered = match &file {
        Some(file) => remembered(file, &starting_points)?,
        None => None,
    };
    let time_limit = config.health.timeout;
    Ok(Some(FollowMembers { interval, time_limit, file, starting_points, remembered }))
}

/// Where members are first asked. Registered services change; what is typed for a registry is where
/// it is.
fn starting_points(config: &Config) -> StartingPoints {
    let registry = config.registry.iter().flat_map(|registry| &registry.members);
    let typed = config.endpoints.addresses.iter().chain(registry).map(ToString::to_string);
    typed.chain(config.discovery.iter().map(|srv| srv.domain.clone())).collect()
}

/// What the file of `--state-file` has. One that is missing is that of the first start.
///
/// # Errors
/// [`UsageError`] for one that is not ours: the next list would take its place.
fn remembered(
    path: &Path,
    starting_points: &StartingPoints,
) -> Result<Option<KnownMembers>, UsageError> {
    let shown = path.to_string_lossy();
    let file = Quoted(&shown);
    let read = state_file::read(path, limits::STATE_FILE_BYTES_MAX);
    let refused = match read.map(|bytes| KnownMembers::read(&bytes, starting_points)) {
        Ok(Ok(known)) => {
            let (urls, term) = (known.urls.len(), known.raft_term);
            Event::StateFileRead { file, urls, term }.write();
            return Ok(Some(known));
        }
        Ok(Err(RecordError::Foreign)) => "a file of another kind, which would be overwritten",
        Err(FileError::NotAFile) => "not a regular file",
        Ok(Err(reason @ RecordError::Empty)) => {
            Event::StateFileEmpty { file, reason: &reason }.write();
            return Ok(None);
        }
        Err(reason @ FileError::Missing) => {
            Event::StateFileEmpty { file, reason: &reason }.write();
            return Ok(None);
        }
        Ok(Err(reason)) => {
            Event::StateFileNotRead { file, reason: &reason }.write();
            return Ok(None);
        }
        Err(reason) => {
            Event::StateFileNotRead { file, reason: &reason }.write();
            return Ok(None);
        }
    };
    Err(UsageError::invalid(&flags::STATE_FILE, &shown, refused))
}

/// The environment variables by which every program that uses the C library's resolver is
/// configured.
fn environment() -> Environment {
    Environment { local_domain: variable("LOCALDOMAIN"), options: variable("RES_OPTIONS") }
}

fn variable(name: &str) -> Option<Vec<u8>> {
    env::var_os(name).map(OsString::into_encoded_bytes)
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
        buffer_bytes: limits::BUFFER_BYTES,
        pair_bytes: Reactor::<MioNet>::PAIR_BYTES,
        memory_max_bytes: memory_max_bytes(connections.max, Reactor::<MioNet>::PAIR_BYTES),
        flow_budget_bytes: limits::FLOW_BUDGET_BYTES,
        accepts_per_turn: limits::ACCEPTS_PER_TURN,
        events_per_turn: limits::EVENTS_PER_TURN,
    }
    .write();
    Limits::new(config, connections)
}

fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that closed the pipe does not need the rest.
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
