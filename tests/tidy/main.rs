//! The house rules as a test: form, layers, bans. Each message says what to write instead.
//!
//! Every rule is a function over one [`Source`]; `house_rules_hold` runs them all over what git
//! knows of, or over a tarball's files, and every rule has a test that sees it fire and a test that
//! sees it keep still.
//!
//! ```text
//! text ──► blank(): comments and literals become spaces ──► code ──► test items marked
//!            columns, headers, words in comments               bans, imports, functions
//! ```
//!
//! Not here: which rule holds where, which each module of rules says at its top.

mod finding;
mod form;
mod imports;
mod layers;
mod lexer;
mod manifest;
mod manual;
mod names;
mod phrases;
mod source;
mod turn;
mod types;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::finding::Rule;
use crate::source::{Source, mark_test_files, orphans};

/// Folders with files of ours.
const FOLDERS: &[&str] = &[".ci", "benches", "deploy", "docs", "findings", "fuzz", "src", "tests"];
/// Inputs as the fuzzer left them, which no rule of form can hold.
const FUZZ_CORPUS: &str = "fuzz/corpus/";

#[test]
fn house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for path in listed_files(root).into_iter().filter(|path| !path.starts_with(FUZZ_CORPUS)) {
        // Not there: deleted but not committed. Not UTF-8: no text of ours.
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            sources.push(Source::new(&path, &text));
        }
    }
    mark_test_files(&mut sources);

    let mut findings = Vec::new();
    for path in ["src/lib.rs", "src/main.rs", "tests/tidy/main.rs", "Cargo.toml"] {
        if !sources.iter().any(|source| source.path == path) {
            findings.push(format!("{path}:1: not found: see that git lists it instead"));
        }
    }
    for source in &sources {
        let rules = [TEXT_RULES, if source.is_rust() { RUST_RULES } else { &[] }].concat();
        for finding in rules.iter().flat_map(|rule| rule(source)) {
            findings.push(format!("{}:{}: {}", source.path, finding.line, finding.message));
        }
    }
    for path in orphans(&sources) {
        findings.push(format!("{path}:1: no `mod` leads here: declare it or delete it instead"));
    }
    findings.extend(manual::named_files(&sources));
    findings.extend(types::types(&sources));
    findings.extend(names::named_closures(&sources));
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

const TEXT_RULES: &[Rule] = &[
    phrases::phrases,
    form::columns,
    form::machine_paths,
    manifest::dependency_card,
    manual::links,
    manual::promises,
    manual::readme_length,
];

const RUST_RULES: &[Rule] = &[
    turn::turn,
    names::names,
    form::header,
    form::tabs,
    form::function_length,
    form::file_length,
    form::library_root,
    layers::layers,
    layers::std_alone,
    words::banned_text,
    words::unfinished_words,
    layers::system_paths,
    words::unsafe_explained,
];

/// The files that are committed, or would be by `git add --all`. What was unpacked from a tarball
/// has no commits: there, the files in the folders that are ours, even within a checkout of another
/// project.
fn listed_files(root: &Path) -> Vec<String> {
    if !root.join(".git").exists() {
        let mut files = vec!["Cargo.toml".to_owned()];
        FOLDERS.iter().for_each(|folder| walk(root, folder, &mut files));
        return files;
    }
    // The checkout may belong to another user, as it does in many build containers.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git is needed to list the files");
    assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("file names are UTF-8");
    // In the middle of a merge a file is listed once for each side.
    listed.lines().map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Adds the files below a folder, which need not exist.
fn walk(root: &Path, folder: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{folder}/{name}");
        match entry.file_type().expect("a readable folder").is_dir() {
            // What cargo builds, a fuzz target for instance, is nobody's text.
            true if name != "target" => walk(root, &path, files),
            true => {}
            false => files.push(path),
        }
    }
}
