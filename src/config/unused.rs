//! Flags that were typed and have no effect, which is said in the log. Pure.

use std::fmt;

use super::flags::{Flag, Typed};

/// A flag that was typed and has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusedFlag {
    /// The name, without the dashes.
    pub flag: &'static str,
    /// Why it has no effect.
    pub reason: NoEffect,
}

/// Why a flag has no effect. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// The value is empty, as that of a template without its variable, and counts as absent.
    Empty,
    /// The flag has no meaning without `--discovery-srv`.
    NoDiscoverySrv,
    /// The flag has no meaning together with `--insecure-discovery`.
    InsecureDiscovery,
    /// The flag has no meaning without `--follow-members`.
    NoFollowMembers,
    /// The flag is about health checks, and there are none.
    NoHealthCheck,
    /// The flag takes what health checks as etcd say, and there are none.
    NoEtcdCheck,
    /// The flag has no meaning without `--registry-prefix`.
    NoRegistryPrefix,
    /// The flag has no meaning without `--access-log`.
    NoAccessLog,
    /// The flag is about TLS connections of our own, and there are none.
    NoTlsConnection,
}

impl fmt::Display for NoEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoEffect::Empty => "empty_value",
            NoEffect::NoDiscoverySrv => "no_discovery_srv",
            NoEffect::InsecureDiscovery => "insecure_discovery",
            NoEffect::NoFollowMembers => "no_follow_members",
            NoEffect::NoHealthCheck => "no_health_check",
            NoEffect::NoEtcdCheck => "no_etcd_check",
            NoEffect::NoRegistryPrefix => "no_registry_prefix",
            NoEffect::NoAccessLog => "no_access_log",
            NoEffect::NoTlsConnection => "no_tls_connection",
        })
    }
}

impl UnusedFlag {
    /// The flag with this `value`, if that is empty or there is a `reason` why it has no effect.
    pub(super) fn find(flag: &Flag, value: &str, reason: Option<NoEffect>) -> Option<UnusedFlag> {
        let reason = if value.is_empty() { Some(NoEffect::Empty) } else { reason };
        Some(UnusedFlag { flag: flag.name, reason: reason? })
    }
}

/// The value of a flag; as in etcd, an empty one counts as absent.
pub(super) fn given<'a>(typed: &'a Typed, flag: &Flag) -> Option<&'a str> {
    typed.last(flag).filter(|text| !text.is_empty())
}
