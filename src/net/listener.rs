//! Listeners: of TCP, and of the file system (unix(7)). Must not decide who may listen where.
//!
//! The file of a Unix listener is one more thing to keep in order: a stale one, left by a process
//! that was killed, is replaced; one at which a process listens is not. It has mode 0660, so that
//! its group may connect, and is removed with its listener, unless another file has taken its
//! place.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod, umask};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::NetError;
use super::errno::net_error;
use super::socket_options::SocketOptions;
use crate::address::Address;

/// The permissions of the file of a Unix listener: its owner and its group may connect.
const MODE: u32 = 0o660;
/// Clients that may wait to be accepted. The admin side takes fewer at a time.
const UNIX_BACKLOG: i32 = 128;
/// How often the lock of a folder is tried for, and the pause behind each try.
const LOCK_TRIES: usize = 100;
const LOCK_PAUSE_MS: u16 = 10;

/// A socket that accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// One of TCP.
    Tcp(TcpListener),
    /// One of the file system, and its file.
    Unix(UnixListener, SocketFile),
}

/// The file of a listener, which is removed with this value.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file (stat(2)).
    identity: (u64, u64),
}

impl Listener {
    /// Takes a connection from the backlog, and returns it with the address of its peer.
    pub(super) fn accept(&self) -> io::Result<(TcpStream, Address)> {
        match self {
            Listener::Tcp(listener) => {
                listener.accept().map(|(stream, peer)| (stream, Address::Inet(peer)))
            }
            Listener::Unix(listener, _) => {
                let (stream, peer) = listener.accept()?;
                let path = peer.as_pathname().unwrap_or(Path::new(""));
                Ok((as_stream(stream.into()), Address::from(path)))
            }
        }
    }

    /// Listens at `address`, registered under `token`.
    pub(super) fn open(
        address: &Address,
        options: &SocketOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Listener> {
        let address = match address {
            Address::Inet(address) => *address,
            Address::Unix(path) => return Listener::at_path(path, registry, token),
        };
        match Listener::at_ip(address, options, registry, token) {
            // `[::]` is both families; the host may have IPv4 only.
            Err(error) if is_wildcard_v6(address) && lacks_v6(&error) => {
                let address = SocketAddr::from(([0, 0, 0, 0], address.port()));
                Listener::at_ip(address, options, registry, token)
            }
            outcome => outcome,
        }
    }

    fn at_ip(
        address: SocketAddr,
        options: &SocketOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Listener> {
        let socket = open(address)?;
        socket.set_tcp_nodelay(true)?;
        options.set_timeouts(&SockRef::from(&socket))?;
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if is_wildcard_v6(address) {
            // `[::]` means both families, as in Go, whatever net.ipv6.bindv6only is.
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        // The kernel limits the backlog to net.core.somaxconn (listen(2)), the length that
        // administrators tune; a smaller number here could only lower it.
        socket.listen(i32::MAX)?;
        let mut listener = TcpListener::from_std(socket.into());
        registry.register(&mut listener, token, Interest::READABLE)?;
        Ok(Listener::Tcp(listener))
    }

    fn at_path(path: &Path, registry: &Registry, token: Token) -> io::Result<Listener> {
        // Of several that start at once, one is to find the file of another one alive.
        let _lock = lock_folder(path)?;
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        // bind(2) makes the file with the mode of the socket, less the umask: so the file has this
        // mode from its first moment on.
        fchmod(socket.as_fd(), Mode::from_bits_truncate(MODE as libc::mode_t))?;
        // This process has one thread, so no other file is made meanwhile.
        let mask = umask(Mode::empty());
        let bound = SockAddr::unix(path).and_then(|address| socket.bind(&address));
        umask(mask);
        bound?;
        let file = SocketFile::of(path)?;
        socket.listen(UNIX_BACKLOG)?;
        let mut listener = UnixListener::from_std(OwnedFd::from(socket).into());
        listener.register(registry, token, Interest::READABLE)?;
        Ok(Listener::Unix(listener, file))
    }

    /// Whether a connection waits in the backlog.
    pub(super) fn has_client(&self) -> bool {
        let descriptor = match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener, _) => listener.as_fd(),
        };
        let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// The address that it has.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(Address::Inet),
            Listener::Unix(_, file) => Ok(Address::from(file.path.as_path())),
        }
    }
}

/// A socket of TCP for addresses of this family.
pub(super) fn open(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

fn is_wildcard_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn lacks_v6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// A connected stream socket of either kind in the type of one: reading, writing, shutting down and
/// closing are the same calls (socket(7)), and what only TCP has is not asked of it.
fn as_stream(stream: UnixStream) -> TcpStream {
    TcpStream::from_std(OwnedFd::from(stream).into())
}

/// The meaning of the error with which listening failed. Those of paths have one here alone.
pub(super) fn listen_error(address: &Address, error: io::Error) -> NetError {
    match (address, error.raw_os_error()) {
        (Address::Unix(_), Some(libc::ENOTSOCK)) => NetError::NotASocket,
        (Address::Unix(_), Some(libc::ENOENT | libc::ENOTDIR)) => NetError::NoSuchFolder,
        (Address::Unix(_), Some(libc::EWOULDBLOCK)) => NetError::FolderLocked,
        _ => net_error(error),
    }
}

/// Locks the folder of a file against others that do the same (flock(2)), for as long as the value
/// lives. Those are done at once. All processes that may read the folder can hold the lock, and for
/// longer: a start does not wait for that.
///
/// # Errors
/// EWOULDBLOCK where the lock is held by another one all the time.
fn lock_folder(path: &Path) -> io::Result<Flock<File>> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut folder = File::open(folder)?;
    for _ in 0..LOCK_TRIES {
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, Errno::EWOULDBLOCK | Errno::EINTR)) => folder = unlocked,
            Err((_, errno)) => return Err(errno.into()),
        }
        // Only a lock that is waited for without end tells when it is free.
        let _ = poll(&mut [], LOCK_PAUSE_MS);
    }
    Err(Errno::EWOULDBLOCK.into())
}

