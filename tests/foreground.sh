#!/usr/bin/env bash
# Runs a command so that a terminal's Ctrl-C reaches that alone. Otherwise make has it as well, and
# reports an error whatever the command makes of it.
#
#   bash tests/foreground.sh COMMAND...
#
# The command gets a process group of its own, and the terminal with it; Ctrl-Z stops both of them
# and make, and `fg` continues all. In the background, or without a terminal, it takes our place.
# Ends with the command's status. Whatever ends this script is SIGTERM to the command.
set -euo pipefail

# pgrp and tpgid of proc_pid_stat(5), the name in the second field being "(bash)".
read -r _ _ _ _ group _ _ foreground _ <"/proc/$$/stat"
if [ "$group" != "$foreground" ] || ! [ -t 2 ] ||
    ! setpriv --pdeathsig TERM true 2>/dev/null; then
    exec "$@"
fi

status=0
stopped=$((128 + $(kill -l TSTP)))
set -m
setpriv --pdeathsig TERM "$@" || status=$?
while [ "$status" = "$stopped" ]; do
    kill -STOP 0
    status=0
    fg >/dev/null || status=$?
done
exit "$status"
