#!/bin/sh
# Puts the clients that `make faults` measures into cargo's target directory: etcd3 for Python,
# etcd3 for Node, and a program with the crate etcd-client. Their versions are pinned in clients/.
#
#   sh benches/faults/prepare.sh
#
# Each comes by the ordinary client of its registry, and nothing is installed on the machine. What
# is there already is left as it is.
set -eu
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/faults"
faults=$(cd "$target/faults" && pwd)
clients=benches/faults/clients

# Whether what was made of a file is what that file asks for now.
is_made_of() { cmp -s "$1" "$faults/${1##*/}.done"; }
mark_made_of() { cp "$1" "$faults/${1##*/}.done"; }

if ! is_made_of "$clients/requirements.txt"; then
    rm -rf "$faults/python"
    # Into a directory of our own, which Debian's Python allows.
    pip3 --disable-pip-version-check install --quiet --root-user-action=ignore \
        --target "$faults/python" --no-deps -r "$clients/requirements.txt"
    mark_made_of "$clients/requirements.txt"
fi

if ! is_made_of "$clients/package-lock.json"; then
    rm -rf "$faults/node"
    mkdir "$faults/node"
    cp "$clients/package.json" "$clients/package-lock.json" "$faults/node/"
    npm ci --prefix "$faults/node" --silent --no-audit --no-fund
    mark_made_of "$clients/package-lock.json"
fi

cargo build --locked --release --manifest-path "$clients/rust/Cargo.toml" \
    --target-dir "$faults/rust"
