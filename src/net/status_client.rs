//! The blocking client of the command `status`: one GET over a connection of its own, within a time
//! limit; and what that command needs of its terminal. Not for the gateway itself, which must not
//! block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollTimeout, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::limits::{HTTP_HEAD_BYTES_MAX, STATUS_BYTES_MAX};
use crate::proto::http1::{Client, Delivery, HttpError, Limits, Received, Request};

/// The path that is asked for.
const PATH: &str = "/status";
/// The host that is asked where there is no name or address of one.
const LOCAL_NAME: &str = "localhost";
/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// Where a gateway is asked.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A name, whose addresses are all tried, or a literal address without brackets.
    Host(&'a str, u16),
    /// A port of this host.
    Loopback(u16),
    /// A socket of the file system.
    Path(&'a Path),
}

/// The body of what a gateway answers to GET /status. `limit`: the time for all of it; above 0.
///
/// # Errors
/// One line that says why there is no answer with status 200.
pub fn get_status(place: Place<'_>, limit: Duration) -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + limit;
    let (host, targets) = match place {
        Place::Host(host, port) => {
            let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            (format!("{bracketed}:{port}"), resolve(host, port, deadline)?)
        }
        Place::Loopback(port) => {
            let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            let targets = both.map(|ip| SockAddr::from(SocketAddr::new(ip, port)));
            (format!("{LOCAL_NAME}:{port}"), targets.to_vec())
        }
        Place::Path(path) => {
            let address = SockAddr::unix(path).map_err(|error| error.to_string())?;
            (LOCAL_NAME.to_owned(), vec![address])
        }
    };
    let request = Request::get(&host, PATH).map_err(|_| "a host without a name".to_owned())?;
    let socket = connect(&targets, deadline)
        .map_err(|error| format!("cannot connect: {}", reason(&error, limit)))?;
    exchange(socket, request, deadline)
        .map_err(|error| format!("no answer: {}", reason(&error, limit)))?
}

/// The addresses of a host. The C library has no time limit, so it is asked in a thread, which ends
/// with the process if it has to.
fn resolve(host: &str, port: u16, deadline: Instant) -> Result<Vec<SockAddr>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SockAddr::from(SocketAddr::new(ip, port))]);
    }
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        // No longer awaited where the time limit was over.
        let _ = sender.send(found);
    });
    match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Ok(found)) if !found.is_empty() => Ok(found.into_iter().map(SockAddr::from).collect()),
        Ok(Ok(_)) => Err(format!("{host} has no address")),
        Ok(Err(error)) => Err(format!("cannot look up {host}: {error}")),
        Err(_) => Err(format!("cannot look up {host}: no answer in time")),
    }
}

/// A connection to the first target that accepts one. Each gets its share of the time that is left.
fn connect(targets: &[SockAddr], deadline: Instant) -> io::Result<Socket> {
    let mut failure = io::Error::from(ErrorKind::TimedOut);
    for (index, target) in targets.iter().enumerate() {
        let shares = u32::try_from(targets.len() - index).unwrap_or(u32::MAX);
        let time = remaining(deadline)? / shares;
        match connect_to(target, time.max(Duration::from_millis(1))) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn connect_to(target: &SockAddr, time: Duration) -> io::Result<Socket> {
    let socket = Socket::new(target.domain(), Type::STREAM, None)?;
    match target.domain() {
        // Where the backlog is full it blocks for as long as a write may (unix(7)), and one that
        // does not block fails at once.
        Domain::UNIX => {
            socket.set_write_timeout(Some(time))?;
            socket.connect(target)?;
        }
        _ => socket.connect_timeout(target, time)?,
    }
    Ok(socket)
}

/// The inner error: there is an answer, and it is not one to show.
fn exchange(
    mut socket: Socket,
    request: Request,
    deadline: Instant,
) -> io::Result<Result<Vec<u8>, String>> {
    let limits = Limits { head_bytes_max: HTTP_HEAD_BYTES_MAX, body_bytes_max: STATUS_BYTES_MAX };
    let mut client = Client::new(request, limits, Delivery::Whole);
    while !client.outgoing().is_empty() {
        socket.set_write_timeout(Some(remaining(deadline)?))?;
        let written = socket.write(client.outgoing())?;
        client.wrote(written);
    }
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match client.poll() {
            Ok(Some(Received::Response(response))) if response.status == 200 => {
                return Ok(Ok(response.body));
            }
            Ok(Some(Received::Response(response))) => {
                return Ok(Err(format!("no answer to show: HTTP status {}", response.status)));
            }
            Ok(Some(_)) => return Ok(Err(unexpected(HttpError::ClosedEarly))),
            Ok(None) => {}
            Err(error) => return Ok(Err(unexpected(error))),
        }
        socket.set_read_timeout(Some(remaining(deadline)?))?;
        match socket.read(&mut buffer) {
            Ok(0) => {
                client.end(true);
            }
            Ok(bytes) => client.incoming(&buffer[..bytes]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn unexpected(error: HttpError) -> String {
    format!("no answer of a gateway: {}", error.to_string().replace('_', " "))
}

/// The time that is left.
///
/// # Errors
/// [`ErrorKind::TimedOut`] where there is none.
fn remaining(deadline: Instant) -> io::Result<Duration> {
    let time = deadline.saturating_duration_since(Instant::now());
    match time.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(time),
    }
}

fn reason(error: &io::Error, limit: Duration) -> String {
    match error.kind() {
        // How the kernel says that the time limit of a socket is over.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("not within {limit:?}"),
        ErrorKind::NotFound => "no such file".to_owned(),
        kind => kind.to_string(),
    }
}

/// Waits. No thread of the gateway may.
pub fn pause(duration: Duration) {
    // A signal that is handled would end the wait early, and there is none.
    let _ = poll(&mut [], PollTimeout::try_from(duration).unwrap_or(PollTimeout::MAX));
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Above 0.
    pub rows: usize,
    /// Above 0.
    pub columns: usize,
}

impl Screen {
    /// One on which everything has room.
    pub const UNKNOWN: Screen = Screen { rows: usize::MAX, columns: usize::MAX };
}

/// The size of the terminal that is standard output; `None` where that is not known.
pub fn screen() -> Option<Screen> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ (ioctl_tty(2)) writes one winsize to the pointer, and that is ours.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    let screen = Screen { rows: usize::from(size.ws_row), columns: usize::from(size.ws_col) };
    Some(screen).filter(|screen| result == 0 && screen.rows > 0 && screen.columns > 0)
}
