#!/bin/sh
# glibc and an /etc/resolv.conf whose lines end with CR LF.
#
# Guess, from resolv/res_init.c of glibc 2.29 and inet_aton(3), which takes blanks behind an
# address, CR among them: an IPv4 server is understood, an IPv6 one is not.
# Seen with 2.36 (Debian 12): neither is. The address is parsed exactly, the CR spoils it, and the
# default is asked in its place, without a word: 127.0.0.1. The last suffix of `search` keeps its
# CR, and is asked for with it.
#
# Runs getent of the C library that is installed, in namespaces of its own, with an /etc of its own;
# needs root or user namespaces, and strace. Fails if that is not what happens.
set -eu

if [ "${1:-}" != inside ]; then
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    command -v strace >/dev/null || { echo "strace is needed: apt-get install strace" >&2; exit 2; }
    [ "$(id -u)" -eq 0 ] && user='' || user='--user --map-root-user'
    # shellcheck disable=SC2086
    unshare $user --mount --net --propagation=private sh "$0" inside "$directory"
    exit
fi

directory=$2
ip link set lo up
mkdir "$directory/etc"
printf 'hosts: dns\n' >"$directory/etc/nsswitch.conf"
[ -e /etc/ld.so.cache ] && cp /etc/ld.so.cache "$directory/etc/"
mount --bind "$directory/etc" /etc

# The name servers that are asked for a name, by the sockets that are connected to port 53.
asked() {
    printf "$1" >/etc/resolv.conf
    strace -f -e trace=connect getent ahosts name.test 2>&1 |
        sed -n 's/.*htons(53).*inet_addr("\([0-9.]*\)").*/\1/p' | sort -u | tr '\n' ' '
}

getent --version | head -n 1
unix=$(asked 'nameserver 127.0.0.53\noptions timeout:1 attempts:1\n')
windows=$(asked 'nameserver 127.0.0.53\r\noptions timeout:1 attempts:1\r\n')
echo "lines end with LF: asked $unix"
echo "lines end with CR LF: asked $windows"
[ "$unix" = '127.0.0.53 ' ] && [ "$windows" = '127.0.0.1 ' ]
