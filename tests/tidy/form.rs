//! Rules of form: widths, lengths, headers, the map.

use crate::finding::{Finding, finding};
use crate::lexer::{is_word, item_end, line_of};
use crate::source::Source;

pub const COLUMNS_MAX: usize = 100;
pub const FUNCTION_LINES_MAX: usize = 70;
pub const FILE_LINES_MAX: usize = 400;
/// Of files that are tests, benches or fuzz targets, all lines.
pub const TEST_FILE_LINES_MAX: usize = 500;

pub fn columns(source: &Source) -> Vec<Finding> {
    // An expression of the dashboard is one string of JSON.
    let wide_by_nature =
        ["LICENSE", "THIRD-PARTY.txt", "Cargo.lock", "package-lock.json", "dashboard.json", ".md"];
    if wide_by_nature.iter().any(|end| source.path.ends_with(end)) {
        return Vec::new();
    }
    // The first column of a patch is its own.
    let first = usize::from(source.path.ends_with(".patch"));
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let columns = line.chars().count().saturating_sub(first);
        if columns > COLUMNS_MAX {
            let message = format!("{columns} columns: break the line within {COLUMNS_MAX} instead");
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

/// A path of somebody's machine works nowhere else.
pub fn machine_paths(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for root in ["work", "home", "root"] {
            let path = format!("/{root}");
            let is_root = |(at, _): (usize, &str)| {
                let before = line[..at].chars().next_back();
                let after = line[at + path.len()..].chars().next();
                !before.is_some_and(|c| is_word(c) || ".)}*".contains(c))
                    && !after.is_some_and(|c| is_word(c) || "-.".contains(c))
            };
            if line.match_indices(&path).any(is_root) {
                let message = format!(
                    "{path} is a place of one machine: use a relative path or \
                     a temporary directory instead"
                );
                findings.push(finding(number + 1, message));
            }
        }
    }
    findings
}

pub fn header(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![finding(1, "no header: begin with `//! ` and what this file owns and must not do instead")]
}

pub fn tabs(source: &Source) -> Vec<Finding> {
    let has_tab = |(_, line): &(usize, &str)| line.contains('\t');
    let lines = source.text.lines().enumerate().filter(has_tab);
    lines.map(|(n, _)| finding(n + 1, "a tab: use spaces, or \\t in a string, instead")).collect()
}

pub fn function_length(source: &Source) -> Vec<Finding> {
    let code = &source.code;
    let mut findings = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_keyword = !code[..at].chars().next_back().is_some_and(is_word);
        let is_named = code[at + 3..].starts_with(|c: char| is_word(c));
        let (end, has_body) = item_end(code, at);
        let (first, last) = (line_of(code, at), line_of(code, end));
        let lines = last + 1 - first;
        if is_keyword && is_named && has_body && lines > FUNCTION_LINES_MAX {
            let message = format!(
                "a function of {lines} lines: split it into ones of at most {FUNCTION_LINES_MAX} \
                 instead, branches in the parent, straight lines in the leaves"
            );
            findings.push(finding(first, message));
        }
    }
    findings
}

pub fn file_length(source: &Source) -> Vec<Finding> {
    let shipped = source.test.iter().filter(|test| !**test).count();
    let (lines, most) = if source.is_in(&["src/"]) && shipped > 0 {
        (shipped, FILE_LINES_MAX)
    } else {
        (source.test.len(), TEST_FILE_LINES_MAX)
    };
    if lines <= most {
        return Vec::new();
    }
    let message = format!(
        "{lines} lines, in src without the tests: move one whole subject into a file of its own \
         instead, at most {most} lines each"
    );
    vec![finding(most + 1, message)]
}

/// `lib.rs` is the map and nothing else.
pub fn library_root(source: &Source) -> Vec<Finding> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        let line = line.trim();
        let is_mod = line.trim_start_matches("pub ").starts_with("mod ") && line.ends_with(';');
        if !line.is_empty() && !is_mod && !line.starts_with('#') {
            let message = "code in the library's root: put it into a module and list that instead";
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_columns() {
        let wide = format!("\n{}", "é".repeat(101));
        fires(columns, "src/a.rs", &wide, 2, "break the line");
        fires(columns, "Makefile", &wide, 2, "break the line");
        fires(columns, "fuzz/dictionaries/flag", &wide, 2, "break the line");
        keeps_still(columns, "README.md", &wide);
        keeps_still(columns, "fuzz/Cargo.lock", &wide);
        keeps_still(columns, "src/a.rs", &"é".repeat(100));
        keeps_still(columns, "tests/a.patch", &wide);
        fires(columns, "tests/a.patch", &format!("+{}", "é".repeat(101)), 1, "break the line");
    }

    #[test]
    fn rule_machine_paths() {
        fires(machine_paths, "Makefile", concat!("\ncd /wo", "rk/main"), 2, "use a relative path");
        fires(machine_paths, "README.md", concat!("in `/ho", "me/me/x`"), 1, "use a relative path");
        fires(machine_paths, "a.sh", concat!("PATH=/ro", "ot"), 1, "use a relative path");
        keeps_still(machine_paths, "a.sh", concat!("a.org/ho", "me /ho", "mes frame/wo", "rk/a"));
    }

    #[test]
    fn rule_header() {
        fires(header, "src/a.rs", "use std::fmt;", 1, "begin with `//! `");
        fires(header, "src/a.rs", "// plain", 1, "begin with `//! `");
        fires(header, "fuzz/fuzz_targets/a.rs", "#![no_main]", 1, "begin with `//! `");
        keeps_still(header, "src/a.rs", "//! What it owns.\n");
    }

    #[test]
    fn rule_tabs() {
        fires(tabs, "src/a.rs", "fn a() {\n\tb();\n}", 2, "use spaces");
        keeps_still(tabs, "src/a.rs", "fn a() {\n    b();\n}");
    }

    #[test]
    fn rule_function_length() {
        let of =
            |lines: usize| format!("\nfn a(b: [u8; 4]) -> u8 {{\n{}}}\n", "c;\n".repeat(lines - 2));
        fires(function_length, "src/a.rs", &of(71), 2, "split it");
        fires(function_length, "tests/a.rs", &of(71), 2, "split it");
        keeps_still(function_length, "src/a.rs", &of(70));
        let type_of = format!("type A = fn (u8);\n{}fn b();\n", "\n".repeat(100));
        keeps_still(function_length, "src/a.rs", &format!("trait T {{\n{type_of}}}\n"));
    }

    #[test]
    fn rule_file_length() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "x;\n".repeat(500));
        fires(
            file_length,
            "src/a.rs",
            &("x;\n".repeat(401) + &tests),
            401,
            "move one whole subject",
        );
        keeps_still(file_length, "src/a.rs", &("x;\n".repeat(400) + &tests));
        for path in ["tests/a.rs", "tests/it/a.rs", "benches/a.rs", "fuzz/src/a.rs"] {
            fires(file_length, path, &"x;\n".repeat(501), 501, "move one whole subject");
            keeps_still(file_length, path, &"x;\n".repeat(500));
        }
    }

    #[test]
    fn rule_library_root() {
        fires(library_root, "src/lib.rs", "//! Map.\nmod a;\nfn b() {}", 3, "put it into a module");
        keeps_still(library_root, "src/lib.rs", "//! Map.\n#![deny(x)]\nmod a;\npub mod b;\n");
        keeps_still(library_root, "src/main.rs", "fn main() {}");
    }
}
