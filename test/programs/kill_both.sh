#!/usr/bin/env bash
# Makes COUNT backups, four at a time, while now the keeper and now the process that serves sessions is killed, each time
# after a random while. Prints what went wrong with a client.
#
#   kill_both.sh COUNT    with the environment of a client whose key opens the accounts of w1 to w4
set -u

count=$1
kill_at_random() {
  while :; do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    if [ $((RANDOM % 2)) = 0 ]; then
      # The oldest: a child that has just been forked has its name for a moment.
      pkill -9 -o -x borg-resident
      until /usr/local/lib/borgserver/session --answers; do :; done
    else
      pkill -9 -f '[b]orgserver keep( |$)'
    fi
  done
}
kill_at_random >&2 &
killing=$!

back_up() {
  for i in $(seq "$((count / 4))"); do
    head -c 20000 /dev/urandom >"/client/w$1.data"
    borg create "ssh://w$1@127.0.0.1/repos/w$1::$i" "/client/w$1.data" 2>"/client/w$1.error" ||
      { echo "w$1 $i: exit $?"; cat "/client/w$1.error"; }
  done
}
working=
for each in 1 2 3 4; do
  BORG_BASE_DIR=/client/borg-w$each back_up "$each" &
  working="$working $!"
done
# shellcheck disable=SC2086 # several numbers
wait $working
kill "$killing"
