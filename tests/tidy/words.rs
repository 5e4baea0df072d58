//! Rules of words in code: what must not be called, and what must be explained.

use crate::finding::{Finding, finding};
use crate::lexer::contains_word;
use crate::source::Source;

/// Where a ban holds.
#[derive(Clone, Copy, PartialEq)]
pub enum Where {
    Src,
    SrcBesideMain,
    SrcBesideNet,
    SrcBesideObserve,
    Pure,
    Tests,
}

/// Lines of the log are worded in one place.
const AS_AN_EVENT: &str = "log an `Event` of src/observe/events.rs instead";

/// What must not be in the code, where, and what to write instead.
pub const BANS: &[(&str, Where, &str)] = &[
    ("dbg!", Where::Src, AS_AN_EVENT),
    ("todo!", Where::Src, "write it, or return an error that says so, instead"),
    ("unimplemented!", Where::Src, "write it, or return an error that says so, instead"),
    ("Rc<RefCell", Where::Src, "use a slab and its keys instead"),
    (".unwrap()", Where::Src, "use expect() with the sentence that proves it instead"),
    ("println!", Where::SrcBesideMain, AS_AN_EVENT),
    ("print!", Where::SrcBesideMain, AS_AN_EVENT),
    ("eprintln!", Where::SrcBesideMain, "log an `Event` or return the error to main instead"),
    ("eprint!", Where::SrcBesideMain, "log an `Event` or return the error to main instead"),
    ("Instant::now", Where::SrcBesideNet, "take `now` as an argument, or use Net::now, instead"),
    ("SystemTime", Where::SrcBesideNet, "take `now` as an argument, or use Net::now, instead"),
    (".elapsed()", Where::SrcBesideNet, "use now.duration_since(then) instead"),
    ("unsafe", Where::SrcBesideNet, "use a safe call, or put it into src/net, instead"),
    ("error!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("warn!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("info!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("debug!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("trace!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("log!", Where::SrcBesideObserve, AS_AN_EVENT),
    ("log::", Where::Pure, "return it and let the reactor log instead"),
    ("thread::sleep", Where::Tests, "wait for the event itself, with a deadline, instead"),
    ("#[ignore", Where::Tests, "make it fast or delete it instead"),
    ("#[should_panic]", Where::Tests, "use #[should_panic(expected = \"…\")] instead"),
];

/// Whether a ban holds in this line.
pub fn holds(place: Where, source: &Source, is_test: bool) -> bool {
    let in_src = source.is_in(&["src/"]) && !is_test;
    match place {
        Where::Src => in_src,
        Where::SrcBesideMain => in_src && source.path != "src/main.rs",
        Where::SrcBesideNet => in_src && !source.is_in(&["src/net/"]),
        Where::SrcBesideObserve => in_src && !source.is_in(&["src/observe/"]),
        Where::Pure => in_src && source.is_in(&["src/relay/", "src/upstream/"]),
        Where::Tests => is_test || in_src, // what may not sleep under test may not in earnest
    }
}

pub fn banned_text(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (line, is_test)) in source.code.lines().zip(&source.test).enumerate() {
        for (ban, place, instead) in BANS {
            if holds(*place, source, *is_test) && contains_word(line, ban) {
                findings.push(finding(number + 1, format!("`{ban}`: {instead}")));
            }
        }
    }
    findings
}

/// Words that mark what is not done, which hide in comments.
pub fn unfinished_words(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (line, is_test)) in source.text.lines().zip(&source.test).enumerate() {
        for word in ["TODO", "FIXME", "XXX"] {
            if holds(Where::Src, source, *is_test) && contains_word(line, word) {
                let message = format!("`{word}`: do it, or write an issue, instead");
                findings.push(finding(number + 1, message));
            }
        }
    }
    findings
}

/// Every `unsafe` of `src/net` has a sentence above it that says why it is sound.
pub fn unsafe_explained(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/net/"]) {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    for (number, line) in source.production().lines().enumerate() {
        let mut above = number;
        // Climb over attributes and over the beginning of a statement that rustfmt broke.
        while above > 0 && (lines[above - 1].starts_with("#[") || is_unfinished(lines[above - 1])) {
            above -= 1;
        }
        let comment = lines[..above].iter().rev().take_while(|line| line.starts_with("//"));
        let words: usize = comment.map(|line| line.split_whitespace().count() - 1).sum();
        if contains_word(line, "unsafe") && words < 4 {
            let message = "unsafe without its reason: write `// SAFETY: …` directly above instead";
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

pub fn is_unfinished(line: &str) -> bool {
    !line.starts_with("//") && (line.ends_with('=') || line.ends_with('('))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_banned_text_in_src() {
        for (ban, place, instead) in BANS {
            let text = format!("fn a() {{\n    {ban} b\n}}\n");
            let fires_in = |path: &str| fires(banned_text, path, &text, 2, instead);
            let keeps_still_in = |path: &str| keeps_still(banned_text, path, &text);
            match place {
                Where::Src => fires_in("src/net/mio.rs"),
                Where::SrcBesideMain => {
                    fires_in("src/relay/mod.rs");
                    keeps_still_in("src/main.rs");
                }
                Where::SrcBesideNet => {
                    fires_in("src/main.rs");
                    keeps_still_in("src/net/mio.rs");
                }
                Where::SrcBesideObserve => {
                    fires_in("src/main.rs");
                    fires_in("src/reactor/mod.rs");
                    keeps_still_in("src/observe/events.rs");
                }
                Where::Pure => {
                    fires_in("src/relay/flow.rs");
                    fires_in("src/upstream/mod.rs");
                    keeps_still_in("src/reactor/mod.rs");
                }
                Where::Tests => {
                    fires_in("tests/it/relay.rs");
                    fires_in("src/reactor/mod.rs");
                    keeps_still_in("benches/relay.rs");
                    continue;
                }
            }
            keeps_still_in("tests/it/relay.rs");
            keeps_still(
                banned_text,
                "src/relay/mod.rs",
                &format!("#[cfg(test)]\nmod t {{\n{text}}}"),
            );
        }
    }

    #[test]
    fn rule_banned_text_reads_words() {
        let good = "debug_assert!(a); a.unwrap_or(b); // dbg!\nlet c = \"todo!\"; not_unsafe();\n";
        keeps_still(banned_text, "src/relay/mod.rs", good);
        keeps_still(banned_text, "src/net/mod.rs", "#![deny(unsafe_op_in_unsafe_fn)]");
        let panics = "#[should_panic(expected = \"x\")]\nfn a() {}";
        keeps_still(banned_text, "tests/it/cli.rs", panics);
        let in_tests = "#[cfg(test)]\nmod t {\n    #[ignore = \"slow\"]\n    fn a() {}\n}\n";
        fires(banned_text, "src/relay/mod.rs", in_tests, 3, "make it fast");
    }

    #[test]
    fn rule_unfinished_words() {
        for word in ["TODO", "FIXME", "XXX"] {
            let text = format!("fn a() {{}}\n// {word}: b\n");
            fires(unfinished_words, "src/a.rs", &text, 2, "write an issue");
            keeps_still(unfinished_words, "src/a.rs", &format!("// {word}S and a{word}"));
            keeps_still(unfinished_words, "tests/a.rs", &text);
        }
    }

    #[test]
    fn rule_unsafe_explained() {
        let bare = "fn a() {\n    let b = unsafe { c() };\n}";
        fires(unsafe_explained, "src/net/splice.rs", bare, 2, "write `// SAFETY: …`");
        let apart =
            "// SAFETY: c is always there.\nfn a() {\n    let b =\n        unsafe { c() };\n}";
        fires(unsafe_explained, "src/net/splice.rs", apart, 4, "write `// SAFETY: …`");
        fires(unsafe_explained, "src/net/splice.rs", "// SAFETY:\nunsafe { c() };", 2, "SAFETY");
        let good =
            "    // SAFETY: c is always\n    // there.\n    let b =\n        unsafe { c() };";
        keeps_still(unsafe_explained, "src/net/splice.rs", good);
        let item = "/// # Safety\n/// The caller owns b.\n#[inline]\npub unsafe fn a(b: i32) {}";
        keeps_still(unsafe_explained, "src/net/splice.rs", item);
        keeps_still(unsafe_explained, "src/relay/mod.rs", bare);
    }
}
