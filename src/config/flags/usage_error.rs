//! The one error of a command line. Pure.

use std::fmt;

use super::Flag;
use super::secret::masked;

/// Bad usage: exit status 2. Displays as one line that names flag and value, whatever was typed,
/// and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// An error in these words, which are one line without a password.
    pub(in crate::config) fn new(message: String) -> UsageError {
        UsageError(message)
    }

    /// A value that the flag cannot take, and why. `reason` is one line.
    pub fn invalid(flag: &Flag, value: &str, reason: impl fmt::Display) -> UsageError {
        UsageError(format!("invalid value {:?} for --{}: {reason}", masked(value), flag.name))
    }

    /// A flag that has its meaning only together with another one, which is missing.
    pub(in crate::config) fn without(flag: &Flag, other: &Flag) -> UsageError {
        UsageError(format!("missing --{}, which --{} needs", other.name, flag.name))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
