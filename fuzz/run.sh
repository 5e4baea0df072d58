#!/bin/sh
# Fuzzes: each target for a number of seconds, from the committed corpus, which stays as it is.
#
#   sh fuzz/run.sh OUT SECONDS [TARGET...]
#   FUZZ_KEEP=yes sh fuzz/run.sh OUT SECONDS [TARGET...]
#
# What is built and what the fuzzer collects goes below the folder OUT. With FUZZ_KEEP=yes the
# collected inputs that reach code no committed one reaches are added to the committed corpus.
# Status 1 means that a target found something, or could not run; the last lines say which.
set -eu

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
case $2 in
    '' | *[!0-9]*) usage ;;
esac
mkdir -p "$1"
out=$(cd "$1" && pwd)
seconds=$2
shift 2
cd "$(dirname "$0")/.."

# Runs the rest of the arguments; says what to do by hand if that fails.
install_with() {
    echo "fuzz: $*"
    "$@" || {
        echo "fuzz: could not install. Read the messages above, and run: $*" >&2
        exit 1
    }
}

if ! cargo +nightly --version >/dev/null 2>&1; then
    if ! command -v rustup >/dev/null 2>&1; then
        echo "fuzz: needs a nightly Rust, and there is no rustup to fetch it." >&2
        echo "fuzz: install https://rustup.rs and run: rustup toolchain install nightly" >&2
        exit 1
    fi
    install_with rustup toolchain install nightly --profile minimal --no-self-update
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    install_with cargo +nightly install cargo-fuzz --locked
fi

# cargo-fuzz has no --locked: this fails where the lock file does not fit the manifests.
if ! cargo +nightly fetch --quiet --locked --manifest-path fuzz/Cargo.toml; then
    echo "fuzz: if the lock file is behind the manifests: (cd fuzz && cargo update -w)" >&2
    exit 1
fi
# What the targets reach has no unsafe code of ours; the address sanitizer would only be slow.
sanitizer=none
cargo +nightly fuzz build --fuzz-dir fuzz --target-dir "$out" --sanitizer "$sanitizer"

# The fuzzer on one target with corpora and options; its output goes to the log of the target.
fuzz() {
    target=$1
    shift
    cargo +nightly fuzz run --fuzz-dir fuzz --target-dir "$out" --sanitizer "$sanitizer" \
        "$target" "$@" >"$out/log/$target" 2>&1
}

# The fuzzer's last line, as executions and places of the code that were reached.
summary_of() {
    sed -n 's/^#\([0-9]*\)[[:space:]]*DONE *cov: \([0-9]*\).*/\1 runs, coverage \2/p' "$out/log/$1"
}

report_finding() {
    log=$out/log/$1
    grep -A 3 'panicked at' "$log" >&2 || tail -n 20 "$log" >&2
    artifact=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "fuzz: $1: FAILED; the whole output is in $log" >&2
    [ -n "$artifact" ] || return 0
    cat >&2 <<END
fuzz: $1: the input is in $artifact
  again:  cargo +nightly fuzz run --fuzz-dir fuzz $1 $artifact
  keep:   cp $artifact fuzz/corpus/$1/regression-NAME; cargo test --test it fuzz_corpus
END
}

# shellcheck disable=SC2046 # one argument a name
[ $# -gt 0 ] || set -- $(cargo +nightly fuzz list --fuzz-dir fuzz)
mkdir -p "$out/log"
failed=
for name in "$@"; do
    # The fuzzer writes to the first corpus and only reads the second.
    mkdir -p "$out/corpus/$name"
    if fuzz "$name" "$out/corpus/$name" "fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -dict="fuzz/dictionaries/$name"; then
        echo "fuzz: $name: $(summary_of "$name"); no finding"
    else
        report_finding "$name"
        failed="$failed $name"
        continue
    fi
    if [ "${FUZZ_KEEP:-no}" = yes ]; then
        before=$(find "fuzz/corpus/$name" -type f | wc -l)
        fuzz "$name" "fuzz/corpus/$name" "$out/corpus/$name" -- \
            -set_cover_merge=1 -use_counters=0 -max_len=100
        after=$(find "fuzz/corpus/$name" -type f | wc -l)
        echo "fuzz: $name: added $((after - before)) inputs to fuzz/corpus/$name"
    fi
done
if [ -n "$failed" ]; then
    echo "fuzz: findings in:$failed" >&2
    exit 1
fi
