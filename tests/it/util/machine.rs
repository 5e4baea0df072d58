//! A machine of a test's own: a network of nothing but the loopback device, where every port and
//! every address of 127.0.0.0/8 is free, and an `/etc` in which `resolv.conf` and `hosts` are the
//! test's.
//!
//! ```text
//!   /etc of the gateway ──► TMP/etc    resolv.conf, hosts     the test's, to be changed at will
//!                                      everything else ──► TMP/real ──► the real /etc
//! ```
//!
//! A whole directory, not two files: whether the real ones exist, and whether they are links, is
//! then all the same, and a file can be replaced as well as rewritten. The gateway alone sees it.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use super::mounts::{Bind, bind_for};
use super::namespace::Namespace;
use super::{
    Behaviour, Data, Dnsmasq, Gateway, GatewayBuilder, Kind, NameServer, TemporaryDirectory, finish,
};

/// Impatient, so that tests are quick; one server, where a test expects to put it.
const RESOLV_CONF: &str = "nameserver 127.0.0.53\noptions timeout:1 attempts:2\n";
const HOSTS: &str = "127.0.0.1 localhost\n";

/// The machine that a test runs on.
pub struct Machine {
    directory: TemporaryDirectory,
}

impl Machine {
    /// Runs a test on a new machine. Where none can be had, it does nothing and says so.
    pub fn run(test: impl FnOnce(&Machine) + Send) {
        if let Some(network) = Namespace::if_allowed("names") {
            network.enter(|| test(&Machine::new()));
        }
    }

    /// Another `/etc` in the same network.
    pub fn new() -> Machine {
        let machine = Machine { directory: TemporaryDirectory::new() };
        for directory in ["etc", "real"] {
            fs::create_dir(machine.path(directory)).expect("a new directory in our own");
        }
        for entry in fs::read_dir("/etc").expect("every system has an /etc") {
            let name = entry.expect("an entry of /etc").file_name();
            if name != "resolv.conf" && name != "hosts" {
                let target = machine.path("real").join(&name);
                symlink(target, machine.path("etc").join(&name)).expect("a link of our own");
            }
        }
        machine.set_resolv_conf(RESOLV_CONF);
        machine.set_hosts(HOSTS);
        machine
    }

    /// Replaces `/etc/resolv.conf` by another file, as those do who manage it.
    pub fn set_resolv_conf(&self, text: &str) {
        let new = self.path("resolv.conf.new");
        fs::write(&new, text).expect("a file of our own");
        fs::rename(new, self.path("etc/resolv.conf")).expect("a file of our own");
    }

    /// Rewrites `/etc/hosts`, which stays the same file, as an editor may do.
    pub fn set_hosts(&self, text: &str) {
        fs::write(self.path("etc/hosts"), text).expect("a file of our own");
    }

    /// Where the test's `resolv.conf` or `hosts` is, to be made something else than a file.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.path("etc").join(name)
    }

    /// A gateway that will run here, if it is started from within [`Machine::run`].
    pub fn gateway(&self) -> GatewayBuilder {
        Gateway::builder().binds(self.binds())
    }

    /// Lets a command run here.
    pub fn enter(&self, command: &mut Command) {
        bind_for(command, &self.binds());
    }

    /// What a command has to see to run here.
    fn binds(&self) -> Vec<Bind> {
        let etc = PathBuf::from("/etc");
        vec![(etc.clone(), self.path("real")), (self.path("etc"), etc)]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// What [`Machine`] is for, in short.
#[test]
fn a_command_sees_the_etc_of_its_machine() {
    Machine::run(|machine| {
        machine.set_hosts("127.0.0.9 only-here.test\n");
        let mut command = Command::new("getent");
        bind_for(command.args(["hosts", "only-here.test"]), &machine.binds());
        let output = finish(&mut command, "").stdout;
        assert!(output.starts_with(b"127.0.0.9 "), "{}", String::from_utf8_lossy(&output));
    });
}

/// The tools by themselves, before the resolver of the C library, which is not written here.
#[test]
fn an_ordinary_resolver_is_served_by_the_tools() {
    Machine::run(|machine| {
        let mut server = NameServer::start(Ipv4Addr::new(127, 0, 0, 53));
        let addresses = |name: &str| {
            let mut command = Command::new("getent");
            bind_for(command.args(["hosts", name]), &machine.binds());
            let output = finish(&mut command, "").stdout;
            let lines = String::from_utf8(output).expect("getent prints text");
            lines.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
        };
        let known = [Ipv4Addr::new(127, 0, 0, 11), Ipv4Addr::new(127, 0, 0, 12)];
        let none: [Ipv4Addr; 0] = [];
        server.set_addresses("two.test", 60, &[11, 12]);
        server.set("alias.test", 60, &[Data::Cname("two.test".to_owned())]);
        for behaviour in [Behaviour::Answer, Behaviour::Duplicate, Behaviour::Truncate] {
            server.behave(behaviour);
            let mut found: Vec<Ipv4Addr> = addresses("alias.test");
            found.sort_unstable();
            assert_eq!(found, known, "{behaviour:?}");
        }
        assert!(server.queries().iter().any(|query| query.is_tcp), "it was asked over TCP");
        assert_eq!(server.count("alias.test", Kind::A), 4);
        for behaviour in [Behaviour::ServerFailure, Behaviour::Refused, Behaviour::NoSuchName] {
            server.behave(behaviour);
            assert_eq!(addresses("two.test"), none, "{behaviour:?}");
        }
        server.behave(Behaviour::Garbage);
        assert_eq!(addresses("two.test"), none);
        server.behave(Behaviour::Answer);
        server.kill();
        assert_eq!(addresses("two.test"), none);
        server.restart();
        assert_eq!(addresses("two.test").len(), 2);
        machine.set_hosts("127.0.0.9 two.test\n");
        assert_eq!(addresses("two.test"), [Ipv4Addr::new(127, 0, 0, 9)]);
        machine.set_resolv_conf("nameserver 127.0.0.54\noptions timeout:1 attempts:1\n");
        let options = ["host-record=real.test,127.0.0.13".to_owned()];
        let real = Dnsmasq::start(Ipv4Addr::new(127, 0, 0, 54), &options);
        assert_eq!(addresses("real.test"), [Ipv4Addr::new(127, 0, 0, 13)]);
        real.kill();
        assert_eq!(addresses("real.test"), none);
    });
}
