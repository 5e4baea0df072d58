//! Networks of a test's own: hosts in network namespaces, around a router that can misbehave.
//!
//! ```text
//!             ┌──────── router ────────┐
//!   gateway's host     member      member        each a namespace with one link, a /30 of
//!         └─ guest                               192.0.2.0/24, as a container's would be
//! ```
//!
//! No namespace has a name, so none needs to be removed, not even by a test that panics: each lasts
//! as long as descriptors, sockets and children of this process hold it, and its links go with it.
//! All faults are made of links, routes and rules, so that iproute2 is enough: no firewall tool, no
//! kernel module apart from veth.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use nix::libc;
use socket2::{Domain, Socket, Type};

use super::{DEADLINE, needs_privilege, output_of, until};

/// Where every server of a [`Host`] listens: the addresses are ours alone, and so are the ports.
const PORT: u16 = 2379;
/// Hosts of a [`Network`] at most: the /30 networks of a /24.
const HOSTS_MAX: u8 = 64;

/// A network namespace.
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// A new namespace, in which nothing but the loopback device is.
    pub fn new() -> io::Result<Namespace> {
        let made = thread::spawn(|| {
            // SAFETY: takes no pointers, and touches this thread alone, which ends right after.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net")
        });
        let namespace = Namespace { file: made.join().expect("unshare(2) does not panic")? };
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// A new namespace for what is said. `None`, said aloud, where none can be made: that takes
    /// CAP_SYS_ADMIN, which root has.
    pub fn if_allowed(purpose: &str) -> Option<Namespace> {
        match Namespace::new() {
            Ok(namespace) => Some(namespace),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                needs_privilege(&format!("{purpose}: network namespaces need CAP_SYS_ADMIN"));
                None
            }
            Err(error) => panic!("no network namespace: {error}"),
        }
    }

    /// Does something within: sockets that it opens and processes that it starts stay there.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            // SAFETY: takes no pointers, and touches this thread alone.
            let result = unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "setns: {}", io::Error::last_os_error());
            action()
        };
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs ip(8) within, which must succeed.
    pub fn ip(&self, arguments: &str) -> String {
        self.enter(|| output_of(Command::new("ip").args(arguments.split(' '))))
    }

    /// Waits until a device sends what it is given. It drops that for up to a second after its
    /// link has come up: the kernel looks after changes of links from time to time.
    fn wait_link(&self, device: &str) {
        until(&format!("{device} is up"), || {
            let line = self.ip(&format!("-oneline link show dev {device}"));
            line.contains(" state UP ") && !line.contains(" qdisc noop ")
        });
    }

    /// A path by which our children can open it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd())
    }
}

/// A router and the addresses for the hosts around it.
pub struct Network {
    router: Arc<Namespace>,
    hosts: AtomicU8,
}

impl Network {
    /// A router without hosts. `None`, said aloud, where namespaces cannot be made.
    pub fn new() -> Option<Network> {
        let router = Arc::new(Namespace::if_allowed("faults of the network")?);
        router.enter(|| {
            let set = |name: &str, value: &str| {
                let path = format!("/proc/sys/net/ipv4/{name}");
                fs::write(path, value).expect("the sysctls of our own namespace");
            };
            set("ip_forward", "1");
            // It looks up the way back, too, and some kernels take the ports of a rule amiss then.
            set("conf/all/rp_filter", "0");
            set("conf/default/rp_filter", "0");
            // By default it reports what is unreachable once a second, and drops the rest.
            set("icmp_ratelimit", "0");
        });
        Some(Network { router, hosts: AtomicU8::new(0) })
    }

    /// One more host behind the router.
    pub fn host(&self) -> Host {
        Host::attach(&self.router, self.hosts.fetch_add(1, Ordering::Relaxed))
    }

    /// One more host that is linked to `parent` directly, as a container on it is.
    pub fn guest(&self, parent: &Host) -> Host {
        Host::attach(&parent.namespace, self.hosts.fetch_add(1, Ordering::Relaxed))
    }

    /// Another machine in the place of one that was cut off, with its address.
    pub fn replace(&self, old: &Host) -> Host {
        Host::attach(&self.router, old.number)
    }
}

/// A machine with one link, to the router or to another host.
pub struct Host {
    namespace: Arc<Namespace>,
    parent: Arc<Namespace>,
    number: u8,
}

