//! The real name server of the tests: dnsmasq, as Debian ships it.

use std::net::Ipv4Addr;
use std::process::Command;

use super::Process;

/// A running dnsmasq on port 53 of its address; killed by its own pid on drop.
pub struct Dnsmasq {
    process: Process,
}

impl Dnsmasq {
    /// Serves what the options say, such as `host-record=m1.example.test,127.0.0.11,60`, and
    /// knows no other server. Under `test` there is nothing besides: those names do not exist.
    pub fn start(address: Ipv4Addr, options: &[String]) -> Dnsmasq {
        let mut command = Command::new("dnsmasq");
        command.args([
            "--no-daemon",
            "--conf-file=/dev/null",
            "--pid-file",
            // It would become another user, who may not exist here, to serve our own children.
            "--user=root",
            "--no-hosts",
            "--no-resolv",
            "--bind-interfaces",
            "--local=/test/",
            &format!("--listen-address={address}"),
        ]);
        command.args(options.iter().map(|option| format!("--{option}")));
        let process = Process::spawn("dnsmasq", &mut command);
        // It says so when its sockets listen.
        process.wait_for_log("started, version");
        Dnsmasq { process }
    }

    /// Ends it at once; its port refuses from here on.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
