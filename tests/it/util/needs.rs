//! What the tests need of the machine, apart from the tools, which tests/install-needs.sh installs.
//!
//! `make test` runs this before everything else, so that a machine which lacks something is found
//! out at once, and not by every test that needs it.

use std::fs::File;
use std::process::{Command, Stdio};
use std::{env, fs};

use super::mounts::bind_for;
use super::namespace::Namespace;
use super::trace::look_for_ptrace;
use super::{DESCRIPTORS_FOR_ALL, Version, finish, is_root, needs_privilege, own_hard_limit};

/// Looks for one thing. The error says what cannot be had, and what it takes.
type Look = fn() -> Result<(), String>;

/// What every developer has.
const NEEDS: &[Look] = &[look_for_proc, look_for_ptrace, look_for_etcds, look_for_parser];
/// What root has. Tests that need one of them do nothing for others, and say so.
const NEEDS_OF_ROOT: &[Look] = &[look_for_networks, look_for_mounts, look_for_descriptors];

#[test]
fn this_machine_has_what_the_tests_need() {
    let lacking = |needs: &[Look]| -> Vec<String> {
        needs.iter().filter_map(|look| look().err()).map(|reason| format!("\n  {reason}")).collect()
    };
    let needs = lacking(NEEDS);
    assert!(needs.is_empty(), "this machine lacks what the tests need:{}", needs.concat());
    let needs = lacking(NEEDS_OF_ROOT);
    if !needs.is_empty() {
        needs_privilege(&format!("this machine lacks what some tests need:{}", needs.concat()));
    }
}

fn look_for_proc() -> Result<(), String> {
    let opened = File::open("/proc/thread-self/ns/net");
    let reason = |error| format!("no /proc: mount it, by mount -t proc proc /proc: {error}");
    opened.map(drop).map_err(reason)
}

/// Debian's etcd, and another one that answers some questions differently.
fn look_for_etcds() -> Result<(), String> {
    for version in Version::ALL {
        let number = version.number()?;
        if version == Version::V3_5 && number != "3.5.1" {
            return Err(format!("etcd {number} is where 3.5.1 should be: delete it"));
        }
    }
    Ok(())
}

/// The strict parser of OpenMetrics, a module of Debian's own Python.
fn look_for_parser() -> Result<(), String> {
    let module = "import prometheus_client.openmetrics.parser";
    let output = finish(Command::new("/usr/bin/python3").args(["-c", module]), "");
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "no parser of OpenMetrics: install python3-prometheus-client: {}",
        errors.trim_end()
    ))
}

/// Networks of a test's own: namespaces, their sysctls, links between them.
fn look_for_networks() -> Result<(), String> {
    let reason = |error: &dyn std::fmt::Display| {
        format!(
            "no network namespaces: they need CAP_SYS_ADMIN, CAP_NET_ADMIN, a /proc/sys that can \
             be written to, and links of the type veth: be root, in a container with --privileged: \
             {error}"
        )
    };
    let namespace = Namespace::new().map_err(|error| reason(&error))?;
    namespace.enter(|| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(|error| reason(&error))?;
        let words = ["link", "add", "one", "type", "veth", "peer", "name", "other"];
        let output = finish(Command::new("ip").args(words), "");
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(reason(&errors.trim_end())) }
    })
}

/// An `/etc` of a test's own.
fn look_for_mounts() -> Result<(), String> {
    let mut command = Command::new("true");
    bind_for(&mut command, &[("/etc".into(), "/etc".into())]);
    let reason = |error| {
        format!(
            "no mounts of a child's own: they need CAP_SYS_ADMIN and CAP_SYS_CHROOT: be root, in a \
             container with --privileged: {error}"
        )
    };
    command.stdin(Stdio::null()).status().map(drop).map_err(reason)
}

fn look_for_descriptors() -> Result<(), String> {
    let hard = own_hard_limit();
    if hard >= DESCRIPTORS_FOR_ALL as u64 {
        return Ok(());
    }
    Err(format!(
        "too few descriptors: the hard limit is {hard}: raise it, by ulimit -H -n \
         {DESCRIPTORS_FOR_ALL}, in a container with --ulimit nofile={DESCRIPTORS_FOR_ALL}"
    ))
}

/// Root alone has something to lose.
#[test]
fn what_is_lacking_is_said_with_what_it_takes() {
    if !is_root() {
        return;
    }
    for (capability, wanted) in
        [("sys_admin", "no network namespaces"), ("sys_chroot", "no mounts of a child's own")]
    {
        let mut command = Command::new("setpriv");
        command.arg(format!("--bounding-set=-{capability}"));
        command.arg(env::current_exe().expect("the path of this program"));
        command.args(["--exact", "util::needs::this_machine_has_what_the_tests_need"]);
        let output = finish(&mut command, "");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{text}");
        let line = text.lines().find(|line| line.contains(wanted));
        let line = line.unwrap_or_else(|| panic!("no {wanted:?} in {text}"));
        assert!(line.contains(&format!("CAP_{}", capability.to_uppercase())), "{line}");
    }
}
