//! The fields of a line of the log: their types, and how each is written.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::changes::Kind;
use crate::config::duration::format_milliseconds;

/// A value of one word: an address, a name, a reason.
pub type Value<'a> = &'a dyn Display;

/// A text that may contain anything; quoted, and escaped as in Rust.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

/// A source of endpoints: ` source=srv domain=example.test`.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The kind of source, in a word.
    pub source: &'a str,
    /// The name of the field that tells it from others of its kind.
    pub key: &'a str,
    /// The value of that field.
    pub subject: Value<'a>,
}

/// Values of one kind.
pub type List<'a> = &'a [String];

/// Changes that share one line. Each kind is a field; the line has the most severe level.
pub type Kinds<'a> = &'a [Kind];

/// The texts of `items`, for a [`List`].
pub fn list(items: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// A field of a line: ` key=value`, or nothing.
pub(super) trait Field {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result;
}

impl Field for Value<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={self}")
    }
}

impl Field for Quoted<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={:?}", self.0)
    }
}

impl Field for Origin<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={} {}={}", self.source, self.key, self.subject)
    }
}

impl Field for List<'_> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}=[{}]", self.join(","))
    }
}

impl Field for Kinds<'_> {
    fn write(&self, _: &str, f: &mut Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|kind| write!(f, " {}=[{kind}]", kind.key))
    }
}

impl Field for Duration {
    /// Writes whole milliseconds: more digits would suggest a precision that there is not.
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {key}={}", format_milliseconds(*self))
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
        self.as_ref().map_or(Ok(()), |value| value.write(key, f))
    }
}

macro_rules! plain_fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn write(&self, key: &str, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, " {key}={self}")
            }
        }
    )*};
}

plain_fields!(bool, u16, u32, u64, u128, usize);
