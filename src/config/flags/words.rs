//! The words of a command line: the arguments that are not flags. Pure.

use super::secret::masked;
use super::suggest::nearest;
use super::{HELP, UsageError, VERSION};

/// All words.
const WORDS: [&str; 5] = ["gateway", "start", STATUS, HELP.name, VERSION.name];
/// The word of the command that shows what a running gateway does.
const STATUS: &str = "status";

/// What the words ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// To run the gateway.
    Start,
    /// To ask a running one.
    Status,
}

/// Whether the words ask for help: `help` once, before, between or after the words of a command, as
/// cobra accepts it.
pub(super) fn asks_for_help(words: &[&str]) -> bool {
    let others: Vec<&str> = words.iter().copied().filter(|word| *word != HELP.name).collect();
    let is_path =
        matches!(others[..], [] | ["start"] | ["gateway"] | ["gateway", "start"] | [STATUS]);
    is_path && others.len() + 1 == words.len()
}

/// Accepts no word, `start`, `gateway start` and `status`; under the name etcd, `gateway start`
/// alone.
///
/// # Errors
/// [`UsageError`] for the first word that is missing or superfluous.
pub(super) fn check_words(words: &[&str], etcd: bool) -> Result<Command, UsageError> {
    let stray = match *words {
        ["gateway", "start"] => return Ok(Command::Start),
        [STATUS] if !etcd => return Ok(Command::Status),
        [] | ["start"] if etcd => {
            let message = "called as etcd, only `etcd gateway start` is served";
            return Err(UsageError::new(message.to_owned()));
        }
        [] | ["start"] => return Ok(Command::Start),
        ["gateway"] => {
            return Err(UsageError::new("missing word `start` after `gateway`".to_owned()));
        }
        [STATUS, stray, ..] if !etcd => stray,
        ["gateway", "start", stray, ..] | ["gateway" | "start", stray, ..] | [stray, ..] => stray,
    };
    let advice = match nearest(stray, WORDS.into_iter().filter(|word| !etcd || *word != STATUS))
        .filter(|word| *word != stray)
    {
        Some(word) => format!("the nearest is {word}, see --help"),
        None => "see --help".to_owned(),
    };
    Err(UsageError::new(format!("stray word {:?}; {advice}", masked(stray))))
}
