//! The versions of etcd that the tests run: where their programs are, and how they are called.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::output_of;

/// A release of etcd, with its own server and client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What Debian has, found by `PATH`.
    Debian,
    /// 3.5.1, from tests/fetch-etcd.sh.
    V3_5,
}

impl Version {
    pub const ALL: [Version; 2] = [Version::Debian, Version::V3_5];

    /// A command of its server, which finds no settings in its environment.
    pub fn etcd(self) -> Command {
        let mut command = Command::new(self.program("etcd"));
        without_environment(&mut command, "ETCD_");
        command
    }

    /// A command of its client, version 3 of the interface.
    pub fn etcdctl(self, endpoints: &[SocketAddr], arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program("etcdctl"));
        without_environment(&mut command, "ETCDCTL_");
        let endpoints: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints={}", endpoints.join(",")));
        command.args(arguments);
        command
    }

    /// What its server says it is, as in `3.5.1`.
    ///
    /// # Errors
    /// What is missing, and where it comes from.
    pub fn number(self) -> Result<String, String> {
        let program = self.program("etcd");
        if let (Version::V3_5, false) = (self, program.exists()) {
            return Err(format!("no {}: run sh tests/fetch-etcd.sh 3.5.1", program.display()));
        }
        let text = output_of(self.etcd().arg("--version"));
        let number = text.lines().find_map(|line| line.strip_prefix("etcd Version: "));
        number.map(str::to_owned).ok_or_else(|| format!("{}: {text}", program.display()))
    }

    /// Whether a command of this version is called by this path.
    pub fn is_program(self, path: &str) -> bool {
        ["etcd", "etcdctl"].iter().any(|name| self.program(name) == Path::new(path))
    }

    fn program(self, name: &str) -> PathBuf {
        match self {
            Version::Debian => PathBuf::from(name),
            Version::V3_5 => {
                let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
                let target = temporary.parent().expect("a directory of cargo's in target");
                target.join("etcd-3.5.1").join(name)
            }
        }
    }
}

/// The developer's shell may hold settings that change what the tools of etcd do.
fn without_environment(command: &mut Command, prefix: &str) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(prefix) {
            command.env_remove(name);
        }
    }
}