impl Host {
    fn attach(parent: &Arc<Namespace>, number: u8) -> Host {
        assert!(number < HOSTS_MAX, "a /24 has no more networks");
        let namespace = Namespace::new().expect("the first one could be made, too");
        let host = Host { namespace: Arc::new(namespace), parent: Arc::clone(parent), number };
        let (link, path) = (host.link(), host.namespace.path());
        parent.ip(&format!("link add {link} type veth peer name eth0 netns {path}"));
        parent.ip(&format!("address add {}/30 dev {link}", host.gateway()));
        parent.ip(&format!("link set {link} up"));
        host.namespace.ip(&format!("address add {}/30 dev eth0", host.ip_address()));
        host.plug();
        host
    }

    /// The parent's device towards it.
    fn link(&self) -> String {
        format!("host{}", self.number)
    }

    /// The parent's address towards it.
    fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number * 4 + 1)
    }

    fn ip_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number * 4 + 2)
    }

    /// Where its server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.ip_address(), PORT))
    }

    /// Does something on this host.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(action)
    }

    /// A server here whose connections the test accepts itself, within the deadline.
    pub fn listen(&self) -> TcpListener {
        self.enter(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.bind(&self.address().into()).expect("a port of our own");
            socket.listen(16).expect("a bound socket can listen");
            socket.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
            TcpListener::from(socket)
        })
    }

    /// A client here whose reads and writes end at the deadline.
    pub fn connect(&self, address: SocketAddr) -> TcpStream {
        self.enter(|| {
            let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens");
            stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
            stream.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
            stream
        })
    }

    /// The router drops every packet to and from this host, without a word.
    pub fn vanish(&self) {
        let address = self.ip_address();
        self.parent.ip(&format!("rule add pref 20 to {address} blackhole"));
        self.parent.ip(&format!("rule add pref 20 from {address} blackhole"));
    }

    /// The router drops every packet between this host and another, without a word; both go on
    /// with all others.
    pub fn part_from(&self, other: &Host) {
        self.set_rules_between("add", other);
    }

    /// Ends [`Host::part_from`].
    pub fn rejoin(&self, other: &Host) {
        self.set_rules_between("delete", other);
    }

    fn set_rules_between(&self, verb: &str, other: &Host) {
        let (own, other) = (self.ip_address(), other.ip_address());
        self.parent.ip(&format!("rule {verb} pref 15 from {own} to {other} blackhole"));
        self.parent.ip(&format!("rule {verb} pref 15 from {other} to {own} blackhole"));
    }

    /// The router drops every packet of a new connection to this host, without a word; an open
    /// one that comes from the port `spared` goes on.
    ///
    /// To the kernel's rules a SYN is a packet like others, but the port it comes from is new.
    pub fn drop_new_connections(&self, spared: u16) {
        let to = format!("to {}", self.ip_address());
        // By its number: a machine without netbase has no /etc/protocols to look the name up in.
        let tcp = libc::IPPROTO_TCP;
        self.parent.ip(&format!("rule add pref 10 {to} ipproto {tcp} sport {spared} table main"));
        self.parent.ip(&format!("rule add pref 20 {to} blackhole"));
    }

    /// Ends [`Host::drop_new_connections`].
    pub fn pass_new_connections(&self) {
        self.parent.ip(&format!("rule delete pref 20 to {} blackhole", self.ip_address()));
    }

    /// Adds a route for packets to this host at its parent, of a kind that leads nowhere.
    pub fn misroute(&self, kind: &str) {
        self.parent.ip(&format!("route add {kind} {}/32", self.ip_address()));
    }

    /// The same at another host, for packets to this one.
    pub fn misroute_at(&self, other: &Host, kind: &str) {
        other.namespace.ip(&format!("route add {kind} {}/32", self.ip_address()));
    }

    /// Takes its link down, at both ends; its routes go with it.
    pub fn unplug(&self) {
        self.namespace.ip("link set eth0 down");
    }

    /// Brings its link up, with its routes.
    pub fn plug(&self) {
        self.namespace.ip("link set eth0 up");
        self.namespace.wait_link("eth0");
        self.parent.wait_link(&self.link());
        self.namespace.ip(&format!("route add default via {}", self.gateway()));
    }

    /// Deletes its link. Nothing that its sockets say comes out from then on.
    pub fn cut_off(&self) {
        self.namespace.ip("link delete eth0");
    }
}
