//! What happened in a run: a hash over everything, to tell whether two runs were the same, and the
//! last entries, to read when one failed.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// One thing that happened, to be hashed and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    pub at: Duration,
    /// In whose words: an operation of the gateway, or what happened in the world.
    pub what: &'static str,
    /// The connection, listener or endpoint that it is about.
    pub whom: usize,
    /// A number that belongs to it, often of bytes.
    pub value: u64,
}

#[derive(Debug)]
pub struct Trace {
    hasher: DefaultHasher,
    last: VecDeque<Entry>,
    last_max: usize,
}

impl Trace {
    pub fn new(last_max: usize) -> Trace {
        Trace { hasher: DefaultHasher::new(), last: VecDeque::new(), last_max }
    }

    pub fn push(&mut self, entry: Entry) {
        entry.hash(&mut self.hasher);
        if self.last.len() == self.last_max {
            self.last.pop_front();
        }
        self.last.push_back(entry);
    }

    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last entries, one a line.
    pub fn tail(&self) -> String {
        let mut text = String::new();
        for Entry { at, what, whom, value } in &self.last {
            writeln!(text, "{:>14.6} ms  {what} {whom}: {value}", at.as_secs_f64() * 1e3)
                .expect("a string takes everything");
        }
        text
    }
}
