"""
The measurements of scripts/bench, which runs this file in a throwaway machine with borgserver installed.

Two servers stand in one machine: ours as the container starts it, and the peers' kind: the same sshd with the same
options, one account, and one authorized_keys file with a line for each client that forces borg serve. What is
compared runs in turn (A B A B …); the table tells medians and, in brackets, quartiles.
"""

import base64
import math
import os
import platform
import pwd
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from dataclasses import dataclass

REPOSITORY = os.path.realpath(sys.argv[1])
PARTS = sys.argv[2:] or ["session", "login", "rebuild", "update", "start", "burst", "transfer"]
LIBRARY = "/usr/local/lib/borgserver"
BORG = "/usr/bin/borg"
KEYS = "/sshkeys/repos"
INDEX = "/var/lib/borgserver/index.sqlite"
WORK = "/root/bench"
PEER_PORT = 2222
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root"}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*words, **options):
    """Runs a program that has to succeed. Returns what it printed."""
    done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"bench: exit {done.returncode} from {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


# --- measuring


@dataclass
class Times:
    """Wall times of one thing, in seconds, and the most memory that a run of it had, in bytes."""

    walls: list
    memory: int = 0

    @property
    def median(self):
        return statistics.median(self.walls)

    @property
    def error(self):
        """Standard error of the median, relative; of the quartiles, so that one slow run does not count."""
        low, _, high = statistics.quantiles(self.walls, n=4)
        return 1.25 * (high - low) / 1.35 / math.sqrt(len(self.walls)) / self.median

    def __str__(self):
        if len(self.walls) < 5:
            return f"{seconds(self.median)} ({', '.join(seconds(wall) for wall in sorted(self.walls))})"
        low, _, high = statistics.quantiles(self.walls, n=4)
        return f"{seconds(self.median)} ({seconds(low)} – {seconds(high)})"


def seconds(time_):
    return f"{time_:.2f} s" if time_ >= 1 else f"{time_ * 1000:.1f} ms" if time_ < 0.1 else f"{time_ * 1000:.0f} ms"


def in_turn(*actions, least=7, budget=20, warm=True):
    """
    Times the actions in turn, after one round that does not count (`warm`), at least `least` times and until the
    medians are known to a hundredth or `budget` seconds are over. An action does one run and returns its time and
    its memory.
    """
    times = [Times([]) for _ in actions]
    for action in actions if warm else ():
        action()
    end = time.monotonic() + budget
    while True:
        for one, action in zip(times, actions):
            wall, memory = action()
            one.walls.append(wall)
            one.memory = max(one.memory, memory)
        if len(times[0].walls) < least:
            continue
        if time.monotonic() > end or all(one.error < 0.01 for one in times):
            return times


def program(*words, account=None, code=0, output=None):
    """An action that runs a program, as an account, and checks that it ends and prints as it has to."""
    ids = pwd.getpwnam(account) if account else None
    printed = f"{WORK}/printed"

    def action():
        # Opened anew: the program, not this one, writes at its start.
        out = os.open(printed, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            try:
                null = os.open("/dev/null", os.O_RDWR)
                os.dup2(null, 0)
                os.dup2(out, 1)
                os.dup2(null, 2)
                if ids:
                    os.setgroups([])
                    os.setgid(ids.pw_gid)
                    os.setuid(ids.pw_uid)
                os.execve(words[0], words, ENVIRONMENT)
            finally:
                os._exit(127)
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - start
        text = os.pread(out, 1000, 0).decode(errors="replace")
        os.close(out)
        if os.waitstatus_to_exitcode(status) != code or (output is not None and not re.search(output, text)):
            sys.exit(f"bench: {' '.join(words)} ended with {status} and printed: {text}")
        return wall, usage.ru_maxrss * 1024

    return action


# --- the table

rows = []


def row(what, ours, theirs, ratio, most, value="{:.2f} ×"):
    """A line of the table. `most` is the goal: what the ratio may be at most."""
    met = "**met**" if ratio <= most else "missed"
    line = [what, ours, theirs, value.format(ratio), "≤ " + value.format(most), met]
    rows.append("| " + " | ".join(str(cell) for cell in line) + " |")
    say(rows[-1])


notes = []


# --- keys and accounts


def random_key():
    """A public key that nobody has the private half of. Any 32 bytes will do, for OpenSSH as for us."""
    blob = struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, os.urandom(32))
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


def name_of(number):
    return f"host{number:07d}"


