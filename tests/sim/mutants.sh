#!/bin/sh
# Plants each bug of tests/sim/mutants into a copy of the code, one at a time, and lets the
# simulator look for it. Fails if one is not found, or no longer applies to the code.
#
#   sh tests/sim/mutants.sh                      all of them
#   sh tests/sim/mutants.sh reset-shown-as-an-end
#   SEEDS=100000 sh tests/sim/mutants.sh         look for longer; FROM=1 begins elsewhere
set -eu

cd "$(dirname "$0")/../.."
root=$PWD
seeds=${SEEDS:-10000}
from=${FROM:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# Its own, so that the copies do not make the real one build again.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/mutants
export CARGO_TARGET_DIR
# A bug changes a few lines of a copy at the same path: a third of the time to build it.
export CARGO_PROFILE_SIM_INCREMENTAL=true
mkdir -p "$CARGO_TARGET_DIR"
# Two at once would build over each other.
exec 9>"$CARGO_TARGET_DIR/lock"
flock --nonblock 9 || { echo "another one is at work in $CARGO_TARGET_DIR" >&2; exit 1; }

[ $# -gt 0 ] || set -- tests/sim/mutants/*.patch

copy_code() {
    rm -rf "$work/code"
    mkdir "$work/code"
    cp -r Cargo.toml Cargo.lock README.md src tests benches "$work/code"
}

search() {
    # In the foreground, so that ctrl-C reaches it.
    FROM=$from SEEDS=$seeds SEED='' RUST_BACKTRACE=0 timeout --foreground 900 \
        cargo test --locked --quiet --profile sim --test sim -- no_new_seed --nocapture \
        >"$work/log" 2>&1
}

missed=0
for patch in "$@"; do
    name=$(basename "$patch" .patch)
    copy_code
    (cd "$work/code" && git apply --whitespace=nowarn "$root/tests/sim/mutants/$name.patch")
    if ! (cd "$work/code" && cargo test --locked --quiet --profile sim --test sim --no-run) \
        >"$work/log" 2>&1; then
        echo "$name: DOES NOT COMPILE"
        cat "$work/log" >&2
        missed=$((missed + 1))
        continue
    fi
    if (cd "$work/code" && search); then
        echo "$name: NOT FOUND in $seeds seeds"
        missed=$((missed + 1))
        continue
    fi
    found=$(sed -n 's/^failed after \([0-9]*\) seeds$/\1/p' "$work/log" | sort -n | head -n 1)
    if [ -z "$found" ]; then
        echo "$name: FAILED, BUT NOT ON A SEED"
        cat "$work/log" >&2
        missed=$((missed + 1))
        continue
    fi
    # The first panic says where and what.
    place=$(sed -n 's/.*panicked at \([^ ]*\):[0-9]*:$/\1/p' "$work/log" | head -n 1)
    what=$(sed -n '/panicked at/{n;p;q;}' "$work/log" | cut -c 1-70)
    echo "$name: seed $found, $place: $what"
done
[ "$missed" -eq 0 ] || { echo "$missed planted bugs were not found" >&2; exit 1; }
