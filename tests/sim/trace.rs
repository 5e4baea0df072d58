//! What happened in a run: a hash over everything, to tell whether two runs were the same, and the
//! last entries, to read when one failed.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

/// FNV-1a, over words.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const LEGEND: &str = "\
what happened last: the virtual time, what, and which connection: the bytes, or more to say
(dial ENDPOINT: for which client; no accept, flap: the number of a listener or an endpoint;
open, close, no pipe: the number of a pipe; splice end: a read may tell otherwise;
arrives: at which listener; flap: what it is now, 0 is up; jump: until when, in nanoseconds;
close 1 is a reset; dies: what the socket then says of its send queue)
";

/// One thing that happened, to be hashed and read.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub at: Duration,
    /// An operation of the gateway, or what happened in the world.
    pub what: &'static str,
    /// The connection, listener or endpoint that it is about.
    pub subject: usize,
    /// A number that belongs to it, often of bytes.
    pub value: u64,
}

#[derive(Debug)]
pub struct Trace {
    hash: u64,
    last: VecDeque<Entry>,
    last_max: usize,
}

impl Trace {
    pub fn new(last_max: usize) -> Trace {
        Trace { hash: FNV_BASIS, last: VecDeque::new(), last_max }
    }

    pub fn push(&mut self, entry: Entry) {
        let Entry { at, what, subject, value } = entry;
        let words = [at.as_nanos() as u64, subject as u64, value];
        let text = what.bytes().map(u64::from);
        for word in words.into_iter().chain(text) {
            self.hash = (self.hash ^ word).wrapping_mul(FNV_PRIME);
        }
        if self.last.len() == self.last_max {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }

    /// The same for the same run, whatever the machine and the compiler.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last entries, one a line, and how to read them.
    pub fn tail(&self) -> String {
        let mut text = String::from(LEGEND);
        for Entry { at, what, subject, value } in &self.last {
            let at = at.as_secs_f64() * 1e3;
            let value = match *what {
                "event" => bits(*value),
                "dial" if *value == u64::MAX => "of the monitor".to_owned(),
                _ => value.to_string(),
            };
            writeln!(text, "{at:>14.6} ms  {what} {subject}: {value}")
                .expect("a string takes everything");
        }
        text
    }
}

/// What an event said.
fn bits(value: u64) -> String {
    let words = ["readable", "writable", "urgent", "closed", "error"];
    let said = (0..5).filter(|bit| value >> (4 - bit) & 1 == 1).map(|bit| words[bit]);
    said.collect::<Vec<_>>().join("+")
}
