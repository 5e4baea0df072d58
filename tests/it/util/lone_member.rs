//! A real etcd of one member on loopback, which speaks TLS where it is given a certificate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Certificate, Process, Reservation, Version};

/// The client URL that its list names: that of no host, since one of loopback is not believed.
pub const ADVERTISED: &str = "192.0.2.1:2379";

/// A member that is a cluster by itself; ends on drop.
pub struct LoneMember {
    version: Version,
    client: Reservation,
    peer: Reservation,
    data: PathBuf,
    scheme: &'static str,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl LoneMember {
    /// One that answers, with further arguments of etcd. Its data is below the directory.
    pub fn start(version: Version, directory: &Path, arguments: &[String]) -> LoneMember {
        let [client, peer] = [(); 2].map(|()| Reservation::new());
        let data = directory.join(format!("data-{}", client.address().port()));
        let arguments = arguments.to_vec();
        let is_tls = arguments.iter().any(|argument| argument.starts_with("--cert-file"));
        let scheme = if is_tls { "https" } else { "http" };
        let process = None;
        let mut member = LoneMember { version, client, peer, data, scheme, arguments, process };
        member.restart();
        member
    }

    /// The arguments that make it speak TLS, and take only clients with a certificate from there.
    pub fn tls(own: &Certificate, clients: Option<&Path>) -> Vec<String> {
        let mut arguments = vec![
            format!("--cert-file={}", own.certificate.display()),
            format!("--key-file={}", own.key.display()),
        ];
        if let Some(clients) = clients {
            arguments.push("--client-cert-auth".to_owned());
            arguments.push(format!("--trusted-ca-file={}", clients.display()));
        }
        arguments
    }

    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// A command of its client, without TLS.
    pub fn etcdctl(&self, arguments: &[&str]) -> Command {
        self.version.etcdctl(&[self.address()], arguments)
    }

    /// Ends it at once, if it runs, and starts it with the data that it has, until it answers.
    pub fn restart(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
        let process = Process::spawn("etcd", &mut self.command());
        process.wait_for_log("serving client traffic");
        self.process = Some(process);
    }

    fn command(&self) -> Command {
        let peer = format!("http://{}", self.peer.address());
        let mut command = self.version.etcd();
        command.args(&self.arguments).arg("--data-dir").arg(&self.data).args([
            "--logger=zap",
            "--log-outputs=stderr",
            "--name=m",
            &format!("--listen-client-urls={}", self.url()),
            &format!("--advertise-client-urls={}://{ADVERTISED}", self.scheme),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=m={peer}"),
        ]);
        command
    }
}
