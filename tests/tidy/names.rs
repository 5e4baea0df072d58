//! Rules of names in code: those that have a better one in their place, and closures with a name.

use std::collections::BTreeMap;

use crate::finding::{Finding, finding};
use crate::lexer::{is_word, tokens};
use crate::source::Source;

/// Where the names are banned. A folder enters when it is clean, and does not leave.
const CLEAN: &[&str] = &[
    "benches/",
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
    "tests/it/",
    "tests/sim/",
    "tests/tidy/",
];

/// A name of the old vocabulary, and that of the field in its place.
const NAMES: &[(&str, &str)] = &[
    ("it", "name the thing: `probe`, `line`"),
    ("hold_back", "`wait_for`"),
    ("held_until", "`wait_for`"),
    ("Finder", "`DiscoveryDriver`"),
    ("attend_finder", "`run`"),
    ("obey_resolver", "`execute`"),
    ("is_stirred", "`dirty`"),
    ("stir", "`mark_dirty`"),
    ("told", "`readiness`, or the noun that was meant"),
    ("Told", "`Expected`"),
    ("kinds_untold", "`pending_kinds`"),
    ("judge", "`usability`"),
    ("Verdict", "`Usability`"),
    ("LeftOut", "`Exclusion`"),
    ("QuietLimits", "`Inactivity`"),
    ("half_close", "`inactivity`"),
    ("Lasting", "`DeferredOptions`"),
    ("set_lasting_options", "`set_deferred_options`"),
    ("Means", "`Conditions`"),
    ("Looked", "`ProbeProgress`, or `Input`"),
    ("Surroundings", "`QueryContext`"),
    ("Trouble", "`Problem`"),
    ("refute", "`probe_failed`"),
    ("greet", "`announce`"),
    ("doubt_names", "`recheck_names`"),
    ("hurry", "`expedite`"),
    ("shake", "`advance_handshake`"),
    ("Shake", "`HandshakeStatus`"),
    ("own_end", "`local_address`"),
    ("asides", "`reserved_descriptors`"),
    ("copy_on", "`fall_back_to_copy`"),
    ("make_way", "`release_descriptors`"),
    ("starve", "`wait_for_resources`"),
    ("starved", "`Wait::Resources`"),
    ("turn_away", "`reject`"),
    ("doubt_all", "`recheck_all`"),
    ("has_news", "`retry_waiting`"),
    ("recheck_waiting", "one waiting room with a reason"),
];

/// Closures with a name that a folder has today, where it has any: a number here only goes down.
const CLOSURES_TODAY: &[(&str, usize)] = &[
    ("benches/", 16),
    ("benches/relay/", 43),
    ("fuzz/src/", 29),
    ("tests/it/", 98),
    ("tests/sim/", 25),
    ("tests/tidy/", 26),
];

pub fn names(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.is_in(CLEAN) {
        return findings;
    }
    for token in tokens(&source.code) {
        if let Some((name, instead)) = NAMES.iter().find(|(name, _)| *name == token.text) {
            findings.push(finding(token.line, format!("`{name}`: {instead} instead")));
        }
    }
    findings
}

/// `let name = |…| …`: a method has a place and a doc, an expression needs neither.
pub fn named_closures(sources: &[Source]) -> Vec<String> {
    closures_over(&closures_by_folder(sources), CLOSURES_TODAY)
}

fn closures_over(counts: &BTreeMap<&str, usize>, today: &[(&str, usize)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (folder, count) in counts {
        let known = today.iter().find(|(known, _)| known == folder);
        let most = known.map_or(0, |(_, most)| *most);
        if *count > most {
            findings.push(format!(
                "{folder}: {count} closures with a name, {most} at most: make a method of it, or \
                 write the expression where it is used, instead"
            ));
        }
        if *count < most {
            findings.push(format!(
                "{folder}: {count} closures with a name, {most} in CLOSURES_TODAY: write {count} \
                 instead"
            ));
        }
    }
    findings
}

fn closures_by_folder(sources: &[Source]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        *counts.entry(folder(&source.path)).or_default() += closures(&source.code);
    }
    counts
}

/// The first two folders, or the one that there is.
fn folder(path: &str) -> &str {
    let end = path.match_indices('/').map(|(at, _)| at).take(2).last();
    end.map_or("", |end| &path[..=end])
}

fn closures(code: &str) -> usize {
    let tokens = tokens(code);
    let is_named = |at: usize| {
        let mut rest =
            tokens[at + 1..].iter().map(|token| token.text).skip_while(|text| *text == "mut");
        let name = rest.next().is_some_and(|name| name.chars().all(is_word));
        let mut value = rest.skip_while(|text| *text == "move" || *text == "=").peekable();
        name && value.next() == Some("|")
    };
    (0..tokens.len()).filter(|at| tokens[*at].text == "let").filter(|at| is_named(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_names() {
        for (name, instead) in NAMES {
            fires(
                names,
                "benches/a.rs",
                &format!("fn a() {{\n    b(|{name}| {name_}) }}", name_ = "c"),
                2,
                instead,
            );
            keeps_still(names, "elsewhere/a.rs", &format!("fn {name}() {{}}"));
            keeps_still(names, "benches/a.rs", &format!("// {name}\nlet a_{name} = \"{name}\";"));
        }
        fires(names, "tests/tidy/a.rs", "fn a(it: u8) {}", 1, "name the thing");
    }

    #[test]
    fn rule_named_closures() {
        for (code, count) in [
            ("let a = |b| c; let mut d = move || e;", 2),
            ("let a =\n    |b: u8| -> u8 { c };", 1),
            ("a.map(|b| c); let d = e.map(|f| g); let h = i | j; if let K(l) = m {}", 0),
        ] {
            assert_eq!(closures(code), count, "{code}");
        }
        let sources = [("src/a/b.rs", 2), ("src/a/c/d.rs", 1), ("src/e.rs", 1), ("f/g/h/i.rs", 0)]
            .map(|(path, count)| Source::new(path, &"let a = |b| c;\n".repeat(count)));
        let counts = closures_by_folder(&sources);
        assert_eq!(counts, [("src/a/", 3), ("src/", 1), ("f/g/", 0)].into());
        assert_eq!(closures_over(&counts, &[("src/a/", 3), ("src/", 1)]), [""; 0]);
        let fires = |today, instead: &str| {
            let findings = closures_over(&counts, today);
            assert!(findings.len() == 1 && findings[0].contains(instead), "{findings:?}");
        };
        fires(&[("src/a/", 2), ("src/", 1)], "make a method of it");
        fires(&[("src/a/", 4), ("src/", 1)], "write 3 instead");
        fires(&[("src/a/", 3)], "make a method of it");
    }
}
