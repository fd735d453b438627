#!/bin/bash
# Kills the process that serves sessions, again and again, while clients back up. Prints what a client ended with, if not 0.
#
#   kill_resident.sh TIMES    a third each: when a session has just been forked, in the middle of a transfer, at any time
#
# BORG_RSH and what else a client needs is in the environment.
resident() { pkill -9 -x borg-resident; }

for number in $(seq "$1"); do
  { head -c 200000 /dev/urandom; sleep 0.3; head -c 200000 /dev/urandom; } |
    borg create "ssh://web@127.0.0.1/repos/web::$number" - 2>/client/said &
  case $((number % 3)) in
    0)
      until pgrep -u 1000 -x borg >/dev/null; do sleep 0.005; done
      resident
      ;;
    1)
      until pgrep -u 1000 -x borg >/dev/null; do sleep 0.01; done
      sleep 0.2
      resident
      ;;
    2)
      sleep "0.$((RANDOM % 40 + 10))"
      until resident; do sleep 0.01; done
      ;;
  esac
  wait $! || { echo "$number: exit $?"; cat /client/said; }
done