def write_keys(accounts, keys_each=1):
    """
    Key files for so many accounts. Our client's key stands in the middle: of the accounts, of the lines of its
    file, and of the peers' file. Returns the client's account.
    """
    shutil.rmtree(KEYS, ignore_errors=True)
    os.makedirs(KEYS)
    with open(f"{WORK}/peers", "w") as peers:
        peers.write(f'restrict,command="/bin/true" {FLOOR_KEY}\n')
        for number in range(accounts):
            lines = [random_key() for _ in range(keys_each)]
            if number == accounts // 2:
                lines[keys_each // 2] = CLIENT_KEY
            with open(f"{KEYS}/{name_of(number)}", "w") as file:
                file.write("".join(line + "\n" for line in lines))
            forced = f"{BORG} serve --restrict-to-path /repos/{name_of(number)}"
            peers.writelines(f'restrict,command="{forced}" {line}\n' for line in lines)
    os.rename(f"{WORK}/peers", "/etc/ssh/peers")
    os.chmod("/etc/ssh/peers", 0o644)
    return name_of(accounts // 2)


def accounts_of(accounts):
    """The same, with accounts and directories. Returns the client's account."""
    say(f"{accounts} accounts")
    client = write_keys(accounts)
    run("/usr/local/bin/update-borgusers")
    return client


def no_accounts():
    shutil.rmtree(KEYS, ignore_errors=True)
    os.makedirs(KEYS)
    run("/usr/local/bin/update-borgusers")
    for name in os.listdir("/repos"):
        shutil.rmtree(f"/repos/{name}")


# --- the two servers


class Server:
    def __init__(self, port, *words):
        self.port = port
        self.log = open(f"{WORK}/{port}.log", "wb")
        # As in the image, where tini reaps what sshd leaves behind.
        self.process = subprocess.Popen(
            ["/usr/bin/tini", "-s", "--", *words], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True
        )
        self.wait()

    def wait(self):
        for _ in range(12_000):
            if listens(self.port):
                return
            if self.process.poll() is not None:
                sys.exit(f"bench: a server did not start:\n{open(self.log.name).read()}")
            time.sleep(0.005)
        sys.exit("bench: a server did not start within a minute")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        # The sshd that listens was told to end, and may do so a moment later.
        while listens(self.port):
            time.sleep(0.005)

    def cpu(self):
        """Processor seconds of all processes of its sessions that ended: those that sshd waited for, and tini for the rest."""
        sshd = self.process.pid
        while open(f"/proc/{sshd}/comm").read() != "sshd\n":
            sshd = open(f"/proc/{sshd}/task/{sshd}/children").read().split()[0]
        return sum(cpu_of_children(pid) for pid in (self.process.pid, sshd))


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def cpu_of_children(pid):
    """proc_pid_stat(5): cutime and cstime."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def log_of(server):
    """The end of a server's log, without what is said about each good session."""
    lines = open(server.log.name, errors="replace").read().splitlines()
    return "\n".join([line for line in lines if not re.match("Accepted|Received disconnect|Disconnected", line)][-20:])


def start_ours():
    return Server(22, f"{LIBRARY}/entrypoint", "sshd")


def start_peers():
    """The peers' kind of server: our sshd_config, but for where keys and accounts come from."""
    config = open("/run/borgserver/sshd_config").read()
    config = re.sub(r"(?m)^(AuthorizedKeys\w+|AllowGroups) .*\n", "", config)
    with open("/etc/ssh/peers_config", "w") as file:
        file.write(f"Port {PEER_PORT}\nAuthorizedKeysFile /etc/ssh/peers\n{config}")
    return Server(PEER_PORT, "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/peers_config")


SSH = ["/usr/bin/ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
SSH += ["-o", f"UserKnownHostsFile={WORK}/known_hosts"]


def session(account, port, command=("borg", "serve"), key="key"):
    return [*SSH, "-i", f"{WORK}/{key}", "-p", str(port), f"{account}@127.0.0.1", *command]


# --- the parts


def part_session():
    for accounts, most, budget in [(1, 0.80, 30), (10_000, 0.70, 25), (100_000, 0.40, 25)]:
        client = accounts_of(accounts)
        ours, theirs, refused, floor = in_turn(
            program(*session(client, 22)),
            program(*session("peer", PEER_PORT)),
            program(*session(client, 22, ("true",)), code=1),
            program(*session("peer", PEER_PORT, key="floor")),
            budget=budget,
        )
        keys = f"{accounts:,} key{'s' if accounts > 1 else ''}"
        row(f"a whole session, {keys}", ours, theirs, ours.median / theirs.median, most)
        notes.append(
            f"Of our session with {keys}, {seconds(refused.median)} pass until the session script has the request, the rest is borg's. "
            f"ssh and sshd alone, for a static key that forces `/bin/true`, take {seconds(floor.median)}; "
            f"the goal allows {seconds(most * theirs.median)} for all of it."
        )
    with open(f"{WORK}/borg", "w") as script:
        script.write("#!/usr/bin/python3\nimport sys\nfrom borg.archiver import main\nsys.exit(main())\n")
    os.chmod(f"{WORK}/borg", 0o755)
    serves = [[BORG, "serve"], [f"{WORK}/borg", "serve"], [f"{LIBRARY}/borg", "serve"]]
    debian, pip, ours = (times.median for times in in_turn(*(program(*words) for words in serves)))
    notes.append(
        f"`borg serve` alone, with its self-test: {seconds(debian)} by Debian's script (peers), {seconds(pip)} by a script as pip "
        f"writes it, {seconds(ours)} by ours, which collects no garbage while borg is imported."
    )
    scan = statistics.median(timed(lambda: pwd.getpwnam(client)) for _ in range(5))
    notes.append(
        f"Of a session at 100,000 accounts, each look-up of the account by sshd (getpwnam, linear in /etc/passwd) takes {seconds(scan)}. "
        "The peers' one account stands before all of ours."
    )


def timed(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def login(account):
    fingerprint = run("/usr/bin/ssh-keygen", "-l", "-f", f"{WORK}/key.pub").split()[1]
    words = ["/usr/local/bin/borgserver", "authorized-keys", account, fingerprint]
    return program(*words, account="borgkeys", output=f"^restrict,command=.* {CLIENT_KEY}\n$".replace("+", r"\+"))


def part_login():
    client = write_keys(1000)
    run("/usr/local/bin/index", "rebuild")
    shutil.copy2(INDEX, f"{WORK}/thousand.sqlite")
    with open(f"{WORK}/empty.mjs", "w"):
        pass
    os.chmod(f"{WORK}", 0o711)
    ours, empty, node = in_turn(
        login(client),
        program(f"{REPOSITORY}/build/bench/empty"),
        program(os.environ["NODE"], f"{WORK}/empty.mjs"),
        budget=20,
    )
    row("the login program, 1,000 keys / an executable of the same compiler that does nothing", ours, empty, ours.median / empty.median, 1.6)
    row("the login program, 1,000 keys / Node with an empty script", ours, node, ours.median / node.median, 0.40)

    say("1,000,000 keys")
    million = write_keys(1000, 1000)
    run("/usr/local/bin/index", "rebuild")
    os.rename(INDEX, f"{WORK}/million.sqlite")

    def with_index(name):
        shutil.chown(f"{WORK}/{name}", 0, "borgkeys")
        os.chmod(f"{WORK}/{name}", 0o640)
        action = login(million)

        def swapped():
            os.replace(f"{WORK}/{name}", INDEX)
            try:
                return action()
            finally:
                os.replace(INDEX, f"{WORK}/{name}")

        return swapped

    large, small = in_turn(with_index("million.sqlite"), with_index("thousand.sqlite"), budget=20)
    row("the login program, 1,000,000 keys / 1,000 keys", large, small, large.median / small.median, 1.05)
    row("peak memory of the login program, 1,000,000 keys", f"{large.memory / 1e6:.0f} MB", "", large.memory / 1e6, 40, "{:.0f} MB")


def part_rebuild():
    accounts = 100_000
    say(f"{accounts} key files")
    write_keys(accounts)
    rebuild = program("/usr/local/bin/index", "rebuild", output=f"{accounts} keys")

    def cold():
        if os.path.exists(INDEX):
            os.remove(INDEX)
        return rebuild()

    cat = program("/bin/sh", "-c", f"find {KEYS} -type f -print0 | xargs -0 cat >/dev/null")
    ours, theirs = in_turn(cold, cat, least=3, budget=25)
    row("`index rebuild` without an index, 100,000 key files / `cat` of them all", ours, theirs, ours.median / theirs.median, 4)

    def changed():
        with open(f"{KEYS}/{name_of(7)}", "w") as file:
            file.write(random_key() + "\n")
        return rebuild()

    find = program("/usr/bin/find", "/sshkeys", "-printf", "%i %s %T@ %C@ %p\n")
    ours, theirs = in_turn(changed, find, least=3, budget=25)
    row("`index rebuild`, one file of 100,000 changed / `find -printf` of all", ours, theirs, ours.median / theirs.median, 3)


def part_update():
    accounts, sample = 10_000, 200
    update = program("/usr/local/bin/update-borgusers", output="account .*: added")

    def ours():
        no_accounts()
        write_keys(accounts)
        return update()

    def theirs():
        no_accounts()
        wall = timed(lambda: run("/bin/sh", "-c", f"""set -e
            for number in $(seq {sample}); do
              useradd --non-unique --uid 1000 --gid borg-repo --no-create-home --home-dir /repos/u$number --shell /bin/sh --password '*' u$number
              mkdir -m 2700 /repos/u$number
              chown 1000:1000 /repos/u$number
            done"""))
        for path, before in ACCOUNT_FILES.items():
            with open(path, "w") as file:
                file.write(before)
        return wall * accounts / sample, 0

    mine, loop = in_turn(ours, theirs, least=3, budget=20)
    row(f"`update-borgusers`, no accounts → 10,000 / `useradd`, `mkdir`, `chown` in a loop ({sample}, extrapolated)",
        mine, loop, mine.median / loop.median, 0.01, "{:.4f} ×")


def part_start():
    client = accounts_of(1000)
    servers["ours"].stop()
    say("200,000 files in repositories")
    for number in range(1000):
        folder = f"{WORK}/full/{name_of(number)}/data/0"
        os.makedirs(folder)
        for file in range(200):
            os.mknod(f"{folder}/{file}")
    run("/bin/chown", "-R", "1000:1000", f"{WORK}/full")

    def start(repositories=None):
        """
        From the start of a new container, which has host keys but neither index nor accounts, to the answer of a
        session. The session is refused, because a borg would be timed as well.
        """
        shutil.rmtree("/run/borgserver", ignore_errors=True)
        if os.path.exists(INDEX):
            os.remove(INDEX)
        for path, before in ACCOUNT_FILES.items():
            with open(path, "w") as file:
                file.write(before)
        if repositories:
            os.rename("/repos", f"{WORK}/empty")
            os.rename(repositories, "/repos")
        begin = time.perf_counter()
        server = start_ours()
        words = session(client, 22, ("true",))
        done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        wall = time.perf_counter() - begin
        server.stop()
        if repositories:
            os.rename("/repos", repositories)
            os.rename(f"{WORK}/empty", "/repos")
        if "only borg can use this account" not in done.stderr:
            sys.exit(f"bench: no login after the start: {done.stderr}")
        return wall, 0

    few, many = in_turn(start, lambda: start(f"{WORK}/full"), budget=25)
    row("start of the server to the first accepted login, 1,000 accounts", few, "", few.median, 1.5, "{:.2f} s")
    row("the same, 200,000 files in the repositories / none", many, few, many.median / few.median, 1.10)
    servers["ours"] = start_ours()
    no_accounts()


def part_burst():
    sessions = 200
    client = accounts_of(1000)

    def burst(server, account):
        words = session(account, server.port)

        def action():
            before = server.cpu()
            start = time.perf_counter()
            options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
            clients = [subprocess.Popen(words, **options) for _ in range(sessions)]
            ended = [(one.communicate()[1].decode(), one.returncode) for one in clients]
            wall = time.perf_counter() - start
            failed = [f"exit {code}: {text}" for text, code in ended if code != 0]
            if failed:
                sys.exit(f"bench: {len(failed)} of {sessions} sessions on port {server.port} failed after {seconds(wall)}: {failed[0]}\n{log_of(server)}")
            time.sleep(0.5)  # sshd reaps the last of its processes
            cpu[server].append((server.cpu() - before) / sessions)
            return wall, 0

        return action

    cpu = {server: [] for server in servers.values()}
    ours, theirs = in_turn(burst(servers["ours"], client), burst(servers["peers"], "peer"), least=3, budget=0, warm=False)
    row("200 sessions at once, 1,000 accounts", ours, theirs, ours.median / theirs.median, 0.85)
    ours, theirs = (Times(cpu[server]) for server in servers.values())
    row("the same, the server's processor time per session", ours, theirs, ours.median / theirs.median, 0.85)


FEW, SMALL = f"{WORK}/few", f"{WORK}/small"


def part_transfer():
    """Backups and restores of the same data into the same repository, through one server and then the other."""
    client = accounts_of(1)
    os.makedirs(FEW)
    for number in range(4):
        run("/bin/sh", "-c", f"head -c 268435456 /dev/urandom >{FEW}/{number}")
    for number in range(20_000):
        folder = f"{SMALL}/{number // 200}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number}", "wb") as file:
            file.write(os.urandom(2000))
    for what, data, rounds in [("1 GB in 4 files", FEW, 5), ("20,000 files of 2 kB", SMALL, 11)]:
        walls = {server: {"create": [], "create, nothing new": [], "extract": []} for server in servers}
        for number in range(1 + rounds):
            say(f"{what}, round {number} of {rounds}")
            # The one that goes first alternates: what it leaves in caches is the other's advantage.
            for server in sorted(servers, reverse=number % 2 == 1):
                for operation, wall in transfer(servers[server], client, data).items():
                    if number > 0:
                        walls[server][operation].append(wall)
        for operation in walls["ours"]:
            ours, theirs = (walls[server][operation] for server in ("ours", "peers"))
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            low, ratio, high = statistics.quantiles(ratios, n=4)
            row(f"`borg {operation}`, {what} ({rounds} pairs: {low:.2f} – {high:.2f})", Times(ours), Times(theirs), ratio, 1.02)


def transfer(server, account, data):
    """One backup into an empty repository, one of the same data, one restore. Returns the wall time of each."""
    repository = f"ssh://{account if server is servers['ours'] else 'peer'}@127.0.0.1:{server.port}/repos/{account}"
    for path in [f"/repos/{account}", f"{WORK}/client", f"{WORK}/restored"]:
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(f"/repos/{account}", 0o700)
    shutil.chown(f"/repos/{account}", 1000, 1000)
    os.makedirs(f"{WORK}/restored")
    environment = {
        **ENVIRONMENT,
        "BORG_BASE_DIR": f"{WORK}/client",
        "BORG_RSH": " ".join([*SSH, "-i", f"{WORK}/key"]),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_SELFTEST": "disabled",
    }

    def borg(*words, cwd="/"):
        start = time.perf_counter()
        done = subprocess.run([BORG, *words], env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        wall = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"bench: borg {words[0]} ended {done.returncode}: {done.stderr}")
        return wall

    borg("init", "--encryption", "none", repository)
    return {
        "create": borg("create", f"{repository}::first", data),
        "create, nothing new": borg("create", f"{repository}::second", data),
        "extract": borg("extract", f"{repository}::first", cwd=f"{WORK}/restored"),
    }


# --- the machine


def first_line(*words):
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def results():
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    started = open(f"{WORK}/22.log").read()
    confined = re.search(r"sessions are .*", started)[0]
    lines = [
        "# Results of scripts/bench",
        "",
        f"- Commit {os.environ['COMMIT']}, {time.strftime('%Y-%m-%d')}",
        f"- {model[1] if model else platform.machine()}, {os.cpu_count()} processors, Linux {'.'.join(platform.release().split('.')[:2])}",
        f"- {first_line('/usr/bin/ssh', '-V')}; {first_line(BORG, '--version')}; {first_line('/usr/bin/python3', '--version')}; "
        f"Node {first_line(os.environ['NODE'], '--version')}; borgserver {first_line('/usr/local/bin/borgserver', '--version')}",
        f"- In this machine {confined}.",
        "",
        "*Theirs* is a second sshd with the same options in the same machine: one account, one `authorized_keys` file with a line",
        '`restrict,command="borg serve --restrict-to-path /repos/NAME"` for each client, the same borg with its self-test. The',
        "client's key stands in the middle of all keys, its account in the middle of all accounts. A session is `ssh … borg serve` from",
        "start to end, without input, over loopback. Everything runs in turn; medians, with quartiles (of under five runs: all) in brackets.",
        "All files are in the page cache.",
        "",
        "| what | ours | theirs | ratio | goal | |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        *(f"\n{note}" for note in notes),
    ]
    print("\n".join(lines), flush=True)


os.makedirs(WORK)
os.makedirs(KEYS)
run("/usr/sbin/useradd", "--non-unique", "--uid", "1000", "--gid", "nogroup", "--no-create-home", "--home-dir", "/repos", "--shell", "/bin/sh", "--password", "*", "peer")
ACCOUNT_FILES = {path: open(path).read() for path in ["/etc/passwd", "/etc/shadow"]}
run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{WORK}/key")
CLIENT_KEY = open(f"{WORK}/key.pub").read().strip()
# A second one, which the first line of the peers' file lets in to do nothing: what ssh and sshd cost alone.
run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{WORK}/floor")
FLOOR_KEY = open(f"{WORK}/floor.pub").read().strip()
servers = {"ours": start_ours()}
servers["peers"] = start_peers()
try:
    with open(f"{WORK}/known_hosts", "w") as known_hosts:
        for address in ["127.0.0.1", f"127.0.0.1:{PEER_PORT}"]:
            known_hosts.write(run("/usr/local/bin/borgserver", "known-hosts", address))
    for part in PARTS:
        globals()[f"part_{part}"]()
    results()
finally:
    for server in servers.values():
        server.stop()
