#!/bin/sh
# Makes sure that the commands named as arguments exist, and modules of Python that are named by
# their packages; installs Debian's packages of what is missing.
#
#   sh tests/install-needs.sh etcd etcdctl curl
#   sh tests/install-needs.sh --check cargo cc       only says what is missing
#
# Installs as root or through passwordless sudo. Where neither is there, or where there is no
# apt-get, it prints what to run and ends with status 1: a missing part is never passed over.
set -eu

package_of() {
    case $1 in
        etcd) echo etcd-server ;;
        etcdctl) echo etcd-client ;;
        ip | ss) echo iproute2 ;;
        dnsmasq) echo dnsmasq-base ;; # the program alone; "dnsmasq" is its service
        setpriv | unshare) echo util-linux ;;
        pip3) echo python3-pip ;;
        promtool) echo prometheus ;;
        chromedriver) echo "chromium chromium-driver fonts-dejavu-core" ;; # a page needs a font
        node) echo nodejs ;;
        protoc) echo "protobuf-compiler libprotobuf-dev" ;; # with the files that it imports
        cc) echo "gcc libc6-dev" ;;
        nginx) echo "nginx libnginx-mod-stream" ;;
        i686-linux-gnu-gcc) echo "gcc-i686-linux-gnu libc6-dev-i386-cross" ;;
        aarch64-linux-gnu-gcc) echo "gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
        arm-linux-gnueabihf-gcc) echo "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross" ;;
        riscv64-linux-gnu-gcc) echo "gcc-riscv64-linux-gnu libc6-dev-riscv64-cross" ;;
        *) echo "$1" ;; # curl, git, openssl, strace: the package is called like the command
    esac
}

# Names of the arguments that are neither a command nor a module here. Debian keeps servers where
# the shell of an ordinary user does not look.
missing_of() {
    for name in "$@"; do
        case $name in
            # A module, which Debian's own Python alone finds.
            python3-prometheus-client) /usr/bin/python3 -c 'import prometheus_client' ;;
            *) PATH="$PATH:/usr/sbin" command -v "$name" ;;
        esac >/dev/null 2>&1 || printf '%s ' "$name"
    done
}

policy=/usr/sbin/policy-rc.d
policy_is_ours=no

remove_policy() {
    if [ "$policy_is_ours" = yes ]; then
        rm -f "$policy"
        policy_is_ours=no
    fi
}

# A server's package enables a service and starts it at once, etcd's on port 2379, and again at
# every boot. Tests and benches want the program alone. 101 is "forbidden" in the language of
# invoke-rc.d(8), which deb-systemd-invoke speaks too. A policy that the machine already has is
# left as it is.
forbid_service_starts() {
    [ -e "$policy" ] && return
    trap remove_policy EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    policy_is_ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# Only called where this script installed the server, so no service of the owner's is touched.
keep_service_off() {
    if [ -d /run/systemd/system ]; then
        systemctl disable --now "$1.service" >/dev/null 2>&1 || true
    else
        update-rc.d "$1" disable >/dev/null 2>&1 || true
        if [ -x /usr/bin/deb-systemd-helper ]; then
            deb-systemd-helper disable "$1.service" >/dev/null 2>&1 || true
        fi
    fi
    echo "install-needs: Debian's $1 service stays off;" \
        "'systemctl enable --now $1' turns it on"
}

install_as_root() {
    export DEBIAN_FRONTEND=noninteractive
    forbid_service_starts
    # Another apt may be at work, right after boot for instance: wait for its lock.
    options="-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0"
    # An update that fails (one source of many is down) need not keep the install from working.
    # shellcheck disable=SC2086 # the options are meant to be split
    apt-get $options update || true
    # shellcheck disable=SC2086 # so is the list of packages
    apt-get $options install -y --no-install-recommends $packages || return 1
    for server in etcd haproxy nginx prometheus rinetd; do
        case " $missing " in
            *" $server "*) keep_service_off "$server" ;;
        esac
    done
    remove_policy
}

only_check=no
if [ "${1-}" = --check ]; then
    only_check=yes
    shift
fi
missing=$(missing_of "$@")
[ -n "$missing" ] || exit 0

# Debian's own Rust may be too old for this project, so it is not installed behind one's back.
case " $missing " in
    *" cargo "*)
        echo "install-needs: no cargo. Install Rust 1.88 or later: https://rustup.rs" >&2
        exit 1
        ;;
esac

packages=
for name in $missing; do
    package=$(package_of "$name")
    case " $packages " in
        *" $package "*) ;; # with several of these commands
        *) packages="${packages:+$packages }$package" ;;
    esac
done
by_hand="apt-get install -y --no-install-recommends $packages"

if [ "$only_check" = yes ]; then
    echo "install-needs: missing: $missing" >&2
    echo "install-needs: install what Debian calls: $packages" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-needs: missing: $missing" >&2
    echo "install-needs: no apt-get here. Install what Debian calls: $packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        # shellcheck disable=SC2086 # one argument a name
        exec sudo -n sh "$0" $missing
    fi
    echo "install-needs: missing: $missing" >&2
    echo "install-needs: not root and no passwordless sudo. Run as root:" >&2
    echo "  $by_hand" >&2
    exit 1
fi

echo "install-needs: $by_hand"
if ! install_as_root; then
    echo "install-needs: could not install. Run as root and read its messages:" >&2
    echo "  apt-get update && $by_hand" >&2
    exit 1
fi

# shellcheck disable=SC2086 # one argument a name
still_missing=$(missing_of $missing)
if [ -n "$still_missing" ]; then
    echo "install-needs: $packages installed, yet these commands are not there: $still_missing" >&2
    exit 1
fi
