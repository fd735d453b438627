"""
The measurements of scripts/bench, which runs this file in a throwaway machine with borgserver installed.

Two servers run in one machine: ours as the container starts it, and the peers' kind: the same sshd with the same
options, one account, and one authorized_keys file with a line for each client that forces borg serve. What is
compared runs in turn (A B A B …); the table shows medians and, in brackets, quartiles.

In Python because that adds nothing between fork(2) and wait4(2), and every machine with borg has it.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = "/usr/local/lib/borgserver"
PROGRAM = "/usr/local/bin/borgserver"
BORG = "/usr/bin/borg"
KEYS = "/sshkeys/repos"
STATE = "/var/lib/borgserver"
INDEX = f"{STATE}/index.sqlite"
DISK = "/disk"  # where scripts/bench has put the executables
WORK = "/root/bench"
PEER_PORT = 2222
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root"}
SSH = ["/usr/bin/ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
SSH += ["-o", f"UserKnownHostsFile={WORK}/known_hosts"]

# Does one run. Returns its time in seconds and the most memory that it had, in bytes.
Action = Callable[[], tuple[float, int]]


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*words: str) -> str:
    """Runs a program that has to succeed. Returns what it printed."""
    done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: exit {done.returncode} from {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


# --- measuring


@dataclass
class Times:
    """Wall times of one thing, in seconds, and the most memory that a run of it had, in bytes."""

    walls: list[float]
    memory: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.walls)

    @property
    def error(self) -> float:
        """Standard error of the median, relative; of the quartiles, so that one slow run does not count."""
        low, _, high = statistics.quantiles(self.walls, n=4)
        return 1.25 * (high - low) / 1.35 / math.sqrt(len(self.walls)) / self.median

    def __str__(self) -> str:
        if len(self.walls) < 5:
            return f"{seconds(self.median)} ({', '.join(seconds(wall) for wall in sorted(self.walls))})"
        low, _, high = statistics.quantiles(self.walls, n=4)
        return f"{seconds(self.median)} ({seconds(low)} – {seconds(high)})"


def seconds(wall: float) -> str:
    if wall >= 1:
        return f"{wall:.2f} s"
    return f"{wall * 1000:.1f} ms" if wall < 0.1 else f"{wall * 1000:.0f} ms"


def in_turn(*actions: Action, least: int = 7, budget: float = 20, warm: bool = True) -> list[Times]:
    """
    Times the actions in turn, after one round that does not count (`warm`), at least `least` times and until the
    medians are known to a hundredth or `budget` seconds are over.
    """
    times = [Times([]) for _ in actions]
    for action in actions if warm else ():
        action()
    end = time.monotonic() + budget
    while True:
        for one, action in zip(times, actions, strict=True):
            wall, memory = action()
            one.walls.append(wall)
            one.memory = max(one.memory, memory)
        if len(times[0].walls) < least:
            continue
        if time.monotonic() > end or all(one.error < 0.01 for one in times):
            return times


def program(*words: str, account: str | None = None, code: int = 0, output: str | None = None) -> Action:
    """An action that runs a program, as an account, and checks that it ends and prints as it has to."""
    ids = pwd.getpwnam(account) if account else None
    printed = f"{WORK}/printed"

    def action() -> tuple[float, int]:
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


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


# --- the two servers


class Server:
    """An sshd that runs, and what it logs."""

    def __init__(self, port: int, *words: str) -> None:
        self.port = port
        self.log_file = Path(f"{WORK}/{port}.log")
        with self.log_file.open("wb") as log:
            # As in the image, where tini reaps what sshd leaves behind.
            self.process = subprocess.Popen(
                ["/usr/bin/tini", "-s", "--", *words],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait()

    def wait(self) -> None:
        for _ in range(12_000):
            if self.listens():
                return
            if self.process.poll() is not None:
                sys.exit(f"bench: a server did not start:\n{self.log_file.read_text()}")
            time.sleep(0.005)
        sys.exit("bench: a server did not start within a minute")

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        # The sshd that listens was told to end, and may do so a moment later.
        while self.listens():
            time.sleep(0.005)

    def cpu(self) -> float:
        """Processor seconds of all processes of its sessions that ended: those of sshd's children, and of tini's."""
        sshd = self.process.pid
        while Path(f"/proc/{sshd}/comm").read_text() != "sshd\n":
            sshd = int(Path(f"/proc/{sshd}/task/{sshd}/children").read_text().split()[0])
        return sum(cpu_of_children(pid) for pid in (self.process.pid, sshd))

    def last_words(self) -> str:
        """The end of its log, without what is said about each good session."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(
            [line for line in lines if not re.match("Accepted|Received disconnect|Disconnected", line)][-20:]
        )


