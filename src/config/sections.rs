//! The sections of the configuration whose fields are one flag each.
//!
//! What several flags mean together is decided elsewhere: in `listen.rs` and `discovery_srv.rs`.

use std::time::Duration;

use log::LevelFilter;

use super::address::{EndpointAddress, ListenAddress};
use super::flags::{self, Typed, UsageError};
use super::values::Value;

/// Declares a section. Each field is read from the row of the flag behind it, in the way that its
/// type has ([`Value`]).
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
    /// Where clients connect.
    Listen {
        /// The addresses; 1 to [`super::limits::LISTENERS_MAX`].
        addresses: Vec<ListenAddress> = LISTEN_ADDR,
        /// Whether other processes share the addresses, which then have ports other than 0.
        reuse_port: bool = REUSE_PORT,
        /// Time to wait for addresses that are not there yet; 0: none.
        retry: Duration = LISTEN_RETRY,
    }
}

section! {
    /// The servers behind the gateway.
    Endpoints {
        /// The addresses; 1 to [`super::limits::ENDPOINTS_MAX`], as typed, possibly one twice. With
        /// discovery none if none was typed; those that were typed then count only while discovery
        /// lists none.
        addresses: Vec<EndpointAddress> = ENDPOINTS,
        /// Ceiling of the monitor's back-off; above 0, and possibly below
        /// [`super::limits::RETRY_DELAY_MIN`].
        retry_delay: Duration = RETRY_DELAY,
    }
}

section! {
    /// How long connections may wait, be silent, and go on.
    TimeLimits {
        /// Longest wait for one endpoint; above 0.
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
        /// How long pairs may go on after the first signal; 0: not at all.
        drain_timeout: Duration = DRAIN_TIMEOUT,
    }
}

section! {
    /// How much there may be at a time.
    SizeLimits {
        /// Most pairs, 1 to [`super::limits::CONNECTIONS_MAX`]; `None`: what the descriptors allow.
        /// See [`super::Config::connections_limit`].
        connections_max: Option<usize> = MAX_CONNECTIONS,
    }
}

section! {
    /// What is logged.
    Log {
        /// The least severe lines; `None`: not typed, so that RUST_LOG counts.
        level: Option<LevelFilter> = LOG_LEVEL,
    }
}
