//! The sections of the configuration whose fields are one flag each.
//!
//! The meaning of several flags together is decided in `listen.rs` and `discovery_srv.rs`.

use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;

use super::address::{EndpointAddress, ListenAddress};
use super::admin::{AccessLogFormat, AccessLogPath, AdminAddress};
use super::flags::{self, Typed, UsageError};
use super::health::{CloseOnFailure, CloseOnRemoval, HealthCheckMode};
use super::members::Preference;
use super::values::Value;

/// Declares a section. Each field names the flag that it is read from, in the way of its type
/// ([`Value`]).
macro_rules! section {
    (
        $(#[$about:meta])*
        $section:ident { $($(#[$doc:meta])* $field:ident: $value:ty = $flag:ident,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $section {
            $($(#[$doc])* pub $field: $value,)*
        }

        impl $section {
            /// Reads the section's flags in the order of its fields.
            pub(super) fn from_typed(typed: &Typed) -> Result<$section, UsageError> {
                Ok($section { $($field: Value::read(&flags::$flag, typed)?,)* })
            }
        }
    };
}

section! {
    /// The addresses to listen on.
    Listen {
        /// 1 to [`super::limits::LISTENERS_MAX`] addresses.
        addresses: Vec<ListenAddress> = LISTEN_ADDR,
        /// Whether other processes may share the addresses, which then have ports other than 0.
        reuse_port: bool = REUSE_PORT,
        /// Longest wait for an address that is missing or taken; 0: none.
        retry: Duration = LISTEN_RETRY,
    }
}

section! {
    /// The servers behind the gateway.
    Endpoints {
        /// 1 to [`super::limits::ENDPOINTS_MAX`] addresses as typed, possibly one twice. With
        /// discovery none if none was typed; typed ones are then used only while discovery lists
        /// none.
        addresses: Vec<EndpointAddress> = ENDPOINTS,
        /// Longest pause before a failed endpoint is dialed again; above 0, and possibly below
        /// [`super::limits::RETRY_DELAY_MIN`].
        retry_delay: Duration = RETRY_DELAY,
    }
}

section! {
    /// Whether the servers serve, and what follows if they do not.
    Health {
        /// What endpoints are asked.
        check: HealthCheckMode = HEALTH_CHECK,
        /// From one check of an endpoint to the next, in whole milliseconds; above 0.
        interval: Duration = HEALTH_INTERVAL,
        /// Longest time for connecting, and again for the answer; above 0.
        timeout: Duration = HEALTH_TIMEOUT,
        /// Passed checks in a row after which an endpoint serves again; at least 1.
        rise: u32 = HEALTH_RISE,
        /// Failed checks in a row after which an endpoint does not serve; at least 1.
        fall: u32 = HEALTH_FALL,
        /// The port where endpoints are asked; `None`: their own.
        port: Option<u16> = HEALTH_PORT,
        /// When running connections of an endpoint that fails its checks are closed.
        close_on_failure: CloseOnFailure = CLOSE_ON_FAILURE,
        /// When running connections of an endpoint that was removed are closed.
        close_on_removal: CloseOnRemoval = CLOSE_ON_REMOVAL,
        /// Most of these that are closed in a second; at least 1.
        close_rate: u32 = CLOSE_RATE,
    }
}

section! {
    /// Members of etcd.
    Members {
        /// Whether the list of members is followed.
        is_followed: bool = FOLLOW_MEMBERS,
        /// From one look at the list to the next; above 0.
        interval: Duration = FOLLOW_INTERVAL,
        /// The file that keeps the last list, where it is followed; `None`: none.
        file: Option<PathBuf> = STATE_FILE,
        /// The endpoint that clients get while it serves; `None`: any of the best.
        preference: Option<Preference> = PREFER,
    }
}

section! {
    /// How long connections may wait, be silent, or go on.
    TimeLimits {
        /// Longest dial of one endpoint; above 0.
        connect_timeout: Duration = CONNECT_TIMEOUT,
        /// Longest wait for an acknowledgement, in whole milliseconds; `None`: the kernel's
        /// default.
        tcp_user_timeout: Option<Duration> = TCP_USER_TIMEOUT,
        /// Idle time before a keepalive probe and between probes, in whole seconds; `None`: off.
        keepalive: Option<Duration> = KEEPALIVE,
        /// Longest silence of a half-closed pair; `None`: no limit.
        half_close_timeout: Option<Duration> = HALF_CLOSE_TIMEOUT,
        /// Longest silence of an open pair; `None`: no limit.
        idle_timeout: Option<Duration> = IDLE_TIMEOUT,
        /// How long pairs may go on after the first signal to end; 0: not at all.
        drain_timeout: Duration = DRAIN_TIMEOUT,
    }
}

impl TimeLimits {
    /// How long the first answer of discovery may take before typed endpoints are used. Shorter
    /// than a client waits, so that one of the first moment gets such an endpoint.
    pub fn discovery_patience(&self) -> Duration {
        self.connect_timeout * 3 / 4
    }
}

section! {
    /// How many things there may be at a time.
    SizeLimits {
        /// Most pairs, 1 to [`super::limits::CONNECTIONS_MAX`]; `None`: what the descriptors allow.
        /// See [`super::Config::connections_limit`].
        connections_max: Option<usize> = MAX_CONNECTIONS,
    }
}

section! {
    /// The log.
    Log {
        /// The level of the least severe lines; `None`: not typed, so that RUST_LOG sets it.
        level: Option<LevelFilter> = LOG_LEVEL,
    }
}

section! {
    /// What others see of the gateway.
    Admin {
        /// Where it is shown over HTTP: at most [`super::limits::ADMIN_LISTENERS_MAX`] addresses.
        addresses: Vec<AdminAddress> = ADMIN_ADDR,
        /// Where a line for each ended connection goes; `None`: there are no such lines.
        access_log: Option<AccessLogPath> = ACCESS_LOG,
        /// How these lines are written.
        access_log_format: AccessLogFormat = ACCESS_LOG_FORMAT,
    }
}
