#!/bin/sh
# Does what those do who build packages: unpacks the files without git's, and installs offline,
# with neither apt nor rustup nor git to be found. Then it looks at what was installed, and runs the
# tests that look at the files themselves. Fetches the crates before.
set -eu
cd "$(dirname "$0")/.."
root=$PWD

fail() {
    echo "package: $*" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

cargo fetch --locked
mkdir "$work/code" "$work/bin"
git -c safe.directory="*" ls-files -z -co --exclude-standard |
    tar -c -f - --null -T - | tar -x -f - -C "$work/code"
[ ! -e "$work/code/.git" ] || fail "the tarball has a repository in it"

for tool in /usr/bin/* /bin/*; do
    case ${tool##*/} in
        apt* | cargo* | dpkg* | git* | rust* | sudo) ;;
        *) ln -sf "$tool" "$work/bin/" ;;
    esac
done
# Those themselves, behind rustup's proxies.
sysroot=$(rustc --print sysroot)
ln -s "$sysroot/bin/cargo" "$sysroot/bin/rustc" "$sysroot/bin/rustdoc" "$work/bin/"
PATH=$work/bin
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/package
export PATH CARGO_TARGET_DIR
rm -f "$CARGO_TARGET_DIR/etcd-gateway"
cd "$work/code"

make install CARGO_FLAGS=--frozen PREFIX=/usr DESTDIR="$work/installed"

cd "$work/installed"
find . -type f | LC_ALL=C sort >"$work/list"
for wanted in ./usr/bin/etcd-gateway ./usr/share/doc/etcd-gateway/README.md \
    ./usr/share/doc/etcd-gateway/LICENSE ./usr/share/doc/etcd-gateway/THIRD-PARTY.txt \
    ./usr/share/doc/etcd-gateway/deploy/monitoring/alerts.yml; do
    grep -q -x -F "$wanted" "$work/list" || fail "$wanted is not installed"
done
cd usr/share/doc/etcd-gateway
for document in README.md docs/*.md; do
    grep -o ']([^)#]*' "$document" | cut -c3- | grep -v -e '://' -e '^$' | while read -r target; do
        [ -e "$(dirname "$document")/$target" ] || fail "$document links to $target, not installed"
    done
done
cd "$work/installed"
for path in "${HOME:-/nonexistent}/" "$root" "$work" /rustup/; do
    if grep -q -a -F "$path" usr/bin/etcd-gateway; then
        fail "the binary holds paths of this machine: $path"
    fi
done
usr/bin/etcd-gateway --version

# Who installs as root has no cargo, and needs none.
cd "$work/code"
rm "$work/bin/cargo" "$work/bin/rustc"
make install PREFIX=/usr/local DESTDIR="$work/installed"
cmp "$work/installed/usr/bin/etcd-gateway" "$work/installed/usr/local/bin/etcd-gateway"

ln -s "$sysroot/bin/cargo" "$sysroot/bin/rustc" "$work/bin/"
# They are over in seconds; optimizing them would take longer.
CARGO_PROFILE_TEST_OPT_LEVEL=0 \
    cargo test --frozen --test tidy --test sim -- house_rules notices planted
