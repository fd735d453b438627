#!/bin/bash
# What the test of faults does at each of hundreds of steps; sourced.
export LC_ALL=C

# Keeps the server's files as they are before a command.
keep() {
  rm -rf /client/start && mkdir /client/start
  cp -a --parents /var/lib/borgserver /repos /run/borgserver /client/start
  rm -r /client/start/run/borgserver/sessions /client/start/var/lib/borgserver/door
}
restore() {
  rm -rf /repos
  find /var/lib/borgserver -mindepth 1 -maxdepth 1 ! -name door -exec rm -r {} +
  find /run/borgserver -mindepth 1 ! -name sessions -delete # a socket, which is no copy's
  cp -a /client/start/. /
}

# Prints all that a command changes.
state() {
  cat /etc/passwd /etc/shadow /run/borgserver/settings.json
  echo
  # Publications are counted; as many are there whatever was interrupted.
  find /etc/passwd* /etc/shadow* /var/lib/borgserver /repos /run/borgserver -printf '%p %U:%G %m\n' |
    sed -E 's/generation-[0-9]+/generation-N/' | grep -v '^/repos/\.borgserver\(/backup.*\)\? ' | sort -u # what sessions leave
  find /var/lib/borgserver -name 'generation-*' | wc -l
  known
  index list --json
}

# Prints the accounts that the system knows.
known() { getent passwd | grep -a :borgserver: | sort; }

# Prints what sshd is told about accounts, and about each login that the change gives, takes or leaves alone.
answers() {
  known
  for login in bystander:b stay:a stay:b leave:a come:b move:a; do
    setpriv --reuid borgkeys --regid borgkeys --clear-groups env -i /usr/local/bin/borgserver \
      authorized-keys "${login%:*}" "$(cat "/client/${login#*:}.fingerprint")" 2>&1 || echo "exit $?"
  done
}

# Prints the system's own account files.
foreign() {
  cat /etc/passwd /etc/shadow
  stat -c '%i %Y %Z' /etc/passwd /etc/shadow
}

# Prints lines of accounts that are not valid or there twice, and what happened to the system's own files.
damage() {
  known | awk -F: 'NF != 7 || seen[$1]++'
  foreign | diff /client/foreign -
}

# Logs in as a client whom the change does not concern. Prints what went wrong.
login() {
  ssh -i /client/b -o IdentitiesOnly=yes -o UserKnownHostsFile=/client/known_hosts -o BatchMode=yes \
    bystander@127.0.0.1 borg serve </dev/null >/client/login 2>&1 || cat /client/login
}

# One run that goes wrong, what is then, and what the next run makes of it; fields end with 0x1f, a step with 0x1e.
# LOGIN is login or true.
step() { # COMMAND LOGIN CALL FAULT NTH PATH
  local words
  read -ra words <<<"$1"
  restore
  strace -y -s 0 -qq -e signal=none -P "$6" -e "trace=$3" -e "inject=$3:$4:when=$5" -o /client/calls "${words[@]}" >/client/said 2>&1
  printf '%s\037' $? "$(grep -E '= \?$|\(INJECTED\)$' /client/calls)" "$(cat /client/said)"
  answers >/client/now
  cmp -s /client/before /client/now && printf before
  cmp -s /client/after /client/now && printf after
  printf '\037%s\037%s\037' "$(damage)" "$("$2")"
  printf '%s\037%s\036' "$("${words[@]}" >/client/said 2>&1 || cat /client/said)" "$(state | diff /client/wanted -)"
}
