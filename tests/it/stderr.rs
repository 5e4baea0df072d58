//! A log that is not read, or cannot be written: neither stops the gateway.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::util::*;

/// A gateway whose stderr is not read; killed by its own pid on drop.
struct Unheard {
    child: Child,
    address: SocketAddr,
}

impl Unheard {
    fn start(command: &mut Command, stderr: Stdio, address: SocketAddr) -> Unheard {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        Unheard { child: child.expect("the gateway starts"), address }
    }

    /// A client, as soon as the gateway listens.
    fn connect(&self) -> TcpStream {
        let mut client = None;
        until("the gateway listens", || {
            client = TcpStream::connect(self.address).ok();
            client.is_some()
        });
        let client = client.expect("until() returned, so it is there");
        client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
        client
    }

    /// Everything that is logged must have been tried, and the end must be an orderly one.
    fn expect_service(mut self) {
        let client = self.connect();
        round_trip(&client, b"one");
        reset(client);
        round_trip(&self.connect(), b"two");
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid is a positive i32"));
        kill(pid, Signal::SIGTERM).expect("signal our own child");
        let mut status = None;
        until("the gateway ends", || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        // Both fail only if it has ended and been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command of a gateway on a known address, because its ready line will not be read.
fn command_at(address: SocketAddr, server: &Backend) -> Command {
    let listen = format!("--listen-addr={address}");
    Gateway::builder().endpoint(&server.address().to_string()).arg(&listen).command()
}

#[test]
fn log_that_is_not_read_stops_nothing() {
    let server = backend(echo);
    let place = Reservation::new();
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut command = command_at(place.address(), &server);
    let gateway = Unheard::start(&mut command, writer.into(), place.address());
    // The command holds an end of the pipe, too; what follows waits for the end of file.
    drop(command);
    gateway.connect();
    // A pipe takes 64 KiB, and each of these leaves a line of more than a hundred bytes.
    for _ in 0..1000 {
        round_trip(&gateway.connect(), b"a line that is not read");
    }
    // As soon as there is room, a line says how many are missing before it.
    let mut log = vec![0; 32 << 10];
    reader.read_exact(&mut log).expect("more than that did fit");
    gateway.expect_service();
    reader.read_to_end(&mut log).expect("what did fit");
    let log = String::from_utf8(log).expect("text");
    assert!(log.lines().count() < 1000, "everything fitted, so nothing was tested");
    assert!(log.starts_with("DEBUG limits "), "{log}");
    let (_, rest) = log.split_once("WARN log lines dropped ").expect("how many are missing");
    let (notice, rest) = rest.split_once('\n').expect("a line");
    assert!(number_in(notice, "count") > 0, "{notice}");
    assert!(rest.starts_with("DEBUG pair closed "), "{rest}");
    assert!(rest.contains("INFO stopped "), "{rest}");
}

#[test]
fn stderr_that_takes_nothing_harms_no_client() {
    let server = backend(echo);
    let place = Reservation::new();

    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, full.into(), place.address()).expect_service();

    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, writer.into(), place.address()).expect_service();

    // A reader that has stalled: the pipe is full, and a write that waits would wait without end.
    let (reader, mut writer) = io::pipe().expect("a pipe");
    // SAFETY: takes no pointers; the result is checked.
    let capacity = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) };
    let capacity = usize::try_from(capacity).expect("F_GETPIPE_SZ of a pipe");
    writer.write_all(&vec![b'.'; capacity]).expect("it holds that much");
    let mut command = command_at(place.address(), &server);
    Unheard::start(&mut command, writer.into(), place.address()).expect_service();
    drop(reader);

    let command = command_at(place.address(), &server);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$@" 2>&-"#, "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    Unheard::start(&mut shell, Stdio::null(), place.address()).expect_service();
}
