//! What the gateway costs, counted instead of timed: system calls, instructions, allocations.
//!
//! A count is the same on every machine and under every load. So each is held to the figure that
//! it has today, and a change for the worse fails; one for the better lowers the constant here.
//! `make cost` prints what was counted.

mod calls;
mod start;
mod valgrind;

/// Calls for one 128-byte round trip on the only busy connection: each message is waited for, read
/// and written, and nothing else is done.
const CALLS_PER_ROUND_TRIP: &[(&str, usize)] = &[("epoll_wait", 2), ("recvfrom", 2), ("sendto", 2)];

/// Calls for one of 64 such round trips that arrive together: one wait tells of many, and two are
/// enough for all of them, so this is 4 + 4 / 64 at worst.
const CALLS_PER_ROUND_TRIP_OF_64: f64 = 4.07;

/// Calls for a connection that is made, asks 64 bytes, is answered and ends: alone, and as one of
/// eight that do the same at the same time.
const CALLS_PER_CONNECTION: f64 = 32.0;
const CALLS_PER_CONNECTION_OF_8: f64 = 26.0;
/// How much more it may be on average: packets may reach the gateway a wait later than usual, but
/// a call more is a call more.
const CALLS_PER_CONNECTION_ALLOWANCE: f64 = 0.5;

/// Calls for each MiB of a bulk transfer, either way. How much a read finds is the kernel's doing.
const CALLS_PER_MIB: f64 = 154.2;
const CALLS_PER_MIB_ALLOWANCE: f64 = 15.0;

/// Calls of main() up to the listener, and up to the first wait for clients; without the lines of
/// the log. What loader and runtime do before depends on the machine's libraries.
const CALLS_TO_LISTENER: usize = 20;
const CALLS_TO_FIRST_WAIT: usize = 23;

/// Instructions of the release build, outside the kernel, for one 128-byte round trip on the only
/// busy connection, and for a short connection. Compilers differ a little, and so do connections,
/// by the waits among which their events are spread.
const INSTRUCTIONS_PER_ROUND_TRIP: u64 = 3090;
const INSTRUCTIONS_PER_CONNECTION: u64 = 9900;
const INSTRUCTIONS_ALLOWANCE_PERCENT: u64 = 10;

/// Allocations for one message, and for one connection where as many were open before.
const ALLOCATIONS_PER_MESSAGE: u64 = 0;
const ALLOCATIONS_PER_CONNECTION: u64 = 0;

/// What the heap holds for a quiet pair through which 64 KiB went both ways: its slot.
const BYTES_PER_QUIET_PAIR: u64 = 416;
/// A buffer or two may lie with the pool, which is bounded by itself: so much for each pair.
const BYTES_PER_QUIET_PAIR_ALLOWANCE: u64 = 128;
/// Descriptors of a quiet gateway beyond two for each pair: pipes that are kept for the next flow.
const DESCRIPTORS_KEPT: usize = 0;
