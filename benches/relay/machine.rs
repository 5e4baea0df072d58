//! What the run takes from the machine: cores, descriptors and ports; and what the report says
//! about it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd::Pid;

/// Where servers have their ports, below those that the kernel gives to clients.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Enough for 5000 connections through a relay that takes six descriptors for each.
const DESCRIPTORS: rlim_t = 40_000;

/// The cores this process may run on.
pub fn cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut cores = Vec::new();
    for range in line.expect("Linux tells").trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<usize>().expect("cores have numbers");
        cores.extend(number(first)..=number(last));
    }
    cores
}

/// Keeps this thread, and the processes it starts from now on, on one core.
pub fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core).expect("the kernel named this core");
    sched_setaffinity(Pid::from_raw(0), &cores).expect("the kernel named this core");
}

/// Takes all the descriptors there are, for the processes it starts as well, and tells how many.
pub fn raise_descriptor_limit() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux has it");
    let wanted = hard.max(DESCRIPTORS);
    // Root may go beyond the hard limit, everybody up to it.
    let is_raised = setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok();
    let limit = if is_raised { wanted } else { hard };
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).expect("the soft limit may be the hard one");
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Addresses of the loopback device where nothing listens.
pub struct Addresses {
    ports: std::ops::Range<u16>,
}

impl Addresses {
    /// All that lie below the ports of clients, unless an administrator has left none.
    pub fn new() -> Addresses {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let range = range.expect("Linux has it");
        let first = range.split_whitespace().next().and_then(|port| port.parse::<u16>().ok());
        let end = PORTS.end.min(first.expect("two numbers"));
        let is_sane = end >= PORTS.start + 1000;
        let start = if is_sane { PORTS.start } else { end.saturating_sub(1000).max(1024) };
        Addresses { ports: start..end }
    }

    /// The next one. Another program could take it before it is used, which is noticed then.
    pub fn take(&mut self) -> SocketAddr {
        let mut free = |port| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            TcpListener::bind(address).is_ok().then_some(address)
        };
        self.ports.by_ref().find_map(&mut free).expect("there are free ports on the loopback")
    }
}

/// Where cargo builds, absolute: reports belong next to what they are about.
pub fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("Linux knows it");
    let is_target = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let target = own.ancestors().find(is_target).expect("cargo marks its target directory");
    target.to_owned()
}

/// One line each: processor, cores, kernel.
pub fn description() -> Vec<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = processors.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = value("model name").unwrap_or_else(|| "unknown processor".to_owned());
    let virtual_machine = value("flags").is_some_and(|flags| flags.contains(" hypervisor"));
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let place = if virtual_machine { ", in a virtual machine" } else { "" };
    let kernel = said_by("uname", &["-srm"]);
    vec![format!("{model}, {count} cores{place}"), kernel]
}

/// The first line a program says when called like this, on whichever way.
pub fn said_by(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let Ok(output) = output else { return String::new() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
