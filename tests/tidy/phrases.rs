//! Rules of words for readers: phrases of this project's dialect, and the plain English in their
//! place, in comments, in literals and in the manual.
//!
//! Plain means: a noun in place of a clause, the thing in place of a person, the term of the field.
//! Only phrases that good English hardly has are listed, and with them what it does have.

use crate::finding::{Finding, finding};
use crate::source::Source;

/// Where the phrases are banned. A folder enters when it is clean, and does not leave.
const CLEAN: &[&str] = &[
    "Cargo.toml",
    "Makefile",
    "README.md",
    "benches/",
    "docs/",
    "fuzz/",
    "src/address.rs",
    "src/arena.rs",
    "src/config/",
    "src/discovery/",
    "src/lib.rs",
    "src/main.rs",
    "src/net/",
    "src/observe/",
    "src/proto/",
    "src/reactor/",
    "src/readiness.rs",
    "src/recent.rs",
    "src/relay/",
    "src/upstream/",
    "tests/",
];
/// A report of the benches, as it was; and words of the simulator's trace, which its hash covers.
const KEPT: &[&str] = &["benches/report/", "tests/sim/exchange.rs", "tests/sim/network/peers.rs"];

/// A phrase, longer ones with it that are good English, and what to write instead.
struct Phrase {
    text: &'static str,
    but: &'static [&'static str],
    instead: &'static str,
}

const fn phrase(text: &'static str, instead: &'static str) -> Phrase {
    Phrase { text, but: &[], instead }
}

/// Words between blanks, in small letters. Signs around a word do not count, but no phrase goes on
/// behind a comma or the end of a sentence.
const PHRASES: &[Phrase] = &[
    Phrase {
        text: "is no",
        but: &["there is no", "is no longer", "is no more", "is no less", "is no larger"],
        instead: "is not a",
    },
    Phrase {
        text: "are no",
        but: &["there are no", "are no longer", "are no more", "are no less"],
        instead: "are not",
    },
    phrase("no part of", "not part of"),
    phrase("what came of", "the result of"),
    phrase("what comes of", "the result of"),
    phrase("what becomes of", "the treatment of, or what is done with"),
    phrase("what became of", "the outcome of"),
    phrase("for sure none", "none, by an authoritative answer"),
    phrase("by which its caller knows", "identifies to its caller"),
    phrase("any more", "no longer, or further"),
    phrase("whoever", "the caller, the client, or another noun"),
    Phrase {
        text: "whom",
        but: &["import whom", "imports whom", "persons to whom"],
        instead: "the name server, the endpoint, or another noun",
    },
    phrase("nobody", "no client, no caller, none, or another noun"),
    phrase("somebody", "a client, a caller, or another noun"),
    phrase("beside", "apart from, next to, or compared with"),
    phrase("so many", "the noun, as in `bytes`, with its range"),
    phrase("for ever", "forever, or without end"),
    phrase("in vain", "without effect"),
    Phrase {
        text: "stands",
        but: &["stands for", "stands in for", "stands still"],
        instead: "is, is established, or is listening",
    },
    Phrase {
        text: "stand",
        but: &["stand for", "stand in for", "stand still"],
        instead: "be, be established, or be listening",
    },
    phrase("turned away", "rejected"),
    phrase("left out", "skipped, or omitted"),
];

pub fn phrases(source: &Source) -> Vec<Finding> {
    // Where they are listed they have to be written.
    let is_list = source.path == "tests/tidy/phrases.rs";
    let is_text = [".rs", ".md", ".sh", "Makefile", "Cargo.toml"]
        .iter()
        .any(|end| source.path.ends_with(end));
    if is_list || !is_text || !source.is_in(CLEAN) || source.is_in(KEPT) {
        return Vec::new();
    }
    let words = words(&source.prose);
    let mut findings = Vec::new();
    for Phrase { text, but, instead } in PHRASES {
        for (at, _) in words.iter().enumerate().filter(|(at, _)| begins(&words, *at, text)) {
            if !but.iter().any(|longer| is_within(&words, at, text, longer)) {
                let message = format!("\"{text}\": write {instead}, instead");
                findings.push(finding(words[at].line, message));
            }
        }
    }
    findings
}

/// A word of a text, in small letters and without the signs around it.
struct Word {
    line: usize,
    text: String,
    /// Whether a comma, a stop or a bracket is between it and the next word.
    is_last: bool,
}

fn words(prose: &str) -> Vec<Word> {
    let mut words = Vec::new();
    for (number, line) in prose.lines().enumerate() {
        for word in line.split(|c: char| c.is_whitespace() || c == '"') {
            let text = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            // Slashes of a comment, the backslash of a string that goes on, bars of a table.
            if !text.is_empty() {
                let is_last = word.ends_with([',', '.', ';', ':', '?', '!', ')']);
                words.push(Word { line: number + 1, text, is_last });
            }
        }
    }
    words
}

/// Whether a phrase begins at this word.
fn begins(words: &[Word], at: usize, phrase: &str) -> bool {
    // Mostly it does not, which the first word says.
    if !phrase.starts_with(&words[at].text) {
        return false;
    }
    let count = phrase.split(' ').count();
    let Some(found) = words.get(at..at + count) else { return false };
    let is_same = found.iter().map(|word| word.text.as_str()).eq(phrase.split(' '));
    is_same && found[..count - 1].iter().all(|word| !word.is_last)
}

/// Whether the phrase at this word is a part of a longer one.
fn is_within(words: &[Word], at: usize, phrase: &str, longer: &str) -> bool {
    let longer_words: Vec<&str> = longer.split(' ').collect();
    let phrase: Vec<&str> = phrase.split(' ').collect();
    let places = longer_words.windows(phrase.len()).enumerate();
    places
        .filter(|(_, part)| *part == phrase)
        .any(|(before, _)| at >= before && begins(words, at - before, longer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    const PLACE: &str = "tests/tidy/a.rs";

    #[test]
    fn rule_phrases_fires() {
        for Phrase { text, instead, .. } in PHRASES {
            fires(phrases, PLACE, &format!("let a = b;\n// One {text}, c"), 2, instead);
            fires(phrases, PLACE, &format!("a(\"{text}\")"), 1, instead);
            fires(phrases, "tests/tidy/a.md", &format!("One\n`{text}`."), 2, instead);
        }
    }

    /// Over the end of a line, in capital letters, between other signs.
    #[test]
    fn rule_phrases_reads_words() {
        fires(phrases, PLACE, "// It is\n/// no host name.", 1, "is not a");
        fires(phrases, PLACE, "a(\"x is \\\n   no y\")", 1, "is not a");
        fires(phrases, PLACE, "/* **Nobody** waits */", 1, "no client");
        fires(phrases, PLACE, "//! | a | what came of b |", 1, "the result of");
        fires(phrases, PLACE, "a(r#\"left out name=1\"#)", 1, "skipped");
    }

    #[test]
    fn rule_phrases_keeps_still() {
        for text in [
            "// There is no way, and it is no longer there.",
            "// What it is. No, is: no.",
            "let nobody = whoever(is, no);",
            "// somebodys besides stand for P",
        ] {
            keeps_still(phrases, PLACE, text);
        }
        keeps_still(phrases, "tests/tidy/phrases.rs", "// nobody");
        keeps_still(phrases, "tests/tidy/a.patch", "nobody");
        keeps_still(phrases, "benches/report/report.md", "nobody");
        keeps_still(phrases, "elsewhere/a.rs", "// nobody");
    }
}
