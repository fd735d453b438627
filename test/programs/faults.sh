#!/bin/bash
# What the test of faults does at each of hundreds of steps; sourced.
export LC_ALL=C

# Keeps the server's files as they are before a command.
keep() {
  rm -rf /client/start && mkdir /client/start
  cp -a --parents /etc/passwd /etc/shadow /var/lib/borgserver /repos /run/borgserver /client/start
}
restore() {
  rm -rf /etc/passwd.* /etc/shadow.* /var/lib/borgserver /repos /run/borgserver
  cp -a /client/start/. /
}

# Prints all that a command changes.
state() {
  cat /etc/passwd /etc/shadow /run/borgserver/settings.json
  echo
  find /etc/passwd* /etc/shadow* /var/lib/borgserver /repos /run/borgserver -printf '%p %U:%G %m\n' | sort
  index list --json
}

# Prints what sshd is told about each login that the change gives, takes or leaves alone.
answers() {
  for login in bystander:b stay:a stay:b leave:a come:b move:a; do
    setpriv --reuid borgkeys --regid borgkeys --clear-groups env -i /usr/local/bin/borgserver \
      authorized-keys "${login%:*}" "$(cat "/client/${login#*:}.fingerprint")" 2>&1 || echo "exit $?"
  done
}

# Prints the lines of the account files that are not ours.
foreign() {
  grep -av :borgserver: /etc/passwd
  grep -Ev '^(borg|bystander|stay|leave|come|move):' /etc/shadow
}

# Prints lines of the account files that are not valid or there twice, and what happened to lines that are not ours.
damage() {
  awk -F: 'NF != 7 || seen[$1]++' /etc/passwd
  awk -F: 'NF != 9 || seen[$1]++' /etc/shadow
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
