#!/bin/sh
# Builds the binary as it is shipped: OUT/etcd-gateway, without a path of the machine in it.
#
#   CARGO_FLAGS=--locked sh tests/build.sh OUT TARGET
#
# Flags for rustc come from RUSTFLAGS, not from the configuration of cargo.
#
# TARGET is what rustc calls a platform, "native" for that of rustc itself, or ends with "?": then
# it is taken if rustc has it or rustup gets it, and the native one otherwise. rustup is not asked
# where CARGO_FLAGS says that nothing is to be fetched.
set -eu
cd "$(dirname "$0")/.."
out=$1
target=$2
flags=${CARGO_FLAGS---locked}

has_target() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }

wish=
case $target in
    *'?')
        wish=${target%?}
        target=$wish
        case " $flags " in
            *" --offline "* | *" --frozen "*) ;;
            *) has_target "$wish" || timeout 60 rustup target add "$wish" >/dev/null 2>&1 || true ;;
        esac
        has_target "$wish" || target=native
        ;;
esac

# Panics name the place in the source. Of several prefixes that fit, rustc takes the last one. A
# home that is the root, as in some containers, says nothing about anybody.
home=${HOME-}
[ "$home" != / ] && [ -n "$home" ] || home=/nonexistent
prefixes() {
    printf '%s=%s\n' "$home" '~' "$(rustc --print sysroot)/lib/rustlib/src/rust" /rust \
        "${CARGO_HOME:-$home/.cargo}" /cargo "$PWD" .
}
# One flag on each line, as paths may have spaces; the builder's own flags come first.
unit=$(printf '\037')
rustflags=${CARGO_ENCODED_RUSTFLAGS-}
if [ -z "$rustflags" ]; then
    rustflags=$(printf '%s' "${RUSTFLAGS-}" | tr -s ' ' "$unit")
fi
for prefix in $(prefixes | tr ' ' '\001'); do
    prefix=$(printf '%s' "$prefix" | tr '\001' ' ')
    rustflags="${rustflags:+$rustflags$unit}--remap-path-prefix=$prefix"
done
export CARGO_ENCODED_RUSTFLAGS="$rustflags"

if [ "$target" = native ]; then
    # shellcheck disable=SC2086 # the flags are meant to be split
    cargo build --release $flags
    built=$out/release/etcd-gateway
else
    # shellcheck disable=SC2086
    cargo build --release --target "$target" $flags
    built=$out/$target/release/etcd-gateway
fi
install -m 755 "$built" "$out/etcd-gateway"
if [ -n "$wish" ] && [ "$target" = native ]; then
    echo "built $out/etcd-gateway (native: there is no $wish here)"
else
    echo "built $out/etcd-gateway ($target)"
fi
