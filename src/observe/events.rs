//! Events: each is one line of the log, with its level, its message and its fields. No other file
//! words a line. Which lines may be written when is decided in `journal.rs`.
//!
//! A line is `LEVEL message key=value key=value`. A message is fixed; a value is a word, a number,
//! a duration in whole milliseconds, an address or a name. What somebody else chose and may contain
//! anything, such as a path, is quoted. A list is `[one,two]`, and a field without a value is
//! absent.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use log::{Level, log};

use super::changes::Kind;
use crate::config::duration::format_milliseconds;

/// What lines are filed under, for `RUST_LOG`: the part of the program that they are about.
pub(super) const TARGET: &str = "etcd_gateway::reactor";

/// A value of one word: an address, a name, a reason.
pub type Value<'a> = &'a dyn Display;

/// A text that may contain anything; quoted, and escaped as in Rust.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

/// Values of one kind.
pub type List<'a> = &'a [String];

/// Changes that one line sums up; each kind is a field, its worst level counts.
pub type Kinds<'a> = &'a [Kind];

/// The texts of `items`, for a [`List`].
pub fn list(items: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// Declares [`Event`]: for each its documentation, its name, level and message, and its fields,
/// which are written under their names and in their order.
macro_rules! events {
    ($(
        $(#[$documentation:meta])*
        $name:ident: $level:ident $message:literal
        $({ $($field:ident: $type:ty),* $(,)? })?;
    )*) => {
        /// Something that the log tells.
        #[derive(Clone, Copy)]
        pub enum Event<'a> {
            $($(#[$documentation])* $name $({ $($field: $type),* })?,)*
        }

        impl Event<'_> {
            /// How much it matters.
            #[inline]
            pub fn level(&self) -> Level {
                match self {
                    $(Event::$name $({ $($field: _),* })? => Level::$level,)*
                }
            }
        }

        /// The line without its level.
        impl Display for Event<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                match self {
                    $(Event::$name $({ $($field),* })? => {
                        f.write_str($message)?;
                        $($($field.write(stringify!($field), f)?;)*)?
                    })*
                }
                Ok(())
            }
        }
    };
}

