//! The words of a command line, beside its flags: which gateway is meant, or that help is.

use super::secret::masked;
use super::suggest::nearest;
use super::{HELP, UsageError, VERSION};

/// What is understood as a word.
const WORDS: [&str; 4] = ["gateway", "start", HELP.name, VERSION.name];

/// Whether `help` stands among the words that may precede or follow it, as cobra takes it.
pub(super) fn asks_for_help(words: &[&str]) -> bool {
    let others: Vec<&str> = words.iter().copied().filter(|word| *word != HELP.name).collect();
    let is_path = matches!(others[..], [] | ["start"] | ["gateway"] | ["gateway", "start"]);
    is_path && others.len() + 1 == words.len()
}

/// Accepts no word, `start` and `gateway start`; as etcd, `gateway start` alone.
pub(super) fn check_words(words: &[&str], etcd: bool) -> Result<(), UsageError> {
    let stray = match *words {
        ["gateway", "start"] => return Ok(()),
        [] | ["start"] if etcd => {
            let message = "called as etcd, only `etcd gateway start` is served";
            return Err(UsageError::new(message.to_owned()));
        }
        [] | ["start"] => return Ok(()),
        ["gateway"] => {
            return Err(UsageError::new("missing word `start` after `gateway`".to_owned()));
        }
        ["gateway", "start", stray, ..] | ["gateway" | "start", stray, ..] | [stray, ..] => stray,
    };
    let advice = match nearest(stray, WORDS).filter(|word| *word != stray) {
        Some(word) => format!("the nearest is {word}, see --help"),
        None => "see --help".to_owned(),
    };
    Err(UsageError::new(format!("stray word {:?}; {advice}", masked(stray))))
}
