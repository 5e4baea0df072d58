//! JSON (RFC 8259) that is written value by value, in pieces. Owns commas and the form of numbers.

use std::fmt::Display;
use std::time::Duration;

use super::escape::{Quoting, quote, write};
use super::text::Seconds;

/// Where JSON is written to. Each value that is not the first one of its array or object gets a
/// comma before it.
pub(super) struct Json<'a> {
    pub out: &'a mut Vec<u8>,
    /// Whether the last thing written was a value, maybe in a piece before.
    pub is_after_value: bool,
}

impl Json<'_> {
    /// Begins an object or an array, with `{` or `[`.
    pub fn open(&mut self, bracket: char) {
        self.separate();
        write(self.out, format_args!("{bracket}"));
        self.is_after_value = false;
    }

    /// Ends it, with `}` or `]`.
    pub fn close(&mut self, bracket: char) {
        write(self.out, format_args!("{bracket}"));
        self.is_after_value = true;
    }

    /// Writes the name of a member of an object, before its value.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        write(self.out, format_args!("\"{name}\":"));
        self.is_after_value = false;
        self
    }

    /// Writes a string.
    pub fn text(&mut self, text: &dyn Display) {
        self.separate();
        quote(self.out, Quoting::Json, text);
    }

    /// Writes a number, true, false or null, which are as Rust shows them.
    pub fn plain(&mut self, value: impl Display) {
        self.separate();
        write(self.out, format_args!("{value}"));
    }

    /// Writes null for nothing, and otherwise what `write` writes.
    pub fn optional<T>(&mut self, value: Option<T>, write: fn(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.plain("null"),
        }
    }

    /// Writes a duration in seconds with at most three decimals: more would suggest a precision
    /// that there is not.
    pub fn seconds(&mut self, duration: Duration) {
        let milliseconds = Duration::from_millis(duration.subsec_millis().into());
        self.plain(Seconds(Duration::from_secs(duration.as_secs()) + milliseconds));
    }

    /// Writes an object of numbers.
    pub fn numbers<'k>(&mut self, members: impl IntoIterator<Item = (&'k str, u64)>) {
        self.open('{');
        for (name, number) in members {
            self.key(name).plain(number);
        }
        self.close('}');
    }

    fn separate(&mut self) {
        if self.is_after_value {
            self.out.push(b',');
        }
        self.is_after_value = true;
    }
}
