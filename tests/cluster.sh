#!/usr/bin/env bash
# Three etcd members that live as long as this script, and a gateway in front of them.
#
#   bash tests/cluster.sh GATEWAY [LISTEN]
#
# Everything is on 127.0.0.1 and in one temporary directory. Ctrl-C, SIGTERM or the end of the
# gateway ends exactly the processes that were started here and removes the directory.
set -euo pipefail

gateway=$1
listen=${2:-127.0.0.1:23790}
healthy_within=30 # seconds; a member needs one, a loaded machine a few

directory=
member_pids=()
gateway_pid=

say() { printf 'cluster: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# Jobs that still run are ours: a pid that the kernel gave to somebody else is not among them.
# shellcheck disable=SC2317 # called by finish
is_running() { [[ $'\n'$(jobs -pr)$'\n' == *$'\n'"$1"$'\n'* ]]; }

# shellcheck disable=SC2317 # called by the trap
finish() {
    set +e
    trap - EXIT
    trap '' HUP INT TERM
    local pid patience=50
    # The gateway drains. The members' data is thrown away, so they need no orderly end, which
    # takes one that has lost the others many seconds; theirs ends what the gateway drains.
    for pid in ${gateway_pid:+"$gateway_pid"}; do
        is_running "$pid" && kill -TERM "$pid"
    done
    for pid in "${member_pids[@]}"; do
        is_running "$pid" && kill -KILL "$pid"
    done
    while [ -n "$gateway_pid" ] && is_running "$gateway_pid"; do
        sleep 0.1
        [ $((patience--)) -gt 0 ] || kill -KILL "$gateway_pid"
    done
    wait
    if [ -n "$directory" ]; then
        rm -rf "$directory"
    fi
} 2>/dev/null # where bash would report each of them as killed
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Whether something accepts connections on a port of 127.0.0.1.
is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the kernel gives to outgoing connections, so that none takes it meanwhile.
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); is_open "$port" || [[ " ${ports[*]} " == *" $port "* ]]
    do :; done
    ports+=("$port")
}

# Settings of the developer's shell must not reach the tools of etcd; on 64-bit ARM, 3.4 wants
# to be asked twice.
clean_environment() {
    local name
    for name in $(compgen -e); do
        case $name in ETCD_* | ETCDCTL_*) unset "$name" ;; esac
    done
    if [ "$(uname -m)" = aarch64 ]; then
        export ETCD_UNSUPPORTED_ARCH=arm64
    fi
    export ETCDCTL_API=3
}

start_member() {
    local name=m$1 client=http://127.0.0.1:${ports[$1]} peer=http://127.0.0.1:${ports[$1 + 3]}
    etcd --name="$name" --data-dir="$directory/$name" \
        --listen-client-urls="$client" --advertise-client-urls="$client" \
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" \
        --initial-cluster="$cluster" --initial-cluster-state=new --enable-v2 \
        >"$directory/$name.log" 2>&1 &
    member_pids+=($!)
}

# Waits until the endpoints answer; fails when a process that they need has ended, or in time.
wait_healthy() {
    local what=$1 endpoints=$2 deadline=$((SECONDS + healthy_within)) pid
    shift 2
    until etcdctl --endpoints="$endpoints" --command-timeout=1s endpoint health \
        >"$directory/health.log" 2>&1; do
        for pid in "$@"; do
            kill -0 "$pid" 2>/dev/null || return 1
        done
        if [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 3 "$directory/health.log" >&2
            say "$what did not answer within $healthy_within s" >&2
            return 1
        fi
        sleep 0.1
    done
}

[ -x "$gateway" ] || fail "no gateway at $gateway: build it first (make build)"
if is_open "${listen##*:}"; then
    fail "port ${listen##*:} is taken: choose another with make run LISTEN=127.0.0.1:PORT"
fi

clean_environment
directory=$(mktemp -d)
ports=()
for _ in 1 2 3 4 5 6; do free_port; done
endpoints=127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}
cluster=m0=http://127.0.0.1:${ports[3]},m1=http://127.0.0.1:${ports[4]}
cluster+=,m2=http://127.0.0.1:${ports[5]}

say "starting three etcd members on $endpoints, logs and data in $directory"
for index in 0 1 2; do start_member "$index"; done
if ! wait_healthy "the cluster" "$endpoints" "${member_pids[@]}"; then
    tail -n 3 "$directory"/m?.log >&2
    fail "the cluster does not stand"
fi

"$gateway" start --listen-addr "$listen" --endpoints "$endpoints" &
gateway_pid=$!
# Through an address that clients can use: of :PORT and a wildcard, the loopback.
through=127.0.0.1:${listen##*:}
if ! wait_healthy "the gateway" "$through" "$gateway_pid"; then
    fail "the gateway does not stand; its reason is above"
fi

say "ready. Try in another terminal:"
say "  etcdctl --endpoints=$through put foo bar"
say "Ctrl-C ends all of it."
status=0
wait "$gateway_pid" || status=$?
say "the gateway ended with status $status"
exit "$status"
