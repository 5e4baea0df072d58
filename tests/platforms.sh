#!/bin/sh
# Compiles everything, tests and benches too, with the oldest Rust that Cargo.toml promises and for
# other platforms; where their programs run here, it runs the unit tests and the simulator.
#
#   sh tests/platforms.sh              the oldest Rust, and i686, where a word has 32 bits
#   sh tests/platforms.sh compile      the same two, without running anything
#   sh tests/platforms.sh all          and aarch64, armv7 and riscv64
#   sh tests/platforms.sh TARGET...    these alone
#
# Installs what it needs: toolchain and targets with rustup, compilers as install-needs.sh does.
# What cannot be had is a failure, never passed over.
set -eu
cd "$(dirname "$0")/.."

check_oldest() {
    oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1.0/p' Cargo.toml)
    rustup run "$oldest" cargo --version 2>/dev/null ||
        rustup toolchain install "$oldest" --profile minimal --no-self-update
    rustup run "$oldest" cargo check --locked --all-targets
}

# What gcc calls a target of rustc.
gnu_name() {
    case $1 in
        riscv64gc-*) echo riscv64-linux-gnu ;;
        *) echo "$1" | sed 's/^armv7-/arm-/; s/-unknown//; s/musl$/gnu/' ;;
    esac
}

check_target() {
    target=$1
    compiler=$(gnu_name "$target")-gcc
    echo "platforms: $target with $compiler"
    sh tests/install-needs.sh "$compiler"
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || rustup target add "$target"
    name=$(echo "$target" | tr - _)
    capitals=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    export "CC_$name=$compiler"
    export "CARGO_TARGET_${capitals}_LINKER=$compiler"
    # Static, so that it runs where the C library of that platform is not installed.
    export "CARGO_TARGET_${capitals}_RUSTFLAGS=-C target-feature=+crt-static"
    cargo check --locked --all-targets --target "$target"
    # The processor understands both.
    case $runs-$(uname -m)-$target in
        yes-x86_64-i686-*) cargo test --locked --lib --test sim --target "$target" ;;
    esac
}

runs=yes
case ${1-} in
    compile)
        runs=no
        shift
        ;;
esac
case ${1-} in
    '' | all)
        check_oldest
        [ $# -eq 1 ] && set -- aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf \
            riscv64gc-unknown-linux-gnu
        set -- i686-unknown-linux-gnu "$@"
        ;;
esac
for target in "$@"; do
    check_target "$target"
done