// ------------------------------------------------------------------------------ start and end
events! {
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
    /// These names have no address so far.
    WaitingForEndpoints: Info "waiting for endpoints" { names: List<'a> };
    /// A listen address is missing or taken, and is tried again for `--listen-retry`.
    WaitingForListenAddress: Info "waiting for the listen address" {
        address: Value<'a>,
        reason: Value<'a>,
        timeout: Duration,
    };
    /// What the process is held to.
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
    /// A flag was typed in vain.
    FlagWithoutEffect: Warn "flag has no effect" { flag: Value<'a>, reason: Value<'a> };
    /// A part of `RUST_LOG` means nothing. `levels` are those that there are, if one was meant.
    LogFilterIgnored: Warn "part of RUST_LOG ignored" {
        value: Quoted<'a>,
        reason: Value<'a>,
        levels: Option<List<'a>>,
    };
    /// A certificate that was given to trust is of no use.
    CertificateSkipped: Warn "certificate skipped" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// A certificate that is no authority; a server may show the very same one.
    CertificateForItself: Warn "certificate trusted for itself alone" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// The time of a certificate has not come, or is over.
    CertificateNotInForce: Warn "certificate not in force" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// A certificate has a key of a kind that cannot be verified here.
    CertificateUnusable: Warn "certificate cannot be used" {
        number: usize,
        subject: Quoted<'a>,
        reason: Value<'a>,
        file: Option<Quoted<'a>>,
    };
    /// The service manager cannot be spoken to. `state` is absent where that is known at the start.
    ServiceManagerNotNotified: Warn "service manager not notified" {
        state: Option<Value<'a>>,
        socket: Value<'a>,
        reason: Value<'a>,
    };
    /// A signal came before there was anything to listen on.
    StoppedBeforeListening: Info "stopped before it listened";
    /// A signal came before the gateway was ready.
    StoppedBeforeReady: Info "stopped before it was ready";
    /// The process was asked to end. No client is connected, or none is waited for.
    Draining: Info "draining" { pairs: usize, timeout: Duration };
    /// The process was asked to end, and waits for its clients to leave.
    DrainingPairs: Info "draining, a second signal ends at once" {
        pairs: usize,
        timeout: Duration,
    };
    /// Lines that were dropped before this one, since nothing has read them in time.
    LinesDropped: Warn "log lines dropped" { count: u64 };
    /// The orderly end, with what happened since the start.
    Stopped: Info "stopped" {
        clients: u64,
        completed: u64,
        rejected: u64,
        cut: u64,
        client_bytes: u64,
        server_bytes: u64,
    };
    /// A signal that means nothing here. Counted.
    SignalIgnored: Warn "signal ignored" { signal: Value<'a>, reason: Value<'a> };

    // ---------------------------------------------------------------- clients and resources
    /// A client was closed unserved. Counted; reason and pairs are those of the last one.
    ClientRejected: Warn "clients rejected" { reason: Value<'a>, pairs: usize };
    /// A dial failed for want of descriptors, ports, memory or a route of our own. Counted; the
    /// fields are those of the last one.
    DialFailedLocally: Warn "dials failed locally" {
        endpoint: Option<Value<'a>>,
        reason: Value<'a>,
        pairs: usize,
    };
    /// Nobody is let in for a moment, for want of descriptors or memory. Counted; the fields are
    /// those of the last one.
    AcceptPaused: Warn "accept paused" { reason: Value<'a>, pairs: usize };
    /// A client has left, or was closed. `cause` is what happened first, `phase` when.
    PairClosed: Debug "pair closed" {
        client: Value<'a>,
        endpoint: Value<'a>,
        cause: Value<'a>,
        phase: Value<'a>,
        duration_ms: u128,
        client_bytes: u64,
        server_bytes: u64,
    };
    /// No pipe can be had, so bytes are copied: slower, and no failure.
    NoPipe: Info "no pipe, copying instead" { reason: Value<'a>, pipes: usize };
    /// There still is none.
    StillNoPipe: Debug "no pipe, copying instead" { reason: Value<'a>, pipes: usize };
    /// splice(2) is not to be had at all.
    SpliceRefused: Warn "splice refused by the kernel or a sandbox, copying from now on";

    // ------------------------------------------------------------------------------ endpoints
    /// Discovery has found an endpoint. Gathered.
    EndpointAdded: Info "endpoint added" {
        endpoint: Value<'a>,
        name: Value<'a>,
        priority: u16,
        weight: u16,
    };
    /// Discovery does not find an endpoint any longer; its pairs go on. Gathered.
    EndpointRemoved: Info "endpoint removed" { endpoint: Value<'a>, pairs: u32 };
    /// An endpoint is in rotation again; `reason` is whose dial has shown it.
    EndpointActive: Info "endpoint active" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        down_for: Duration,
    };
    /// An endpoint is out of rotation, since a dial has failed.
    EndpointInactive: Warn "endpoint inactive" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        retry_in: Duration,
    };
    /// An endpoint that discovery found has shown a certificate for the domain. Gathered.
    EndpointVerified: Info "endpoint verified" { endpoint: Value<'a>, after: Duration };
    /// An endpoint that discovery found has not. Gathered.
    EndpointNotVerified: Warn "endpoint not verified" {
        endpoint: Value<'a>,
        reason: Value<'a>,
        authority: Option<Quoted<'a>>,
        retry_in: Duration,
    };

    /// Several endpoints were added, removed or verified within a second: those of each kind, and
    /// how many more.
    EndpointsChanged: Info "endpoints changed" { kinds: Kinds<'a> };

    // ------------------------------------------------------------------------------ discovery
    /// Several of the following happened within a second: what of each kind, and how much more. The
    /// level is the worst of theirs.
    DiscoveryChanged: Info "discovery changed" { kinds: Kinds<'a> };
    /// A record or an address that was found is not used. `listener` is the one of our own that it
    /// leads back to. Gathered.
    EndpointSkipped: Warn "endpoint skipped" {
        endpoint: Option<Value<'a>>,
        name: Option<Value<'a>>,
        reason: Value<'a>,
        listener: Option<Value<'a>>,
    };
    /// The same where no route leads there: usual on a host with one family of addresses. Gathered.
    EndpointWithoutRoute: Info "endpoint skipped" {
        endpoint: Option<Value<'a>>,
        name: Option<Value<'a>>,
        reason: Value<'a>,
    };
    /// A name gives nothing at present. Gathered.
    NameNotResolved: Warn "name not resolved" { name: Value<'a>, reason: Value<'a> };
    /// It gives something again. Gathered.
    NameResolved: Info "name resolved again" { name: Value<'a> };
    /// No name leads to an endpoint; the last known ones stay. Gathered.
    LastEndpointsKept: Warn "discovery returned no endpoints, keeping the last known ones" {
        count: usize,
    };
    /// SRV records give no endpoint, so those of `--endpoints` are used, unverified. Gathered.
    TypedEndpointsUsed: Warn "no endpoint from SRV records, using those of --endpoints unverified" {
        domain: Value<'a>,
        reason: Value<'a>,
        count: usize,
    };
    /// SRV records give endpoints, which replace those of `--endpoints`. Gathered.
    DiscoveredEndpointsUsed: Info "endpoints from SRV records in use" { domain: Value<'a> };
    /// resolv.conf(5) names no server; others are asked. Gathered.
    NameServersUnknown: Warn "no name server given, asking others" {
        file: Value<'a>,
        reason: Value<'a>,
        servers: List<'a>,
    };
    /// resolv.conf(5) is longer than is read. Gathered.
    ResolverFileTooLong: Warn "file too long, using its beginning" {
        file: Value<'a>,
        reason: Value<'a>,
        servers: List<'a>,
    };
    /// resolv.conf(5) can be used as it is again. Gathered.
    NameServersKnown: Info "name servers known again" { file: Value<'a>, servers: List<'a> };
    /// hosts(5) cannot be read.
    HostsFileNotRead: Warn "hosts file not read" { file: Value<'a>, reason: Value<'a> };
}

impl Event<'static> {
    /// There is nothing to reload.
    pub const RELOAD_IGNORED: Event<'static> =
        Event::SignalIgnored { signal: &"SIGHUP", reason: &"no_reload" };
}

impl Event<'_> {
    /// Whether any line of its level is written at all.
    #[inline]
    pub fn is_enabled(&self) -> bool {
        self.level() <= log::max_level()
    }

    /// Writes the line now. For what comes seldom, where there is no journal.
    pub fn write(&self) {
        log!(target: TARGET, self.level(), "{self}");
    }
}

/// A field of a line: ` key=value`, or nothing.
trait Field {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result;
}

impl Field for Value<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={self}")
    }
}

impl Field for Quoted<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={:?}", self.0)
    }
}

impl Field for List<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}=[{}]", self.join(","))
    }
}

impl Field for Kinds<'_> {
    fn write(&self, _: &str, f: &mut Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|kind| write!(f, " {}=[{kind}]", kind.key))
    }
}

impl Field for Duration {
    /// More digits than those of a millisecond would only look exact.
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={}", format_milliseconds(*self))
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |value| value.write(key, f))
    }
}

macro_rules! plain_fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, " {key}={self}")
            }
        }
    )*};
}

plain_fields!(bool, u16, u32, u64, u128, usize);

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
        let event = Event::LogFilterIgnored { value, reason: &"unknown", levels: None };
        let want = r#"part of RUST_LOG ignored value="a \"b\"\n" reason=unknown"#;
        assert_eq!(event.to_string(), want);
    }
}