/// Removes the file of a listener that is gone.
///
/// # Errors
/// [`ErrorKind::AddrInUse`] where a process listens there, ENOTSOCK where the file is of another
/// kind.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::from_raw_os_error(libc::ENOTSOCK));
    }
    // Not blocking: a listener whose backlog is full is one that is there.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Err(ErrorKind::AddrInUse.into()),
    }
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Fails where the folder may no longer be written, and then the file is replaced at
            // the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener as StdListener;
    use std::thread;

    use mio::Poll;

    use super::*;

    /// A path of a folder of its own, which is removed with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder of our own");
            Folder(path)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("admin")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn listen(path: &Path) -> io::Result<Listener> {
        let poll = Poll::new().expect("a poll");
        Listener::at_path(path, poll.registry(), Token(0))
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let folder = Folder::new("stale");
        let path = folder.socket();
        drop(StdListener::bind(&path).expect("a folder that can be written"));
        assert!(path.exists(), "a listener of std leaves its file behind");
        let listener = listen(&path).expect("a stale file, which is replaced");
        let error = listen(&path).expect_err("one listens there");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        drop(listener);
        assert!(!path.exists(), "removed with its listener");
    }

    /// Of those that find a stale file at the same time, one listens.
    #[test]
    fn of_several_starts_at_once_one_listens() {
        let folder = Folder::new("race");
        let path = folder.socket();
        for _ in 0..50 {
            drop(StdListener::bind(&path).expect("no file is there"));
            let starts: Vec<_> = (0..4)
                .map(|_| {
                    let path = path.clone();
                    thread::spawn(move || listen(&path))
                })
                .collect();
            let ended = starts.into_iter().map(|start| start.join().expect("it does not panic"));
            let listening: Vec<Listener> = ended.filter_map(Result::ok).collect();
            assert_eq!(listening.len(), 1);
            assert!(path.exists(), "its file is there");
        }
    }

    #[test]
    fn a_file_of_another_kind_or_owner_stays() {
        let folder = Folder::new("kinds");
        let path = folder.socket();
        fs::write(&path, "not ours").expect("a folder that can be written");
        assert_eq!(listen(&path).expect_err("a file").raw_os_error(), Some(libc::ENOTSOCK));
        assert_eq!(fs::read(&path).expect("still there"), b"not ours");
        fs::remove_file(&path).expect("it is ours after all");
        let listener = listen(&path).expect("free");
        fs::remove_file(&path).expect("someone removes it");
        fs::write(&path, "another").expect("and puts another file there");
        drop(listener);
        assert!(path.exists(), "another file is not removed");
    }

    #[test]
    fn a_folder_that_another_one_keeps_locked_is_not_waited_for() {
        let folder = Folder::new("locked");
        let lock = lock_folder(&folder.socket()).expect("free");
        let error = listen(&folder.socket()).expect_err("it is locked");
        let address = Address::from(&*folder.socket());
        assert_eq!(listen_error(&address, error), NetError::FolderLocked);
        drop(lock);
        listen(&folder.socket()).expect("free");
    }

    #[test]
    fn paths_that_cannot_be_listened_on_have_their_reasons() {
        let folder = Folder::new("paths");
        let file = folder.socket();
        fs::write(&file, "").expect("a folder that can be written");
        for (path, want) in [
            (file.clone(), NetError::NotASocket),
            (file.join("admin"), NetError::NoSuchFolder),
            (file.with_file_name("none").join("admin"), NetError::NoSuchFolder),
        ] {
            let error = listen(&path).expect_err("no socket can be there");
            assert_eq!(listen_error(&Address::from(&*path), error), want, "{path:?}");
        }
    }

    #[test]
    fn connections_are_streams_like_others() {
        let folder = Folder::new("streams");
        let listener = listen(&folder.socket()).expect("free");
        assert_eq!(listener.address().expect("bound"), Address::from(&*folder.socket()));
        let mut client = UnixStream::connect(folder.socket()).expect("it listens");
        client.write_all(b"ping").expect("room for four bytes");
        assert!(listener.has_client());
        let (mut stream, peer) = listener.accept().expect("one waits");
        assert!(!listener.has_client(), "it was accepted");
        assert_eq!(peer, Address::from(Path::new("")));
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).expect("bytes are there"), 4);
        stream.write_all(b"pong").expect("room for four bytes");
        drop(stream);
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer and an end");
        assert_eq!(answer, "pong");
    }
}
