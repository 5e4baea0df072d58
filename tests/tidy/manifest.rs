//! Rules of the manifests: which crates may be named, and whose notices are kept.

use std::collections::BTreeSet;

use crate::finding::{Finding, finding};
use crate::source::Source;

/// What `[dependencies]` may name. A crate enters here together with its cost, in one commit.
pub const DEPENDENCIES: &[&str] = &[
    "mio",
    "socket2",
    "slab",
    "log",
    "env_logger",
    "getopts",
    "nix",
    "domain",
    "httparse",
    "serde_json",
    "data-encoding",
    "jiff",
    "rustls",
    "rustls-webpki",
    "ring",
    "rustls-native-certs",
    "strsim",
    "ecdsa",
    "p256",
    "p384",
    "p521",
    "der",
];

/// The fuzz targets: a workspace of their own, built by cargo-fuzz and on its card. The bodies of
/// the targets are compiled by `tests/it`, too, which has no more than the crate itself.
pub const FUZZ: &str = "fuzz/";
pub const FUZZ_DEPENDENCIES: &[&str] = &["etcd-gateway", "libfuzzer-sys", "log", "serde_json"];

/// A client of etcd whose waiting is measured: a workspace of its own, which nothing else builds.
pub const FAULTS: &str = "benches/faults/clients/rust/";
pub const FAULTS_DEPENDENCIES: &[&str] = &["etcd-client", "tokio"];

/// What the manifest of a package may name; a package that is not known may name nothing.
pub fn card(path: &str) -> Option<&'static [&'static str]> {
    match path.strip_suffix("Cargo.toml")? {
        "" => Some(DEPENDENCIES),
        FUZZ => Some(FUZZ_DEPENDENCIES),
        FAULTS => Some(FAULTS_DEPENDENCIES),
        _ => Some(&[]),
    }
}

/// `[dependencies]` names crates of the card alone, in whichever of TOML's ways.
pub fn dependency_card(source: &Source) -> Vec<Finding> {
    let Some(card) = card(&source.path) else { return Vec::new() };
    let mut findings = Vec::new();
    let mut inside = false;
    for (number, line) in source.text.lines().enumerate() {
        let mut name = None;
        if let Some(table) = line.trim().strip_prefix('[') {
            let table = table.trim_matches(['[', ']']);
            let is_ours = |t: &str| t == "dependencies" || t.ends_with(".dependencies");
            inside = is_ours(table);
            if let Some((parent, last)) = table.rsplit_once('.') {
                name = is_ours(parent).then_some(last);
            }
        } else if inside && !line.trim_start().starts_with('#') {
            name = line.split_once('=').map(|(key, _)| key);
        }
        let name = name.map(|name| name.trim().split('.').next().unwrap_or(name));
        if let Some(name) = name.filter(|name| !card.contains(name)) {
            let message = format!(
                "`{name}` is not on the dependency card: use std or one of {card:?} \
                 instead, or weigh it and add it to tests/tidy"
            );
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    /// `tests/notices.sh --check` compares all of it, for which it needs the sources of all crates.
    #[test]
    fn notices_are_about_the_crates_that_are_locked() {
        let read =
            |name: &str| std::fs::read_to_string(name).expect("cargo runs tests at the root");
        let (lock, notices) = (read("Cargo.lock"), read("THIRD-PARTY.txt"));
        let list = notices.split("\n\n").nth(1).expect("a list behind the first paragraph");
        let mut names = BTreeSet::new();
        for line in list.lines() {
            let (name, rest) = line.split_once(' ').expect("a name and a version");
            let (version, _) = rest.split_once(' ').expect("a version and a licence");
            let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&locked), "{name} {version} is not locked: run tests/notices.sh");
            names.insert(name);
        }
        for name in DEPENDENCIES {
            assert!(names.contains(name), "no notice of {name}: run tests/notices.sh");
        }
    }

    #[test]
    fn rule_dependency_card() {
        let card = "[package]\nname = \"x\"\n[dependencies]\nmio = \"1\"\nlog.version = \"0\"\n";
        keeps_still(dependency_card, "Cargo.toml", &format!("{card}# a = b\n[lints]\nx = 1\n"));
        fires(dependency_card, "Cargo.toml", &format!("{card}tokio = \"1\""), 6, "use std");
        fires(dependency_card, "Cargo.toml", "[dependencies.tokio]\nversion = \"1\"", 1, "use std");
        let target = "[target.'cfg(unix)'.dependencies]\nlibc = \"1\"";
        fires(dependency_card, "Cargo.toml", target, 2, "use std");
        keeps_still(dependency_card, "Cargo.lock", &format!("{card}tokio = \"1\""));
        let fuzz = "[dependencies]\nlibfuzzer-sys = \"0\"\n";
        keeps_still(dependency_card, "fuzz/Cargo.toml", fuzz);
        fires(dependency_card, "Cargo.toml", fuzz, 2, "use std");
        fires(dependency_card, "tests/other/Cargo.toml", fuzz, 2, "use std");
        fires(dependency_card, "fuzz/Cargo.toml", &format!("{fuzz}mio = \"1\""), 3, "use std");
    }
}
