//! What the gateway costs, counted instead of timed: system calls, instructions, allocations.
//!
//! A count is the same on every machine and under every load. So each is held to the figure that
//! it has today, and a change for the worse fails; one for the better lowers the constant here.
//! `make cost` prints what was counted.

mod calls;
mod observed;
mod start;
mod valgrind;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Calls for one 128-byte round trip on the only busy connection: each message is waited for, read
/// and written, and nothing else is done.
const CALLS_PER_ROUND_TRIP: &[(&str, usize)] = &[("epoll_wait", 2), ("recvfrom", 2), ("sendto", 2)];

/// Calls for one of 64 such round trips that arrive together: one wait tells of many, and two are
/// enough for all of them, so this is 4 + 4 / 64 at worst.
const CALLS_PER_ROUND_TRIP_OF_64: f64 = 4.07;

/// Calls for a connection that is made, asks 64 bytes, is answered and ends: alone, and as one of
/// eight that do the same at the same time.
const CALLS_PER_CONNECTION: f64 = 21.0;
const CALLS_PER_CONNECTION_OF_8: f64 = 15.1;
/// How much more it may be on average: packets may reach the gateway a wait later than usual, but
/// a call more is a call more.
const CALLS_PER_CONNECTION_ALLOWANCE: f64 = 0.5;

/// Calls for each MiB of a bulk transfer, either way: a look at the events, a splice in, one out.
const CALLS_PER_MIB: usize = 3;
/// How far sender and receiver are ahead depends on the machine and its load. Each time one of them
/// is behind, there is a call that finds nothing and a wait;
const CALLS_PER_WAKE_UP: usize = 2;
/// and what a call finds less than it could take costs a call in and one out.
const CALLS_PER_SHORT_TRANSFER: usize = 2;
/// Calls for a transfer in addition to these: the pipe, options of the sockets, the first bytes.
const CALLS_PER_TRANSFER: usize = 14;

/// Calls of main() up to the listener, and up to the first wait for clients; without the lines of
/// the log. What loader and runtime do before depends on the machine's libraries.
const CALLS_TO_LISTENER: usize = 27;
const CALLS_TO_FIRST_WAIT: usize = 30;

/// Instructions of the release build, outside the kernel, for one 128-byte round trip on the only
/// busy connection, and for a short connection. Compilers differ a little, and so do connections,
/// by the waits among which their events are spread: 9,600 to 10,500 on one machine.
const INSTRUCTIONS_PER_ROUND_TRIP: u64 = 3020;
const INSTRUCTIONS_PER_CONNECTION: u64 = 10_200;
const INSTRUCTIONS_ALLOWANCE_PERCENT: u64 = 10;

/// Allocations for one message, and for one connection where as many were open before.
const ALLOCATIONS_PER_MESSAGE: u64 = 0;
const ALLOCATIONS_PER_CONNECTION: u64 = 0;

/// Bytes on the heap at most while the gateway starts and relays a message: before there was an
/// admin side, which all but the allowance holds for where none is asked for, and with one.
const HEAP_BYTES: u64 = 89_728;
const HEAP_BYTES_WITH_ADMIN: u64 = 118_799;
const HEAP_ALLOWANCE_BYTES: u64 = 16 * 1024;

/// How much dearer a round trip may be in a gateway with an admin side, and what an answer at
/// `/metrics` takes with one endpoint: instructions outside the kernel, which is where a twentieth
/// of the time of a round trip goes.
const ADMIN_SHARE_PERCENT: u64 = 10;
const INSTRUCTIONS_PER_SCRAPE: u64 = 215_000;

/// What the gateway itself says that a pair takes: its slot, its timer, its places in queues.
/// docs/performance.md has the figure, too.
const PAIR_BYTES: usize = 456;

/// What the heap may hold for a quiet pair through which 64 KiB went both ways besides
/// [`PAIR_BYTES`]: what the gateway happens to need at the moment when it holds the most.
const QUIET_PAIR_ALLOWANCE_BYTES: u64 = 56;
/// Descriptors of a quiet gateway beyond two for each pair: pipes that are kept for the next flow.
const DESCRIPTORS_KEPT: usize = 0;

/// The binary as it is shipped: a debug build takes more instructions, and makes calls that only
/// check the standard library's own doings. `make test` builds it before, and then there is nothing
/// left to do here.
fn release_build() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--release", "--locked", "--message-format=json"]);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        // What a developer, or a tool that measures coverage, adds is not shipped.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        // What cargo says to a test of its package. The build script of `ring` asks for the same
        // names, and would make it and all above it be built a second time.
        for (name, _) in std::env::vars_os() {
            let is_of_package = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
            });
            if is_of_package {
                command.env_remove(&name);
            }
        }
        // Without a deadline: this takes as long as a compiler takes.
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.expect("cargo is where tests are built");
        assert!(output.status.success(), "{command:?}: {}", output.status);
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = messages.split_once(r#""executable":""#).and_then(|(_, rest)| {
            let (path, _) = rest.split_once('"')?;
            Some(PathBuf::from(path))
        });
        path.unwrap_or_else(|| panic!("cargo does not tell where the binary is:\n{messages}"))
    })
}