def cpu_of_children(pid: int) -> float:
    """proc_pid_stat(5): cutime and cstime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def start_ours() -> Server:
    return Server(22, f"{LIBRARY}/entrypoint", "sshd")


def start_peers() -> Server:
    """The peers' kind of server: our sshd_config, but for where keys and accounts come from."""
    config = Path("/run/borgserver/sshd_config").read_text()
    config = re.sub(r"(?m)^(AuthorizedKeys\w+|AllowGroups) .*\n", "", config)
    Path("/etc/ssh/peers_config").write_text(
        f"Port {PEER_PORT}\nAuthorizedKeysFile /etc/ssh/peers\n{config}",
    )
    return Server(PEER_PORT, "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/peers_config")


def session(account: str, port: int, command: Sequence[str] = ("borg", "serve"), key: str = "key") -> list[str]:
    """The words of a client that has a session."""
    return [*SSH, "-i", f"{WORK}/{key}", "-p", str(port), f"{account}@127.0.0.1", *command]


# --- the machine, as all parts find it


@dataclass
class Bench:
    """The two servers, the keys of the client that is measured, and the results so far."""

    account_files: dict[str, str]
    """The account files without accounts of ours."""
    client_key: str
    floor_key: str
    """The key that the first line of the peers' file lets in to do nothing: what ssh and sshd cost alone."""
    ours: Server = field(init=False)
    peers: Server = field(init=False)
    rows: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(
        self,
        what: str,
        ours: object,
        theirs: object,
        ratio: float,
        most: float,
        why: str,
        value: str = "{:.2f} ×",
    ) -> None:
        """A line of the table. `most` is the goal: what the ratio may be at most; `why` is its reason."""
        met = "**met**" if ratio <= most else "missed"
        line = [what, ours, theirs, value.format(ratio), "≤ " + value.format(most), met, why]
        self.rows.append("| " + " | ".join(str(cell) for cell in line) + " |")
        say(self.rows[-1])

    def write_keys(self, accounts: int, keys_each: int = 1) -> str:
        """
        Key files for so many accounts. Our client's key is in the middle: of the accounts, of the lines of its
        file, and of the peers' file. Returns the client's account.
        """
        shutil.rmtree(KEYS, ignore_errors=True)
        os.makedirs(KEYS)
        with open(f"{WORK}/peers", "w") as peers:
            peers.write(f'restrict,command="/bin/true" {self.floor_key}\n')
            for number in range(accounts):
                lines = [random_key() for _ in range(keys_each)]
                if number == accounts // 2:
                    lines[keys_each // 2] = self.client_key
                with open(f"{KEYS}/{name_of(number)}", "w") as file:
                    file.write("".join(line + "\n" for line in lines))
                forced = f"{BORG} serve --restrict-to-path /repos/{name_of(number)}"
                peers.writelines(f'restrict,command="{forced}" {line}\n' for line in lines)
        os.rename(f"{WORK}/peers", "/etc/ssh/peers")
        os.chmod("/etc/ssh/peers", 0o644)
        return name_of(accounts // 2)

    def accounts_of(self, accounts: int) -> str:
        """The same, with accounts and directories. Returns the client's account."""
        say(f"{accounts} accounts")
        client = self.write_keys(accounts)
        run("/usr/local/bin/update-borgusers")
        return client

    def login(self, account: str) -> Action:
        """The login program, as sshd calls it for our client."""
        fingerprint = run("/usr/bin/ssh-keygen", "-l", "-f", f"{WORK}/key.pub").split()[1]
        line = f"^restrict,command=.* {re.escape(self.client_key)}\n$"
        return program(PROGRAM, "authorized-keys", account, fingerprint, account="borgkeys", output=line)

    def reset_account_files(self) -> None:
        for path, content in self.account_files.items():
            Path(path).write_text(content)


def random_key() -> str:
    """A public key that nobody has the private half of. Any 32 bytes will do, for OpenSSH as for us."""
    blob = struct.pack(">I11sI32s", 11, b"ssh-ed25519", 32, os.urandom(32))
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


def name_of(number: int) -> str:
    return f"host{number:07d}"


def no_accounts() -> None:
    shutil.rmtree(KEYS, ignore_errors=True)
    os.makedirs(KEYS)
    run("/usr/local/bin/update-borgusers")
    for name in os.listdir("/repos"):
        shutil.rmtree(f"/repos/{name}")


# --- the parts


def measure_session(bench: Bench) -> None:
    for accounts, most, budget, why in [
        (1, 0.80, 30, "a session of ours leaves borg's self-test out, about a quarter of theirs"),
        (10_000, 0.70, 25, "and sshd reads their file down to the client's key, twice for each login"),
        (100_000, 0.40, 25, "the same, and ten times as long a file"),
    ]:
        client = bench.accounts_of(accounts)
        ours, theirs, refused, floor = in_turn(
            program(*session(client, 22)),
            program(*session("peer", PEER_PORT)),
            program(*session(client, 22, ("true",)), code=1),
            program(*session("peer", PEER_PORT, key="floor")),
            budget=budget,
        )
        keys = f"{accounts:,} key{'s' if accounts > 1 else ''}"
        bench.row(f"a whole session, {keys}", ours, theirs, ours.median / theirs.median, most, why)
        bench.notes.append(
            f"Of our session with {keys}, {seconds(refused.median)} pass until the session script has the request, "
            f"the rest is borg's. ssh and sshd alone, for a static key that forces `/bin/true`, take "
            f"{seconds(floor.median)}; the goal allows {seconds(most * theirs.median)} for all of it."
        )
    with open(f"{WORK}/borg", "w") as script:
        script.write("#!/usr/bin/python3\nimport sys\nfrom borg.archiver import main\nsys.exit(main())\n")
    os.chmod(f"{WORK}/borg", 0o755)
    serves = [[BORG, "serve"], [f"{WORK}/borg", "serve"], [f"{LIBRARY}/borg", "serve"]]
    debian, pip, ours_alone = (times.median for times in in_turn(*(program(*words) for words in serves)))
    bench.notes.append(
        f"`borg serve` alone, with its self-test: {seconds(debian)} by Debian's script (peers), {seconds(pip)} by a "
        f"script as pip writes it, {seconds(ours_alone)} by ours, which collects no garbage while borg is imported."
    )
    scan = statistics.median(timed(lambda: pwd.getpwnam(client)) for _ in range(5))
    bench.notes.append(
        f"Of a session at 100,000 accounts, each look-up of the account by sshd (getpwnam) takes {seconds(scan)}."
    )


def measure_login(bench: Bench) -> None:
    client = bench.write_keys(1000)
    run("/usr/local/bin/index", "rebuild")
    shutil.copy2(INDEX, f"{WORK}/thousand.sqlite")
    Path(f"{WORK}/empty.mjs").touch()
    os.chmod(WORK, 0o711)
    ours, empty, node = in_turn(
        bench.login(client),
        program(f"{DISK}/empty"),
        program(os.environ["NODE"], f"{WORK}/empty.mjs"),
        budget=20,
    )
    bench.row(
        "the login program, 1,000 keys / an executable of the same compiler that does nothing",
        ours,
        empty,
        ours.median / empty.median,
        1.6,
        "the runtime's start is given: our own part is to be the smaller one",
    )
    bench.row(
        "the login program, 1,000 keys / Node with an empty script",
        ours,
        node,
        ours.median / node.median,
        0.40,
        "the reason for a compiler: sshd starts the program twice for each login",
    )

    say("1,000,000 keys")
    million = bench.write_keys(1000, 1000)
    run("/usr/local/bin/index", "rebuild")
    shutil.copy2(INDEX, f"{WORK}/million.sqlite")

    def with_index(name: str) -> Action:
        shutil.chown(f"{WORK}/{name}", 0, "borgkeys")
        os.chmod(f"{WORK}/{name}", 0o640)
        action = bench.login(million)

        def swapped() -> tuple[float, int]:
            os.replace(f"{WORK}/{name}", INDEX)
            try:
                return action()
            finally:
                os.replace(INDEX, f"{WORK}/{name}")

        return swapped

    large, small = in_turn(with_index("million.sqlite"), with_index("thousand.sqlite"), budget=20)
    bench.row(
        "the login program, 1,000,000 keys / 1,000 keys",
        large,
        small,
        large.median / small.median,
        1.05,
        "a look-up costs the same at any size; a few hundredths are noise",
    )
    bench.row(
        "peak memory of the login program, 1,000,000 keys",
        f"{large.memory / 1e6:.0f} MB",
        "",
        large.memory / 1e6,
        40,
        "most of it is the runtime's; the size of the index adds nothing",
        "{:.0f} MB",
    )


def measure_rebuild(bench: Bench) -> None:
    accounts = 100_000
    say(f"{accounts} key files")
    bench.write_keys(accounts)
    rebuild = program("/usr/local/bin/index", "rebuild", output=f"{accounts} keys")

    def cold() -> tuple[float, int]:
        Path(INDEX).unlink(missing_ok=True)
        return rebuild()

    cat = program("/bin/sh", "-c", f"find {KEYS} -type f -print0 | xargs -0 cat >/dev/null")
    ours, theirs = in_turn(cold, cat, least=3, budget=25)
    bench.row(
        "`index rebuild` without an index, 100,000 key files / `cat` of them all",
        ours,
        theirs,
        ours.median / theirs.median,
        4,
        "each file is read once, as by cat; the rest is for checks and the index",
    )

    def changed() -> tuple[float, int]:
        Path(f"{KEYS}/{name_of(7)}").write_text(random_key() + "\n")
        return rebuild()

    find = program("/usr/bin/find", "/sshkeys", "-printf", "%i %s %T@ %C@ %p\n")
    ours, theirs = in_turn(changed, find, least=3, budget=25)
    bench.row(
        "`index rebuild`, one file of 100,000 changed / `find -printf` of all",
        ours,
        theirs,
        ours.median / theirs.median,
        3,
        "each file is looked at once, as by find; the rest is for the new index",
    )


def measure_update(bench: Bench) -> None:
    accounts, sample = 10_000, 200
    update = program("/usr/local/bin/update-borgusers", output="account .*: added")

    def ours() -> tuple[float, int]:
        no_accounts()
        bench.write_keys(accounts)
        return update()

    def theirs() -> tuple[float, int]:
        no_accounts()
        wall = timed(lambda: run(str(Path(__file__).with_name("add-accounts")), str(sample)))
        bench.reset_account_files()
        return wall * accounts / sample, 0

    mine, loop = in_turn(ours, theirs, least=3, budget=20)
    bench.row(
        f"`update-borgusers`, no accounts → 10,000 / `useradd`, `mkdir`, `chown` in a loop ({sample}, extrapolated)",
        mine,
        loop,
        mine.median / loop.median,
        0.01,
        "all accounts are published at once, not one after the other",
        "{:.4f} ×",
    )


def measure_accounts(bench: Bench) -> None:
    accounts = 100_000
    update = program("/usr/local/bin/update-borgusers", output="account .*: added")
    rebuild = program("/usr/local/bin/index", "rebuild", output=f"{accounts} keys")

    def all_of_it() -> tuple[float, int]:
        no_accounts()
        bench.write_keys(accounts)
        return update()

    def index_alone() -> tuple[float, int]:
        # Without an index all key files are read; the accounts are the same and their files are taken over.
        os.remove(INDEX)
        return rebuild()

    ours, alone = in_turn(all_of_it, index_alone, least=3, budget=20)
    bench.row(
        "`update-borgusers`, no accounts → 100,000 / `index rebuild` that writes the index of the same files alone",
        ours,
        alone,
        ours.median / alone.median,
        3,
        "accounts and directories are to cost no more than twice what the index does",
    )
    no_accounts()

    def put_aside(numbers: Sequence[int]) -> str:
        """Publishes these accounts, all with the client's key. Returns the name of the publication."""
        say(f"{len(numbers):,} account{'s' if len(numbers) > 1 else ''}")
        shutil.rmtree(KEYS)
        os.makedirs(KEYS)
        Path(f"{WORK}/client").write_text(f"{bench.client_key}\n")
        for number in numbers:
            os.link(f"{WORK}/client", f"{KEYS}/{name_of(number)}")
        run("/usr/local/bin/index", "rebuild")
        name = f"of-{len(numbers)}"
        os.rename(f"{STATE}/{os.readlink(f'{STATE}/current')}", f"{STATE}/{name}")
        return name

    def log_in(publication: str) -> Action:
        # Refused by the session script, because a borg would be timed as well.
        action = program(*session(name_of(500_000), 22, ("true",)), code=1)

        def with_publication() -> tuple[float, int]:
            os.symlink(publication, f"{STATE}/current.new")
            os.rename(f"{STATE}/current.new", f"{STATE}/current")
            return action()

        return with_publication

    publications = [put_aside(range(1_000_000)), put_aside([500_000])]
    many, one = in_turn(*map(log_in, publications), least=15, budget=60)
    bench.row(
        "a login, until the session script has the request, 1,000,000 accounts / 1 account",
        many,
        one,
        many.median / one.median,
        1.05,
        "a look-up costs the same at any size; a few hundredths are noise",
    )
    for publication in publications:
        shutil.rmtree(f"{STATE}/{publication}")
    no_accounts()


def measure_start(bench: Bench) -> None:
    client = bench.accounts_of(1000)
    bench.ours.stop()
    say("200,000 files in repositories")
    for number in range(1000):
        folder = f"{WORK}/full/{name_of(number)}/data/0"
        os.makedirs(folder)
        for file in range(200):
            os.mknod(f"{folder}/{file}")
    run("/bin/chown", "-R", "1000:1000", f"{WORK}/full")

    def start(repositories: str | None = None) -> tuple[float, int]:
        """
        From the start of a new container, which has host keys but neither index nor accounts, to the answer of a
        session. The session is refused, because a borg would be timed as well.
        """
        shutil.rmtree("/run/borgserver", ignore_errors=True)
        run("/bin/sh", "-c", f"rm -rf {STATE}/*")
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
    bench.row(
        "start of the server to the first accepted login, 1,000 accounts",
        few,
        "",
        few.median,
        1.5,
        "a restart keeps new logins out for about a second",
        "{:.2f} s",
    )
    bench.row(
        "the same, 200,000 files in the repositories / none",
        many,
        few,
        many.median / few.median,
        1.10,
        "a start does not wait for a look at every file",
    )
    bench.ours = start_ours()
    no_accounts()


def measure_burst(bench: Bench) -> None:
    sessions = 200
    client = bench.accounts_of(1000)
    cpu: dict[Server, list[float]] = {bench.ours: [], bench.peers: []}

    def burst(server: Server, account: str) -> Action:
        words = session(account, server.port)

        def client_process() -> subprocess.Popen[bytes]:
            null = subprocess.DEVNULL
            return subprocess.Popen(words, env=ENVIRONMENT, stdin=null, stdout=null, stderr=subprocess.PIPE)

        def action() -> tuple[float, int]:
            before = server.cpu()
            start = time.perf_counter()
            clients = [client_process() for _ in range(sessions)]
            ended = [(one.communicate()[1].decode(), one.returncode) for one in clients]
            wall = time.perf_counter() - start
            failed = [f"exit {code}: {text}" for text, code in ended if code != 0]
            if failed:
                sys.exit(
                    f"bench: {len(failed)} of {sessions} sessions on port {server.port} failed after {seconds(wall)}: "
                    f"{failed[0]}\n{server.last_words()}"
                )
            time.sleep(0.5)  # sshd reaps the last of its processes
            cpu[server].append((server.cpu() - before) / sessions)
            return wall, 0

        return action

    ours, theirs = in_turn(burst(bench.ours, client), burst(bench.peers, "peer"), least=3, budget=0, warm=False)
    bench.row(
        "200 sessions at once, 1,000 accounts",
        ours,
        theirs,
        ours.median / theirs.median,
        0.85,
        "what a session saves is saved too where many begin at the same minute",
    )
    ours, theirs = (Times(cpu[server]) for server in (bench.ours, bench.peers))
    bench.row(
        "the same, the server's processor time per session",
        ours,
        theirs,
        ours.median / theirs.median,
        0.85,
        "the same, without what the clients cost",
    )


def measure_transfer(bench: Bench) -> None:
    """Backups and restores of the same data into the same repository, through one server and then the other."""
    client = bench.accounts_of(1)
    few, small = f"{WORK}/few", f"{WORK}/small"
    os.makedirs(few)
    for number in range(4):
        with open(f"{few}/{number}", "wb") as file:
            for _ in range(256):
                file.write(os.urandom(2**20))
    for number in range(20_000):
        folder = f"{small}/{number // 200}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number}", "wb") as file:
            file.write(os.urandom(2000))
    accounts = {bench.ours: client, bench.peers: "peer"}
    for what, data, rounds in [("1 GB in 4 files", few, 5), ("20,000 files of 2 kB", small, 11)]:
        walls: dict[Server, dict[str, list[float]]] = {server: {} for server in accounts}
        for number in range(1 + rounds):
            say(f"{what}, round {number} of {rounds}")
            # The one that goes first alternates: what it leaves in caches is the other's advantage.
            for server in list(accounts)[:: 1 if number % 2 == 0 else -1]:
                url = f"ssh://{accounts[server]}@127.0.0.1:{server.port}"
                for operation, wall in transfer(url, f"/repos/{client}", data).items():
                    if number > 0:
                        walls[server].setdefault(operation, []).append(wall)
        for operation in walls[bench.ours]:
            ours, theirs = (walls[server][operation] for server in (bench.ours, bench.peers))
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            low, ratio, high = statistics.quantiles(ratios, n=4)
            bench.row(
                f"`borg {operation}`, {what} ({rounds} pairs: {low:.2f} – {high:.2f})",
                Times(ours),
                Times(theirs),
                ratio,
                1.02,
                "confinement costs a transfer nothing; a hundredth or two is noise",
            )


def transfer(url: str, directory: str, data: str) -> dict[str, float]:
    """One backup into an empty repository, one of the same data, one restore. Returns the wall time of each."""
    for path in [directory, f"{WORK}/client", f"{WORK}/restored"]:
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(directory, 0o700)
    shutil.chown(directory, 1000, 1000)
    os.makedirs(f"{WORK}/restored")
    environment = {
        **ENVIRONMENT,
        "BORG_BASE_DIR": f"{WORK}/client",
        "BORG_RSH": " ".join([*SSH, "-i", f"{WORK}/key"]),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_SELFTEST": "disabled",
    }

    def borg(*words: str, cwd: str = "/") -> float:
        start = time.perf_counter()
        done = subprocess.run(
            [BORG, *words], env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        wall = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"bench: borg {words[0]} ended {done.returncode}: {done.stderr}")
        return wall

    repository = f"{url}{directory}"
    borg("init", "--encryption", "none", repository)
    return {
        "create": borg("create", f"{repository}::first", data),
        "create, nothing new": borg("create", f"{repository}::second", data),
        "extract": borg("extract", f"{repository}::first", cwd=f"{WORK}/restored"),
    }


# --- all of it

PARTS: dict[str, Callable[[Bench], None]] = {
    "session": measure_session,
    "login": measure_login,
    "rebuild": measure_rebuild,
    "update": measure_update,
    "accounts": measure_accounts,
    "start": measure_start,
    "burst": measure_burst,
    "transfer": measure_transfer,
}


def first_line(*words: str) -> str:
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def results(bench: Bench) -> str:
    """The table in Markdown, with what has to be known to read it."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    confined = re.search(r"sessions are .*", bench.ours.log_file.read_text())
    versions = [
        first_line("/usr/bin/ssh", "-V"),
        first_line(BORG, "--version"),
        first_line("/usr/bin/python3", "--version"),
        "Node " + first_line(os.environ["NODE"], "--version"),
        "borgserver " + first_line(PROGRAM, "--version"),
    ]
    place = first_line("/usr/bin/findmnt", "-nv", "-o", "FSTYPE,SOURCE", "--target", PROGRAM)
    lines = [
        "# Results of scripts/bench",
        "",
        f"- Commit {os.environ['COMMIT']}, {time.strftime('%Y-%m-%d')}",
        f"- {model[1] if model else platform.machine()}, {os.cpu_count()} processors, "
        f"Linux {'.'.join(platform.release().split('.')[:2])}",
        f"- {'; '.join(versions)}",
        f"- Our executable and the empty one are on {' of '.join(place.split())}, as cp(1) writes them and as a "
        "container has them; keys, index and repositories are on a tmpfs. All are in memory when measured.",
        f"- In this machine {confined[0] if confined else 'nobody said how sessions are confined'}.",
        "",
        "*Theirs* is a second sshd with the same options in the same machine: one account, one `authorized_keys`",
        'file with a line `restrict,command="borg serve --restrict-to-path /repos/NAME"` for each client, the same',
        "borg with its self-test. The client's key is in the middle of all keys, its account in the middle of all",
        "accounts. A session is `ssh … borg serve` from start to end, without input, over loopback. Everything runs in",
        "turn; medians, with quartiles (of under five runs: all) in brackets.",
        "",
        "| what | ours | theirs | ratio | goal | | the reason of the goal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *bench.rows,
        *(f"\n{note}" for note in bench.notes),
    ]
    return "\n".join(lines)


def make_key(name: str) -> str:
    """Makes a client's key pair. Returns its public line."""
    run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{WORK}/{name}")
    return Path(f"{WORK}/{name}.pub").read_text().strip()


def main(parts: Sequence[str]) -> None:
    for part in parts:
        if part not in PARTS:
            sys.exit(f"bench: there is no part {part}; there are: {' '.join(PARTS)}")
    os.makedirs(WORK)
    os.makedirs(KEYS)
    words = ["--non-unique", "--uid", "1000", "--gid", "nogroup", "--no-create-home", "--password", "*"]
    run("/usr/sbin/useradd", *words, "--home-dir", "/repos", "--shell", "/bin/sh", "peer")
    account_files = {path: Path(path).read_text() for path in ["/etc/passwd", "/etc/shadow"]}
    bench = Bench(account_files, make_key("key"), make_key("floor"))
    bench.ours = start_ours()
    bench.peers = start_peers()
    try:
        with open(f"{WORK}/known_hosts", "w") as known_hosts:
            for address in ["127.0.0.1", f"127.0.0.1:{PEER_PORT}"]:
                known_hosts.write(run(PROGRAM, "known-hosts", address))
        for part in parts or PARTS:
            PARTS[part](bench)
        print(results(bench), flush=True)
    finally:
        for server in bench.ours, bench.peers:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
