//! Rules of the manual: links lead somewhere, promises have tests, files that are named are there,
//! README is short.

use std::collections::BTreeSet;
use std::path::Path;

use crate::finding::{Finding, finding};
use crate::source::Source;

/// Lines of README, which a reader goes through in the first five minutes.
const README_LINES_MAX: usize = 150;

/// README has what is needed first; the rest has pages of its own.
pub fn readme_length(source: &Source) -> Vec<Finding> {
    let lines = source.test.len();
    if source.path != "README.md" || lines <= README_LINES_MAX {
        return Vec::new();
    }
    let message = format!(
        "{lines} lines, {README_LINES_MAX} at most: write into a page of docs/ and link to that \
         instead"
    );
    vec![finding(README_LINES_MAX + 1, message)]
}

/// Tests that a table of promises names are there: `` `file.rs`: `one`, `another` `` are functions
/// of that file, in `tests/it` unless it has another folder.
pub fn promises(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["docs/"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let mut file = None;
        for quoted in line.split('`').skip(1).step_by(2) {
            if quoted.ends_with(".rs") {
                file = Some(quoted);
            } else if is_test_name(quoted) && file.is_some_and(|file| !has_test(file, quoted)) {
                let message = format!("no test {quoted} there: name the one that holds instead");
                findings.push(finding(index + 1, message));
            }
        }
    }
    findings
}

/// Whether a file has a test of that name, or is missing with all of them, as in a crate package.
fn has_test(file: &str, name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let integration = root.join("tests/it");
    let folder = if file.starts_with("tests/") { root } else { &integration };
    match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => text.contains(&format!("fn {name}()")),
        Err(_) => !integration.exists(),
    }
}

fn is_test_name(quoted: &str) -> bool {
    quoted.contains('_')
        && quoted.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Files of Rust that a comment, a literal or the manual names between backticks are there, under
/// that path or one that ends with it. The tests of this rule name others.
pub fn named_files(sources: &[Source]) -> Vec<String> {
    let mut there = BTreeSet::new();
    for Source { path, .. } in sources {
        there.extend(path.match_indices('/').map(|(at, _)| &path[at + 1..]).chain([&**path]));
    }
    let mut findings = Vec::new();
    let tests_of_this = "tests/tidy/manual.rs";
    for source in sources.iter().filter(|source| source.path != tests_of_this) {
        if source.path.ends_with(".patch") {
            continue; // Its lines are those of the file that it is for.
        }
        for (index, line) in source.prose.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_file_name(name)) {
                if !there.contains(name) {
                    let place = format!("{}:{}", source.path, index + 1);
                    findings
                        .push(format!("{place}: no file {name}: name the one there is instead"));
                }
            }
        }
    }
    findings
}

/// Not one with a placeholder, such as `NAME.rs`.
fn is_file_name(name: &str) -> bool {
    let signs = "abcdefghijklmnopqrstuvwxyz0123456789_/.";
    let stem = name.strip_suffix(".rs").unwrap_or_default();
    !stem.is_empty() && stem.chars().all(|c| signs.contains(c))
}

/// Links of the manual lead to files that are there, and to headings that those have. What is
/// installed has the same folders, so there they do as well.
pub fn links(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with(".md") || !(source.path == "README.md" || source.is_in(&["docs/"])) {
        return Vec::new();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join(&source.path).parent().expect("a file is in a folder").to_owned();
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for target in targets.map(|(target, _)| target).filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let text = match file {
                "" => Ok(source.text.clone()),
                file => std::fs::read_to_string(folder.join(file)),
            };
            let has_heading =
                |text: String| text.lines().filter_map(anchor).any(|found| found == heading);
            if !text.is_ok_and(|text| heading.is_empty() || has_heading(text)) {
                findings.push(finding(
                    index + 1,
                    format!("{target} is not there: link to what is instead"),
                ));
            }
        }
    }
    findings
}

/// What a link to the heading in this line ends with, as on GitHub.
pub fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let keep = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    Some(heading.to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_links() {
        let to = |target: &str| format!("# One `A` b\n\n[words]({target}) and more\n");
        for target in ["docs/nowhere.md", "#two", "docs/operation.md", "docs/operations.md#nowhere"]
        {
            fires(links, "README.md", &to(target), 3, "link to what is instead");
        }
        fires(links, "docs/a.md", &to("docs/operations.md"), 3, "link to what is instead");
        for target in ["docs/operations.md#signals", "#one-a-b", "LICENSE", "https://a.test/b"] {
            keeps_still(links, "README.md", &to(target));
        }
        keeps_still(links, "docs/a.md", &to("../README.md#flags"));
        keeps_still(links, "src/a.md", &to("nowhere"));
    }
    #[test]
    fn rule_promises() {
        let row = |cell: &str| format!("# Promises\n\n| one | {cell} |\n");
        for cell in [
            "`cli.rs`: `no_such_test`",
            "`no_such.rs`: `no_such_test`",
            "`relay.rs`: `server_may_speak_first`, `no_such`",
        ] {
            fires(promises, "docs/a.md", &row(cell), 3, "name the one that holds instead");
        }
        let elsewhere = "`tests/tidy/main.rs`: `house_rules_hold`; `relay.rs`: `house_rules_hold`";
        fires(promises, "docs/a.md", &row(elsewhere), 3, "no test house_rules_hold");
        for cell in [
            "`relay.rs`: `server_may_speak_first`; `tests/tidy/main.rs`: `house_rules_hold`",
            "`make package`, `no_such_test`",
            "`oracle/pair.rs`, at each write; `run.rs`",
        ] {
            keeps_still(promises, "docs/a.md", &row(cell));
        }
        keeps_still(promises, "README.md", &row("`cli.rs`: `no_such_test`"));
    }

    #[test]
    fn rule_named_files() {
        fn found(path: &str, text: &str) -> String {
            let tree = [Source::new("src/a/b.rs", ""), Source::new(path, text)];
            named_files(&tree).join("\n")
        }
        for (path, text) in [
            ("src/c.rs", "// See `a/c.rs`.\nfn d() {}"),
            ("src/c.rs", "fn d() { e(\"in `b/a.rs`\") }"),
            ("docs/c.md", "One: `src/b.rs`"),
        ] {
            assert!(found(path, text).contains("name the one there is instead"), "{text}");
            assert!(found(path, text).starts_with(&format!("{path}:1: ")), "{text}");
        }
        for text in ["`b.rs`, `a/b.rs` and `src/a/b.rs`", "`NAME.rs`", "`.rs`", "`a.b()` c.rs"] {
            assert_eq!(found("docs/c.md", text), "");
            assert_eq!(found("src/c.rs", &format!("//! {text}")), "");
        }
    }

    #[test]
    fn rule_readme_length() {
        fires(readme_length, "README.md", &"a\n".repeat(151), 151, "write into a page of docs/");
        keeps_still(readme_length, "README.md", &"a\n".repeat(150));
        keeps_still(readme_length, "docs/a.md", &"a\n".repeat(151));
    }
}
