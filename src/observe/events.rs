//! Events: each is one line of the log, with its level, its message and its fields. The texts of
//! all lines are in this file, but for the words of a value, which are those of its type, and the
//! kinds that a gathered line counts. `journal.rs` decides when a line is written.
//!
//! A line is `LEVEL message key=value key=value`. A message is fixed. A value is a word, a number,
//! a duration in whole milliseconds, an address or a name. A text from outside that may contain
//! anything, such as a path, is quoted. A list is `[one,two]`. A field without a value is absent.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use log::{Level, log};

use super::fields::Field;
pub use super::fields::{Kinds, List, Origin, Quoted, Value, list};

/// The level and the target of a line, by which `RUST_LOG` filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The level.
    pub level: Level,
    /// The subject of the line, one of [`TARGETS`].
    pub target: &'static str,
}

events! {
    /// Start, end, flags, signals and limits of the process.
    "etcd_gateway::process" {
    /// The gateway listens, and knows endpoints.
    Ready: Info "ready to proxy client requests" {
        endpoints: List<'a>,
        listen: List<'a>,
        reuse_port: Option<bool>,
    };
    /// The gateway listens; clients wait until an endpoint is found.
    ReadyWithoutEndpoints: Info "ready to proxy client requests, no endpoint known yet" {
        endpoints: List<'a>,
        listen: List<'a>,
        reuse_port: Option<bool>,
    };
    /// The limits of the process.
    Limits: Debug "limits" {
        connections_max: usize,
        pipes_max: usize,
        descriptors: u64,
        buffer_bytes: usize,
        pair_bytes: usize,
        memory_max_bytes: u64,
        flow_budget_bytes: usize,
        accepts_per_turn: usize,
        events_per_turn: usize,
    };
    /// The free descriptors do not suffice for `--max-connections`.
    MaxConnectionsLowered: Warn "max-connections lowered" {
        asked: usize,
        max: usize,
        descriptors: u64,
    };
    /// `0.0.0.0` or `[::]` was typed as an endpoint, which leads to this host.
    EndpointsMeanThisHost: Warn "endpoints without an address mean this host" {
        endpoints: List<'a>,
    };
    /// The admin side answers at these addresses.
    AdminListening: Info "admin side listens" { admin: List<'a> };
    /// The admin side, which asks for no password, may be reached from elsewhere.
    AdminReachable: Warn "admin address reachable from other hosts" { admin: List<'a> };
    /// A flag that was typed has no effect.
    FlagWithoutEffect: Warn "flag has no effect" { flag: Value<'a>, reason: Value<'a> };
    /// A part of `RUST_LOG` is invalid. `levels` lists the valid ones, if a level was expected,
    /// and `targets` those, if a target was.
    LogFilterIgnored: Warn "part of RUST_LOG ignored" {
        value: Quoted<'a>,
        reason: Value<'a>,
        levels: Option<List<'a>>,
        targets: Option<List<'a>>,
    };
    /// The service manager cannot be notified. `state` is absent where its address is invalid.
    ServiceManagerNotNotified: Warn "service manager not notified" {
        state: Option<Value<'a>>,
        socket: Quoted<'a>,
        reason: Value<'a>,
    };
    /// A signal asked the process to end while names to listen on were being looked up.
    StoppedBeforeListening: Info "stopped before it listened";
    /// A signal asked the process to end before the gateway was ready.
    StoppedBeforeReady: Info "stopped before it was ready";
    /// The process was asked to end, and there are no clients to wait for, or no time.
    Draining: Info "draining" { pairs: usize, timeout: Duration };
    /// The process was asked to end, and waits for its clients to leave.
    DrainingPairs: Info "draining, a second signal ends at once" {
        pairs: usize,
        timeout: Duration,
    };
    /// Lines before this one were dropped, as standard error was not read in time.
    LinesDropped: Warn "log lines dropped" { count: u64 };
    /// The process ends in order. The fields are counts since the start.
    Stopped: Info "stopped" {
        clients: u64,
        completed: u64,
        rejected: u64,
        cut: u64,
        client_bytes: u64,
        server_bytes: u64,
    };
    /// The access log was opened again, as SIGHUP asks.
    AccessLogReopened: Info "access log opened again" { file: Quoted<'a> };
    /// The access log cannot be opened again, so that the old file is kept.
    AccessLogNotReopened: Warn "access log not opened again" { reason: Quoted<'a> };
    /// Lines of the access log cannot be written, and are dropped. Once a series.
    AccessLogNotWritten: Warn "access log not written" { reason: Value<'a> };
    /// A signal has no effect here. Counted.
    SignalIgnored: Warn "signal ignored" { signal: Value<'a>, reason: Value<'a> };
    }

    /// Listeners, and accepting.
    "etcd_gateway::listen" {
    /// A listen address is missing or taken, and is tried again for `--listen-retry`.
    WaitingForListenAddress: Info "waiting for the listen address" {
        address: Value<'a>,
        reason: Value<'a>,
        timeout: Duration,
    };
    /// No client is accepted for a moment, for want of descriptors or memory. Counted; the reason
    /// is that of the last one.
    AcceptPaused: Warn "accept paused" { reason: Value<'a> };
    }

    /// Clients, and the bytes between them and servers.
    "etcd_gateway::relay" {
    /// A client was closed before it had a server. Counted; the reason is that of the last one.
    ClientRejected: Warn "clients rejected" { reason: Value<'a> };
    /// A pair has ended: for which cause, and in which phase.
    PairClosed: Debug "pair closed" {
        client: Value<'a>,
        endpoint: Value<'a>,
        cause: Value<'a>,
        phase: Value<'a>,
        duration_ms: u128,
        client_bytes: u64,
        server_bytes: u64,
    };
    /// No pipe could be opened, so bytes are copied. That is slower, but not a failure.
    NoPipe: Info "no pipe, copying instead" { reason: Value<'a>, pipes: usize };
    /// A further attempt to open a pipe has failed.
    StillNoPipe: Debug "no pipe, copying instead" { reason: Value<'a>, pipes: usize };
    /// splice(2) is not available, so all bytes are copied.
    SpliceRefused: Warn "splice refused by the kernel or a sandbox, copying from now on";
    }

    /// Endpoints: which there are, and which can be reached.
    "etcd_gateway::upstream" {
    /// A dial failed because this host lacks descriptors, ports, memory or a route. Counted; the
    /// fields are those of the last one.
    DialFailedLocally: Warn "dials failed locally" {
        endpoint: Option<Value<'a>>,
        reason: Value<'a>,
    };
    /// Discovery has found an endpoint. Gathered.
    EndpointAdded: Info "endpoint added" {
        endpoint: Value<'a>,
        name: Value<'a>,
        priority: u16,
        weight: u16,
    };
    /// Discovery no longer finds an endpoint; its pairs go on. Gathered.
    EndpointRemoved: Info "endpoint removed" { endpoint: Value<'a>, pairs: u32 };
    /// An endpoint is in rotation again after a dial by `reason`: a client or a probe.
    EndpointActive: Info "endpoint active" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        down_for: Duration,
    };
    /// An endpoint is out of rotation, because a dial has failed.
    EndpointInactive: Warn "endpoint inactive" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        retry_in: Duration,
    };
    /// An endpoint passes its health check for the first time. Gathered.
    EndpointChecked: Info "endpoint passes its check" { endpoint: Value<'a>, check: Value<'a> };
    /// An endpoint passes its health checks again, and gets clients.
    EndpointPassing: Info "endpoint passes its check again" {
        endpoint: Value<'a>,
        failed_for: Duration,
    };
    /// An endpoint with `pairs` fails its checks: no clients while another one serves.
    EndpointFailing: Warn "endpoint fails its check" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        pairs: u32,
    };
    /// An endpoint that fails its health checks does so for another reason.
    EndpointFailsOtherwise: Debug "endpoint fails its check otherwise" {
        endpoint: Value<'a>,
        reason: Value<'a>,
    };
    /// An endpoint that could be a member of etcd has not answered any check so far.
    EndpointCheckUnanswered: Warn "endpoint does not answer its check" {
        endpoint: Value<'a>,
        reason: Value<'a>,
    };
    /// An endpoint that could be a member of etcd does not answer as one, so it is not asked again.
    EndpointNotChecked: Info "endpoint is not checked" { endpoint: Value<'a>, reason: Value<'a> };
    /// An endpoint can pass no check until a person has changed something: it is asked no more.
    EndpointNotCheckable: Warn "endpoint is not checked" { endpoint: Value<'a>, reason: Value<'a> };
    /// A database of the cluster is full: etcd refuses puts at every member.
    EndpointHasNoSpace: Warn "endpoint has no space" { endpoint: Value<'a> };
    /// Every endpoint that accepts fails its health checks, so all of them get clients.
    FailingOpen: Warn "no endpoint passes its check, using those that accept" { endpoints: usize };
    /// An endpoint passes its health checks again, and those that do not get no more clients.
    FailingOpenEnded: Info "endpoints that pass their check in use again" { endpoints: usize };
    /// A connection of a failing endpoint is closed. Counted; the endpoint is that of the last.
    EndpointConnectionClosed: Warn "connections of failing endpoints closed" {
        endpoint: Option<Value<'a>>,
    };
    /// A connection of a removed endpoint is closed. Counted; the endpoint is that of the last.
    RemovedConnectionClosed: Info "connections of removed endpoints closed" {
        endpoint: Option<Value<'a>>,
    };
    /// An endpoint without health checks has taken bytes of a client, and has not answered for
    /// longer than it ever took.
    EndpointSilent: Warn "endpoint silent" {
        endpoint: Value<'a>,
        silent_for: Duration,
        longest_before: Duration,
    };
    /// An endpoint that discovery found has shown a certificate for the domain. Gathered.
    EndpointVerified: Info "endpoint verified" { endpoint: Value<'a>, after: Duration };
    /// Several endpoints were added, removed or verified within a second: the first ones of each
    /// kind, and the number of the others.
    EndpointsChanged: Info "endpoints changed" { kinds: Kinds<'a> };
    }

    /// Names, sources of endpoints, and proof of what they lead to.
    "etcd_gateway::discovery" {
    /// The endpoints' names have no address so far.
    WaitingForEndpoints: Info "waiting for endpoints" { names: List<'a> };
    /// A certificate in the file of trusted ones is not used.
    CertificateSkipped: Warn "certificate skipped" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// A trusted certificate is not one of an authority, but a server may show it itself.
    CertificateForItself: Warn "certificate trusted for itself alone" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// The system has no certificate of an authority, so that no server can be verified that is
    /// checked over https.
    NoAuthorities: Warn "no certificates of authorities on this system";
    /// A certificate, a trusted one or our own, is not valid yet, or has expired.
    CertificateNotInForce: Warn "certificate not in force" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// Our own certificate is not one for clients. It is shown all the same.
    CertificateNotForClients: Warn "certificate shown although it is not for clients" {
        subject: Quoted<'a>,
        file: Option<Quoted<'a>>,
    };
    /// A trusted certificate has a kind of key by which signatures cannot be verified.
    CertificateUnusable: Warn "certificate cannot be used" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// An endpoint that discovery found has not shown a certificate for the domain. `authority` is
    /// the subject of the trusted authority that the reason is about. Gathered.
    EndpointNotVerified: Warn "endpoint not verified" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        authority: Option<Quoted<'a>>,
        retry_in: Duration,
    };
    /// Several of the following happened within a second: the first subjects of each kind, and the
    /// number of the others. The line has the most severe of their levels.
    DiscoveryChanged: Info "discovery changed" { kinds: Kinds<'a> };
    /// A record or an address that was found is not used. `listener` is the listener of this
    /// gateway that it leads back to. Gathered.
    EndpointSkipped: Warn "endpoint skipped" {
        endpoint: Option<Value<'a>>,
        name: Option<Value<'a>>,
        reason: Value<'a>,
        listener: Option<Value<'a>>,
    };
    /// An address that was found is not used, as there is no route to it: usual on a host with one
    /// family of addresses. Gathered.
    EndpointWithoutRoute: Info "endpoint skipped" {
        endpoint: Option<Value<'a>>,
        name: Option<Value<'a>>,
        reason: Value<'a>,
    };
    /// There are more endpoints than can be used; `count` records or names have one that is not.
    TooManyEndpoints: Warn "too many endpoints" { count: usize, count_max: usize };
    /// A name has no records at present. Gathered.
    NameNotResolved: Warn "name not resolved" { name: Value<'a>, reason: Value<'a> };
    /// A name has records again. Gathered.
    NameResolved: Info "name resolved again" { name: Value<'a> };
    /// No name leads to an endpoint, so the last known ones stay. Gathered.
    LastEndpointsKept: Warn "discovery returned no endpoints, keeping the last known ones" {
        count: usize,
    };
    /// A source leads to no endpoint, so those of `--endpoints` are used, unverified. Gathered.
    TypedEndpointsUsed: Warn "no endpoint from discovery, using those of --endpoints unverified" {
        source: Origin<'a>,
        reason: Value<'a>,
        count: usize,
    };
    /// A source leads to endpoints, which replace those of `--endpoints`. Gathered.
    DiscoveredEndpointsUsed: Info "endpoints from discovery in use" { source: Origin<'a> };
    /// The list of members is followed, and names other endpoints than before: as many URLs, as the
    /// member at `endpoint` has it.
    MembersFollowed: Info "list of members followed" {
        urls: usize,
        cluster: Value<'a>,
        term: u64,
        endpoint: Value<'a>,
    };
    /// The list of a member is not believed, and an operator may have to do something about it.
    MembersRefused: Warn "list of members not believed" { endpoint: Value<'a>, reason: Value<'a> };
    /// A member gave no list, or one that others will correct.
    MembersNotGiven: Info "list of members not believed" { endpoint: Value<'a>, reason: Value<'a> };
    /// No member gave a list that is believed: the endpoints stay as they are. The reason is that
    /// of the last one.
    MembersUnknown: Warn "no list of members, keeping the endpoints" { reason: Value<'a> };
    /// A member gave a list that is believed, after none did.
    MembersKnown: Info "list of members known again";
    /// The file of `--state-file` has the list of members that is begun with.
    StateFileRead: Info "state file read" { file: Quoted<'a>, urls: usize, term: u64 };
    /// The file of `--state-file` is missing or empty, as before the first list.
    StateFileEmpty: Info "state file has no list yet" { file: Quoted<'a>, reason: Value<'a> };
    /// The file of `--state-file` cannot be used, so that the typed endpoints are begun with.
    StateFileNotRead: Warn "state file not read" { file: Quoted<'a>, reason: Value<'a> };
    /// The file of `--state-file` cannot be written; tried again with each list.
    StateFileNotWritten: Warn "state file not written" { file: Quoted<'a>, reason: Value<'a> };
    /// The file resolv.conf(5) names no server, so default ones are asked. Gathered.
    NameServersUnknown: Warn "no name server given, asking others" {
        file: Value<'a>,
        reason: Value<'a>,
        servers: List<'a>,
    };
    /// The file resolv.conf(5) is longer than what is read of it. Gathered.
    ResolverFileTooLong: Warn "file too long, using its beginning" {
        file: Value<'a>,
        reason: Value<'a>,
        servers: List<'a>,
    };
    /// The file resolv.conf(5) can be used as it is again. Gathered.
    NameServersKnown: Info "name servers known again" { file: Value<'a>, servers: List<'a> };
    /// A registered value names no server that can be dialed. Gathered.
    ServiceSkipped: Warn "registered service skipped" { key: Quoted<'a>, reason: Value<'a> };
    /// The weight of a registered value cannot be read, so it has the default one. Gathered.
    WeightIgnored: Warn "registered weight ignored" { key: Quoted<'a> };
    /// There are more registered keys than are kept; the last ones are not used.
    TooManyServices: Warn "too many registered services" { count_max: usize };
    /// No member of etcd lets the registry be followed; the services of before stay. The server is
    /// the one that was asked last. Again for another reason only where a person has to end it.
    RegistryLost: Warn "registry not followed, keeping the last known services" {
        server: Value<'a>,
        reason: Value<'a>,
        services: usize,
    };
    /// The registry is followed again.
    RegistryRestored: Info "registry followed again" { server: Value<'a>, services: usize };
    /// The file hosts(5) cannot be read.
    HostsFileNotRead: Warn "hosts file not read" { file: Value<'a>, reason: Value<'a> };
    }
}

impl Event<'static> {
    /// SIGHUP has no effect, as there is nothing to reload.
    pub const RELOAD_IGNORED: Event<'static> =
        Event::SignalIgnored { signal: &"SIGHUP", reason: &"no_reload" };
}

impl Event<'_> {
    /// Whether lines of its level are written at all.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.level() <= log::max_level()
    }

    /// The level and the target of the line.
    pub fn heading(&self) -> Heading {
        Heading { level: self.level(), target: self.target() }
    }

    /// Writes the line now. For rare events, where there is no journal.
    pub fn write(&self) {
        log!(target: self.target(), self.level(), "{self}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_and_its_fields() {
        let retry_in = Duration::from_micros(1_234_567);
        let event = Event::EndpointInactive { endpoint: &"[::1]:1", reason: &"refused", retry_in };
        let want = "endpoint inactive endpoint=[::1]:1 reason=refused retry_in=1.234s";
        assert_eq!((event.level(), event.to_string().as_str()), (Level::Warn, want));
        assert_eq!(Event::SpliceRefused.to_string().split('=').count(), 1);
    }

    #[test]
    fn fields_without_a_value_are_absent() {
        let (endpoints, listen) = (list([1, 2]), list([""; 0]));
        let (endpoints, listen) = (&endpoints[..], &listen[..]);
        let text = "ready to proxy client requests endpoints=[1,2] listen=[]";
        for (reuse_port, want) in [(None, ""), (Some(true), " reuse_port=true")] {
            let line = Event::Ready { endpoints, listen, reuse_port }.to_string();
            assert_eq!(line, format!("{text}{want}"));
        }
    }

    #[test]
    fn what_may_contain_anything_is_quoted() {
        let value = Quoted("a \"b\"\n");
        let event =
            Event::LogFilterIgnored { value, reason: &"unknown", levels: None, targets: None };
        let want = r#"part of RUST_LOG ignored value="a \"b\"\n" reason=unknown"#;
        assert_eq!(event.to_string(), want);
    }
}
