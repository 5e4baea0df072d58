#!/bin/sh
# Writes THIRD-PARTY.txt: which crates are in the binary, and the notices that their licences ask
# for. To be run whenever Cargo.lock has changed; a test holds the file to it.
#
#   sh tests/notices.sh            writes the file
#   sh tests/notices.sh --check    fails if it would be another one
#
# Needs cargo and the sources of the crates, which `cargo fetch` brings.
set -eu
cd "$(dirname "$0")/.."

# What is in the binary on every target that Linux has: no build scripts, no macros, no tests.
tree() {
    cargo tree --locked --edges normal,no-proc-macro --prefix none --format '{p} ({l})' |
        sed -n 's/ (\*)$//; / (\/[^)]*)/d; s/^\([^ ]*\) v/\1 /p' | LC_ALL=C sort -u
}

# The folder of each package that cargo knows of, behind its name and version.
folders() {
    cargo metadata --locked --format-version 1 | grep -o '"manifest_path":"[^"]*"' |
        cut -d '"' -f 4 | while read -r manifest; do
        value() {
            sed -n "/^\[package\]/,/^\[[^p]/s/^$1 = \"\(.*\)\"/\1/p" "$manifest" | head -n 1
        }
        echo "$(value name) $(value version) ${manifest%/*}"
    done
}

is_apache() {
    grep -q 'Apache License' "$1" && grep -q 'Version 2.0, January 2004' "$1" &&
        ! grep -qi 'permission is hereby granted' "$1"
}

# The texts of one crate, but for those that the project's own licence repeats and those that
# leave the work to the public, which ask for nothing.
texts() {
    found=no
    for file in "$1"/LICEN[CS]E* "$1"/COPYING* "$1"/COPYRIGHT* "$1"/NOTICE*; do
        [ -f "$file" ] || continue
        found=yes
        if is_apache "$file"; then
            printf '\n%s: the Apache License 2.0, as in LICENSE.\n' "${file##*/}"
            continue
        fi
        printf '\n%s:\n\n' "${file##*/}"
        expand "$file" | tr -d '\r' | sed 's/[[:space:]]*$//; s/^/    /'
    done
    [ "$found" = yes ] || {
        echo "notices: no licence in $1: look for it, and mend tests/notices.sh" >&2
        exit 1
    }
}

crates=$(tree)
[ -n "$crates" ] || { echo "notices: cargo tree lists no crate" >&2; exit 1; }
known=$(folders)

notices() {
    cat <<'END'
Third parties whose work is in the binary etcd-gateway, and the notices that their licences ask for.
Written by tests/notices.sh from Cargo.lock. Where a licence may be chosen, and the Apache License
2.0 is among those offered, it is that one; its text is in LICENSE.

END
    echo "$crates"
    cat <<'END'

Apart from them, Rust's standard library and, in static builds, musl:

Rust standard library (MIT OR Apache-2.0), and parts of LLVM (Apache-2.0 WITH LLVM-exception)

    Copyright (c) The Rust Project Contributors
    The Apache License 2.0, as in LICENSE.

musl (MIT)

    Copyright (c) 2005-2020 Rich Felker, et al.

    Permission is hereby granted, free of charge, to any person obtaining a copy of this software
    and associated documentation files (the "Software"), to deal in the Software without
    restriction, including without limitation the rights to use, copy, modify, merge, publish,
    distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
    Software is furnished to do so, subject to the following conditions:

    The above copyright notice and this permission notice shall be included in all copies or
    substantial portions of the Software.

    THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING
    BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
    NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
    DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
    OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
END
    echo "$crates" | while read -r name version licence; do
        printf '\n%s\n%s %s %s\n' "----------------------------------------" \
            "$name" "$version" "$licence"
        folder=$(echo "$known" | sed -n "s|^$name $version ||p" | head -n 1)
        [ -n "$folder" ] || { echo "notices: no sources of $name $version" >&2; exit 1; }
        texts "$folder"
    done
}

new=$(mktemp)
trap 'rm -f "$new"' EXIT
notices >"$new"
if [ "${1-}" = --check ]; then
    diff -u THIRD-PARTY.txt "$new" >&2 || {
        echo "notices: THIRD-PARTY.txt is behind Cargo.lock: sh tests/notices.sh" >&2
        exit 1
    }
else
    cp "$new" THIRD-PARTY.txt
fi
