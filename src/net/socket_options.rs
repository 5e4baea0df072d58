//! Options of the sockets of clients and servers. Decides nothing.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::config::limits::KEEPALIVE_PROBES;

/// Options of sockets, those of clients and those of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Idle time before the first keepalive probe and between probes; `None`: no probes.
    pub keepalive: Option<Duration>,
    /// How long data may be unacknowledged, or unsent because the peer takes none; `None`: the
    /// kernel's default (TCP_USER_TIMEOUT, tcp(7)).
    pub user_timeout: Option<Duration>,
    /// Whether listeners share their addresses with those of other processes of the same user that
    /// have the option, too (SO_REUSEPORT, socket(7)).
    pub reuse_port: bool,
}

impl SocketOptions {
    /// Sets keepalive and user timeout.
    pub(super) fn set_timeouts(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(keepalive) = self.keepalive {
            let keepalive = TcpKeepalive::new()
                .with_time(keepalive)
                .with_interval(keepalive)
                .with_retries(KEEPALIVE_PROBES);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        if self.user_timeout.is_some() {
            socket.set_tcp_user_timeout(self.user_timeout)?;
        }
        Ok(())
    }
}
