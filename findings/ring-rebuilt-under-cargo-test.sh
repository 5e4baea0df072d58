#!/bin/sh
# A test that has cargo build something, where `ring` is among the dependencies.
#
# Guess: what `cargo build --release` has just built is fresh for the same command in a test that
#        `cargo test` runs: same folder, same flags, same profile.
# Seen:  cargo 1.95, ring 0.17.14: ring is dirty, and with it all that depends on it. cargo gives
#        a test the variables of its package (CARGO_PKG_NAME and so on), and those that a build
#        script asks for by `rerun-if-env-changed` are compared with the environment of cargo
#        itself, although a build script gets its own from cargo. ring's asks for these very names.
#        Without CARGO_PKG_* and CARGO_MANIFEST_* in the environment, all is fresh. It takes as long
#        as the first build, and nothing says so unless asked with --verbose.
#
# Fails if that changes. Takes cargo and cc.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/package"
cd "$work/package"
unset CARGO_TARGET_DIR RUSTFLAGS
mkdir src tests
cat >Cargo.toml <<'END'
[package]
name = "package"
version = "0.1.0"
edition = "2021"
[dependencies]
ring = "=0.17.14"
END
echo 'pub use ring::digest::digest;' >src/lib.rs
cat >tests/build.rs <<'END'
use std::process::Command;

fn build(without_package: bool) -> String {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--verbose"]);
    for (name, _) in std::env::vars().filter(|_| without_package) {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command.output().expect("cargo is there");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn builds() {
    for without_package in [true, false] {
        for line in build(without_package).lines().filter(|line| line.contains("ring")) {
            println!("{without_package} {}", line.trim());
        }
    }
}
END
cargo build --release --quiet
cargo test --quiet -- --nocapture >output 2>&1
cargo --version
grep -e '^true' -e '^false' output | cut -c1-150
grep -q '^true Fresh ring' output
grep -q '^false Dirty ring .*env variable CARGO_MANIFEST_DIR' output
