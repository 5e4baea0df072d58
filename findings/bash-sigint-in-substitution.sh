#!/bin/sh
# A script of bash with `trap … INT` that gets a SIGINT while it waits for a command substitution.
#
# Guess: the trap runs as soon as the substitution has ended, as bash(1) has it of all signals that
#        come while a command is waited for. A supervisor that polls with $(jobs -pr) can be ended.
# Seen:  with bash 5.2.15 (Debian 12) about one SIGINT in fifty has no effect at all: no trap runs,
#        and the script goes on. It takes a signal to the script alone, since the substitution's own
#        process does not die of it. With the same list read over a file, none of 800 was lost. A
#        second SIGINT ends the script. Now and then it says "unexpected EOF while looking for
#        matching )" of the trap instead, which has no parenthesis.
#
# Fails if that changes: if none of 2,000 is lost. Takes apt-get, dpkg-deb and python3.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get download --quiet bash=5.2.15-2+b13 >download.log 2>&1 || { cat download.log >&2; exit 2; }
dpkg-deb -x bash_*.deb root
bash=$work/root/bin/bash
"$bash" --version | head -1

cat >script <<'BASH'
sleep 1000 &
job=$!
trap 'kill "$job"; exit 0' INT
echo ready
while [[ $(jobs -pr) == "$job" ]]; do :; done
BASH

cat >try.py <<'PYTHON'
import random, signal, subprocess, sys, time

lost = 0
for tries in range(1, 2001):
    # As from a terminal: a process of the background may have SIGINT ignored.
    script = subprocess.Popen(
        [sys.argv[1], "script"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    script.stdout.readline()
    time.sleep(random.random() / 50)
    while True:
        script.send_signal(signal.SIGINT)
        try:
            script.wait(2)
            break
        except subprocess.TimeoutExpired:
            lost += 1
    if lost >= 3:
        break
print(f"{lost} of {tries} lost")
sys.exit(0 if lost else 1)
PYTHON
python3 try.py "$bash"
