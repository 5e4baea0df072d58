//! The ways from a client to the members, each a process of its own in front of all three.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use super::util::{Host, Process, Version, until};

/// Ports of relays, on a host that has nothing else.
const FIRST_PORT: u16 = 20_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The client is given all endpoints.
    Direct,
    /// This project's binary, with these flags.
    Ours(Vec<String>),
    /// The gateway that etcd itself comes with.
    Etcd,
    /// HAProxy, which connects to see whether a member is there.
    HaproxyTcp,
    /// HAProxy, which asks `/health`, and ends the connections of a member that fails.
    HaproxyHttp,
}

/// One that serves.
pub struct Running {
    /// None where there is no relay.
    pub process: Option<Process>,
    /// Where clients connect.
    pub addresses: Vec<SocketAddr>,
}

impl Way {
    /// As the command line calls it.
    pub fn word(&self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Ours(_) => "ours",
            Way::Etcd => "etcd-gateway-start",
            Way::HaproxyTcp => "haproxy-tcp",
            Way::HaproxyHttp => "haproxy-http",
        }
    }

    /// As the report calls it.
    pub fn name(&self) -> String {
        match self {
            Way::Direct => "all endpoints".to_owned(),
            Way::Ours(flags) if flags.is_empty() => "etcd-gateway".to_owned(),
            Way::Ours(flags) => format!("etcd-gateway {}", flags.join(" ")),
            Way::Etcd => "etcd gateway".to_owned(),
            Way::HaproxyTcp => "HAProxy, TCP check".to_owned(),
            Way::HaproxyHttp => "HAProxy, /health".to_owned(),
        }
    }

    /// Whether its program is there.
    pub fn is_installed(&self) -> bool {
        let is_haproxy = matches!(self, Way::HaproxyTcp | Way::HaproxyHttp);
        !is_haproxy || haproxy().is_some()
    }

    /// Starts one on the host of the clients, and waits until it lets clients in. `number` is that
    /// of no other one.
    pub fn start(&self, home: &Host, endpoints: &[SocketAddr], number: u16) -> Running {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + number));
        let Some(mut command) = self.command(listen, endpoints) else {
            return Running { process: None, addresses: endpoints.to_vec() };
        };
        let process = home.enter(|| {
            let process = Process::spawn(&self.name(), &mut command);
            until(&format!("{} listens", self.name()), || TcpStream::connect(listen).is_ok());
            process
        });
        Running { process: Some(process), addresses: vec![listen] }
    }

    fn command(&self, listen: SocketAddr, endpoints: &[SocketAddr]) -> Option<Command> {
        let texts: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
        let endpoints_flag = format!("--endpoints={}", texts.join(","));
        let listen_flag = format!("--listen-addr={listen}");
        match self {
            Way::Direct => None,
            Way::Ours(flags) => {
                let mut command = Command::new(own_binary());
                command.args(["start", "--log-level=warn", &endpoints_flag, &listen_flag]);
                Some(clean(command.args(flags)))
            }
            Way::Etcd => {
                let mut command = Version::Debian.etcd();
                command.args(["gateway", "start", &endpoints_flag, &listen_flag]);
                Some(command)
            }
            Way::HaproxyTcp | Way::HaproxyHttp => {
                let file = env::temp_dir().join(format!("haproxy-{}.conf", listen.port()));
                fs::write(&file, self.haproxy(listen, endpoints)).expect("the run's directory");
                let mut command = Command::new(haproxy().expect("it was looked for"));
                command.args(["-db", "-q", "-f"]).arg(file);
                Some(command)
            }
        }
    }

    /// What HAProxy reads; empty for the others. Both kinds check as often, so that what differs is
    /// the check.
    pub fn haproxy(&self, listen: SocketAddr, endpoints: &[SocketAddr]) -> String {
        let (option, action) = match self {
            Way::HaproxyTcp => ("", ""),
            Way::HaproxyHttp => (
                "    option httpchk GET /health\n    http-check expect status 200\n",
                " on-marked-down shutdown-sessions",
            ),
            Way::Direct | Way::Ours(_) | Way::Etcd => return String::new(),
        };
        let servers: String = endpoints
            .iter()
            .enumerate()
            .map(|(index, endpoint)| format!("    server m{index} {endpoint}\n"))
            .collect();
        format!(
            "defaults
    mode tcp
    option redispatch
    timeout connect 1s
    timeout check 1s
    timeout client 1h
    timeout server 1h
listen etcd
    bind {listen}
    balance roundrobin
{option}    default-server check inter 1s fall 2 rise 2{action}
{servers}"
        )
    }
}

/// The binary that `GATEWAY_BINARY` names, or the one that cargo has built.
pub fn own_binary() -> PathBuf {
    let binary = std::env::var_os("GATEWAY_BINARY").filter(|name| !name.is_empty());
    binary.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_etcd-gateway")), PathBuf::from)
}

/// Debian keeps it where the shell of an ordinary user does not look.
pub fn haproxy() -> Option<PathBuf> {
    let paths = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy"];
    paths.into_iter().map(PathBuf::from).find(|path| path.exists())
}

fn clean(command: &mut Command) -> Command {
    let mut clean = Command::new(command.get_program());
    clean.args(command.get_args()).env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    clean
}
