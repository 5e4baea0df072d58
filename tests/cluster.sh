#!/usr/bin/env bash
# Three etcd members that live as long as this script, and a gateway in front of them.
#
#   bash tests/cluster.sh GATEWAY [LISTEN]
#
# Everything is on this host and in one temporary directory. Ctrl-C, SIGTERM or SIGHUP lets the
# gateway drain, with the members still there, then ends them; a second Ctrl-C ends all at once. All
# that was started here ends with this script, whatever ends that, and the directory goes.
set -euo pipefail

gateway=$1
listen=${2:-127.0.0.1:23790}
healthy_within=30 # seconds; a member needs one, a loaded machine a few
drained_within=15 # seconds; more than the default of --drain-timeout

directory=
member_pids=()
gateway_pid=
is_asked=no
is_hurried=no

say() { printf 'cluster: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

# In a session of its own, so that a terminal's Ctrl-C comes to this script alone, which decides who
# ends first. Where this script is killed, they are, too.
start_apart() { exec setsid setpriv --pdeathsig "$@"; }

# Jobs that still run are ours: a pid that the kernel has given away is not among them. Over a file,
# since bash loses one SIGINT in fifty that comes while it waits for a substitution, trap or not.
is_running() {
    local pid
    jobs -pr >"$directory/jobs"
    while read -r pid; do
        if [ "$pid" = "$1" ]; then return 0; fi
    done <"$directory/jobs"
    return 1
}

signal() {
    if is_running "$2"; then
        kill "-$1" "$2"
    fi
}

# shellcheck disable=SC2317 # called by the trap
finish() {
    set +e
    trap - EXIT
    trap '' HUP TERM
    trap is_hurried=yes INT
    local pid deadline=$((SECONDS + drained_within))
    if [ -n "$gateway_pid" ]; then
        signal TERM "$gateway_pid"
        while is_running "$gateway_pid" && [ "$is_hurried" = no ] && [ "$SECONDS" -lt "$deadline" ]
        do sleep 0.1; done
        # The second one ends it at once, and in order.
        signal TERM "$gateway_pid"
        sleep 0.1
        signal KILL "$gateway_pid"
    fi
    # Their data is thrown away, so they need no orderly end, which takes a member that has lost the
    # others many seconds.
    for pid in "${member_pids[@]}"; do
        signal KILL "$pid"
    done
    wait
    if [ -n "$directory" ]; then
        rm -rf "$directory"
    fi
    if [ "$is_asked" = yes ]; then
        say "stopped"
        # In words, since the status that bash keeps may be that of what the signal interrupted.
        exit 0
    fi
} 2>/dev/null # where bash would report each of them as killed
stop() {
    is_asked=yes
    exit 0
}
trap finish EXIT
trap stop HUP INT TERM

# Whether something accepts connections at a host and port.
is_open() { timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2" 2>/dev/null; }

# Below the ports that the kernel gives to outgoing connections, so that none takes it meanwhile.
# Each script begins at other ones: until a member listens, another script would find its port free.
next_port=$((20000 + $$ % 1600 * 6))
free_port() {
    # Nothing listens yet at that of the gateway.
    while [ "$next_port" = "$port" ] || is_open 127.0.0.1 "$next_port"; do
        next_port=$((next_port + 1))
    done
    ports+=("$next_port")
    next_port=$((next_port + 1))
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
    start_apart KILL etcd --name="$name" --data-dir="$directory/$name" \
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
            is_running "$pid" || return 1
        done
        if [ "$SECONDS" -ge "$deadline" ]; then
            tail -n 3 "$directory/health.log" >&2
            say "$what did not answer within $healthy_within s" >&2
            return 1
        fi
        sleep 0.1
    done
}

# The address that clients on this host use: the first of a list, and of a wildcard the loopback.
through=${listen%%,*}
host=${through%:*} port=${through##*:}
case $host in
    '' | 0.0.0.0) host=127.0.0.1 ;;
    '[::]') host='[::1]' ;;
esac
through=$host:$port

[ -x "$gateway" ] || fail "no gateway at $gateway: build it first (make build)"
[ "$port" != 0 ] || fail "LISTEN=$listen: port 0 is another one each time, choose one"
address=${host#[}
if is_open "${address%]}" "$port"; then
    fail "$through is taken: choose another address with make run LISTEN=127.0.0.1:PORT"
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
    fail "the cluster did not start"
fi

start_apart TERM "$gateway" start --listen-addr "$listen" --endpoints "$endpoints" &
gateway_pid=$!
if ! wait_healthy "the gateway" "$through" "$gateway_pid"; then
    fail "the gateway does not serve at $through; its reason is above"
fi

say "ready. Try in another terminal:"
say "  etcdctl --endpoints=$through put foo bar"
say "  kill ${member_pids[0]}        ends a member, and the others serve"
say "Ctrl-C ends all of it: the gateway first, when its clients have gone, or after 10 s"
while is_running "$gateway_pid"; do
    for index in "${!member_pids[@]}"; do
        if ! is_running "${member_pids[index]}"; then
            say "member m$index has ended"
            unset "member_pids[index]"
        fi
    done
    sleep 0.2
done 2>/dev/null # where bash would report one that was killed
status=0
wait "$gateway_pid" 2>/dev/null || status=$?
say "the gateway ended with status $status"
exit "$status"
