"""
The measurements of scripts/bench, which runs this file in a throwaway machine with borgserver installed, or in a
container of the image.

Two servers run in one machine: ours as the container starts it, and the peers' kind: the same sshd with the same
options, one account, and one authorized_keys file with a line for each client that forces borg serve. What is
compared runs in turn (A B B A …), and its ratio is the median of the pairs' ratios; the table shows medians and, in
brackets, quartiles.

In Python because that adds nothing between fork(2) and wait4(2), and every machine with borg has it.
"""

import base64
import fcntl
import hashlib
import itertools
import json
import math
import os
import platform
import pwd
import random
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = "/usr/local/lib/borgserver"
PROGRAM = "/usr/local/bin/borgserver"
# As libexec/install chooses it: in the image it is PyPI's, elsewhere Debian's.
BORG = next(path for path in ["/opt/borg/bin/borg", "/usr/bin/borg"] if os.path.exists(path))
KEYS = "/sshkeys/repos"
STATE = "/var/lib/borgserver"
INDEX = f"{STATE}/index.sqlite"
DISK = "/disk"  # where scripts/bench has put the executables
LAYERS = os.environ.get("LAYERS")  # in a container: the file system that has the image's layers
WORK = "/root/bench"
PEER_PORT = 2222
NEAR, FAR = "10.9.0.1", "10.9.0.2"  # two names of this machine: by the second, it is 20 ms away
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root"}
SSH = ["/usr/bin/ssh", "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
SSH += ["-o", f"UserKnownHostsFile={WORK}/known_hosts"]

# Does one run. Returns what it measured: "memory" in bytes, and everything else, such as "wall", in seconds.
Action = Callable[[], dict[str, float]]


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
class Sample:
    """One figure of all runs of an action, in their order."""

    figure: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def error(self) -> float:
        """Standard error of the median, relative; of the quartiles, so that one slow run does not count."""
        low, _, high = statistics.quantiles(self.values, n=4)
        return 1.25 * (high - low) / 1.35 / math.sqrt(len(self.values)) / self.median

    def __str__(self) -> str:
        show = megabytes if self.figure == "memory" else seconds
        if len(self.values) < 5:
            return f"{show(self.median)} ({', '.join(show(value) for value in sorted(self.values))})"
        low, _, high = statistics.quantiles(self.values, n=4)
        return f"{show(self.median)} ({show(low)} – {show(high)})"


# The samples of one action, by figure.
Samples = dict[str, Sample]


def seconds(wall: float) -> str:
    if wall >= 1:
        return f"{wall:.2f} s"
    return f"{wall * 1000:.1f} ms" if wall < 0.1 else f"{wall * 1000:.0f} ms"


def megabytes(memory: float) -> str:
    return f"{memory / 1e6:.1f} MB"


def in_turn(*actions: Action, least: int = 7, budget: float = 20, warm: bool = True) -> list[Samples]:
    """
    Measures the actions in turn, after one round that does not count (`warm`), at least `least` times and until the
    medians are known to a hundredth or `budget` seconds are over.
    """
    samples: list[Samples] = [{} for _ in actions]
    turns = list(zip(samples, actions, strict=True))
    for action in actions if warm else ():
        action()
    end = time.monotonic() + budget
    for number in itertools.count(1):
        for sample, action in turns:
            for figure, value in action().items():
                sample.setdefault(figure, Sample(figure)).values.append(value)
        # The one that goes first alternates: what it leaves in caches is the next one's advantage.
        turns.reverse()
        if number < least:
            continue
        if time.monotonic() > end or all(one.error < 0.01 for sample in samples for one in sample.values()):
            break
    return samples


def program(*words: str, account: str | None = None, code: int = 0, output: str | None = None) -> Action:
    """An action that runs a program, as an account, and checks that it ends and prints as it has to."""
    ids = pwd.getpwnam(account) if account else None
    printed = f"{WORK}/printed"

    def action() -> dict[str, float]:
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
        return {"wall": wall, "memory": usage.ru_maxrss * 1024}

    return action


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


# --- the two servers


class Server:
    """An sshd that runs, and what it logs."""

    def __init__(self, port: int, *words: str, settings: dict[str, str] | None = None) -> None:
        self.port = port
        self.log_file = Path(f"{WORK}/{port}.log")
        with self.log_file.open("wb") as log:
            # As in the image, where tini reaps what sshd leaves behind.
            self.process = subprocess.Popen(
                ["/usr/bin/tini", "-s", "--", *words],
                env=ENVIRONMENT | (settings or {}),
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

    def processes(self) -> list["Process"]:
        """
        All processes of the server. What one leaves behind stays among them, whoever started it: tini becomes its
        parent (PR_SET_CHILD_SUBREAPER).
        """
        return below(self.process.pid, processes())

    def cpu(self) -> float:
        """
        Processor seconds of all of its processes, those that ended included. Their parents have to wait for them:
        wait(2) adds the time of a child to its parent's, and where SIGCHLD is ignored nothing does.
        """
        return sum(process.cpu for process in self.processes())

    def session_memory(self) -> int:
        """
        Memory of its sessions, in bytes, each page shared out among those that have it: that of sshd and what it
        started, and of what serves sessions beside sshd.
        """
        found = self.processes()
        sshd = next(process for process in found if process.name == "sshd")
        serving = {process.pid for process in found if process.name in ("borg", "borg-resident")}
        return sum(pss(pid) for pid in serving | {process.pid for process in below(sshd.pid, found)})

    def last_words(self) -> str:
        """The end of its log, without what is said about each good session."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(
            [line for line in lines if not re.match("Accepted|Received disconnect|Disconnected", line)][-20:]
        )


@dataclass
class Process:
    pid: int
    parent: int
    name: str
    cpu: float
    """Processor seconds of it and of its children that ended."""


def processes() -> list[Process]:
    """All processes, as in proc_pid_stat(5)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, named = path.read_text().split(" (", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        name, fields = named.rsplit(") ", 1)
        words = fields.split()
        ticks = sum(int(word) for word in words[11:15])
        found.append(Process(int(pid), int(words[1]), name, ticks / os.sysconf("SC_CLK_TCK")))
    return found


def below(root: int, among: Sequence[Process]) -> list[Process]:
    """The process of this number and its descendants, parents first."""
    found = [process for process in among if process.pid == root]
    for process in found:
        found += [child for child in among if child.parent == process.pid]
    return found


def pss(pid: int) -> int:
    """Proportional set size in bytes, as in proc_pid_smaps_rollup(5)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"(?m)^Pss: +(\d+) kB$", rollup)[0]) * 1024


def start_ours(watch: str = "off") -> Server:
    """Our server. Commands alone change what it serves, unless a part measures how it watches its key folder."""
    return Server(22, f"{LIBRARY}/entrypoint", "sshd", settings={"WATCH_EVERY": watch})


def start_peers() -> Server:
    """The peers' kind of server: our sshd_config, but for where keys and accounts come from, and what sessions see."""
    config = Path("/run/borgserver/sshd_config").read_text()
    config = re.sub(r"(?m)^(AuthorizedKeys\w+|AllowGroups|ChrootDirectory) .*\n", "", config)
    Path("/etc/ssh/peers_config").write_text(
        f"Port {PEER_PORT}\nAuthorizedKeysFile /etc/ssh/peers\n{config}",
    )
    return Server(PEER_PORT, "/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/peers_config")


def session(
    account: str,
    port: int,
    command: Sequence[str] = ("borg", "serve"),
    key: str = "key",
    host: str = "127.0.0.1",
) -> list[str]:
    """The words of a client that has a session."""
    return [*SSH, "-i", f"{WORK}/{key}", "-p", str(port), f"{account}@{host}", *command]


def start_sessions(server: Server, account: str, count: int, stdin: int) -> list[subprocess.Popen[bytes]]:
    """Starts so many clients at once."""
    words, pipe = session(account, server.port), subprocess.PIPE
    return [
        subprocess.Popen(words, env=ENVIRONMENT, stdin=stdin, stdout=pipe, stderr=pipe, bufsize=0) for _ in range(count)
    ]


def end_sessions(server: Server, clients: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends their input and waits for their end, which has to be a good one."""
    ended = [(client.communicate()[1].decode(), client.returncode) for client in clients]
    failed = [f"exit {code}: {text}" for text, code in ended if code != 0]
    if failed:
        sys.exit(
            f"bench: {len(failed)} of {len(clients)} sessions on port {server.port} failed: {failed[0]}\n"
            f"{server.last_words()}"
        )


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
        ours: Samples,
        theirs: Samples,
        most: float,
        why: str,
        figure: str = "wall",
        digits: int = 2,
    ) -> None:
        """
        A line of the table. `most` is the goal: what the ratio, of the runs that were paired, may be at most; `why` is
        its reason.
        """
        mine, others = ours[figure], theirs[figure]
        ratios = [one / other for one, other in zip(mine.values, others.values, strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4)
        pairs = f"{len(ratios)} pairs: {low:.{digits}f} – {high:.{digits}f}"
        self.line(f"{what} ({pairs})", mine, others, ratio, most, f"{{:.{digits}f}} ×", why)

    def line(self, what: str, ours: object, theirs: object, value: float, most: float, form: str, why: str) -> None:
        met = "**met**" if value <= most else "missed"
        cells = [what, ours, theirs, form.format(value), "≤ " + form.format(most), met, why]
        self.rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
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


def make_repository_directory(path: str) -> None:
    os.mkdir(path, 0o700)
    shutil.chown(path, 1000, 1000)


# --- the parts


def measure_session(bench: Bench) -> None:
    for accounts, most, budget, why in [
        (1, 0.60, 30, "sshd's part is given; borg need not be loaded anew for each session, nor test itself"),
        (10_000, 0.55, 25, "and sshd reads their file down to the client's key, twice for each login"),
        (100_000, 0.32, 25, "the same, and ten times as long a file"),
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
        bench.row(f"a whole session, {keys}", ours, theirs, most, why)
        if accounts == 1:
            bench.row(
                f"a whole session, {keys} / ssh and sshd alone, a static key that forces `/bin/true`",
                ours,
                floor,
                1.12,
                "what is not ssh's and sshd's is ours: the login program and borg",
            )
        bench.notes.append(
            f"Of our session with {keys}, {seconds(refused['wall'].median)} pass until a request for something else "
            f"than borg is refused. ssh and sshd alone, for a static key that forces `/bin/true`, take "
            f"{seconds(floor['wall'].median)}; the goal allows {seconds(most * theirs['wall'].median)} for all of it."
        )
    bench.notes.append(f"`borg serve` alone, with its self-test: {borg_alone()}.")
    scan = statistics.median(timed(lambda: pwd.getpwnam(client)) for _ in range(5))
    bench.notes.append(
        f"Of a session at 100,000 accounts, each look-up of the account by sshd (getpwnam) takes {seconds(scan)}."
    )


def borg_alone() -> str:
    """How long the peers' borg takes, and where that is Debian's, PyPI's."""
    if LAYERS:
        (pip,) = in_turn(program(BORG, "serve"))
        return f"{seconds(pip['wall'].median)} by the script that pip wrote (peers)"
    with open(f"{WORK}/borg", "w") as script:
        script.write("#!/usr/bin/python3\nimport sys\nfrom borg.archiver import main\nsys.exit(main())\n")
    os.chmod(f"{WORK}/borg", 0o755)
    debian, pip = in_turn(program(BORG, "serve"), program(f"{WORK}/borg", "serve"))
    return (
        f"{seconds(debian['wall'].median)} by Debian's script (peers), "
        f"{seconds(pip['wall'].median)} by a script as pip writes it"
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
        1.6,
        "the runtime's start is given: our own part is to be the smaller one",
    )
    bench.row(
        "the login program, 1,000 keys / Node with an empty script",
        ours,
        node,
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

        def swapped() -> dict[str, float]:
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
        1.05,
        "a look-up costs the same at any size; a few hundredths are noise",
    )
    peak = max(large["memory"].values) / 1e6
    bench.line(
        "peak memory of the login program, 1,000,000 keys",
        f"{peak:.0f} MB",
        "",
        peak,
        40,
        "{:.0f} MB",
        "most of it is the runtime's; the size of the index adds nothing",
    )


def measure_rebuild(bench: Bench) -> None:
    accounts = 100_000
    say(f"{accounts} key files")
    bench.write_keys(accounts)
    rebuild = program("/usr/local/bin/index", "rebuild", output=f"{accounts} keys")

    def cold() -> dict[str, float]:
        Path(INDEX).unlink(missing_ok=True)
        return rebuild()

    cat = program("/bin/sh", "-c", f"find {KEYS} -type f -print0 | xargs -0 cat >/dev/null")
    ours, theirs = in_turn(cold, cat, least=3, budget=25)
    bench.row(
        "`index rebuild` without an index, 100,000 key files / `cat` of them all",
        ours,
        theirs,
        4,
        "each file is read once, as by cat; the rest is for checks and the index",
    )

    def changed() -> dict[str, float]:
        Path(f"{KEYS}/{name_of(7)}").write_text(random_key() + "\n")
        return rebuild()

    find = program("/usr/bin/find", "/sshkeys", "-printf", "%i %s %T@ %C@ %p\n")
    ours, theirs = in_turn(changed, find, least=3, budget=25)
    bench.row(
        "`index rebuild`, one file of 100,000 changed / `find -printf` of all",
        ours,
        theirs,
        3,
        "each file is looked at once, as by find; the rest is for the new index",
    )


def measure_update(bench: Bench) -> None:
    accounts, sample = 10_000, 200
    update = program("/usr/local/bin/update-borgusers", output="account .*: added")

    def ours() -> dict[str, float]:
        no_accounts()
        bench.write_keys(accounts)
        return update()

    def theirs() -> dict[str, float]:
        no_accounts()
        wall = timed(lambda: run(str(Path(__file__).with_name("add-accounts")), str(sample)))
        bench.reset_account_files()
        return {"wall": wall * accounts / sample}

    mine, loop = in_turn(ours, theirs, least=3, budget=20)
    bench.row(
        f"`update-borgusers`, no accounts → 10,000 / `useradd`, `mkdir`, `chown` in a loop ({sample}, extrapolated)",
        mine,
        loop,
        0.01,
        "all accounts are published at once, not one after the other",
        digits=4,
    )


def measure_accounts(bench: Bench) -> None:
    accounts = 100_000
    update = program("/usr/local/bin/update-borgusers", output="account .*: added")
    rebuild = program("/usr/local/bin/index", "rebuild", output=f"{accounts} keys")

    def all_of_it() -> dict[str, float]:
        no_accounts()
        bench.write_keys(accounts)
        return update()

    def index_alone() -> dict[str, float]:
        # Without an index all key files are read; the accounts are the same and their files are taken over.
        os.remove(INDEX)
        return rebuild()

    ours, alone = in_turn(all_of_it, index_alone, least=3, budget=20)
    bench.row(
        "`update-borgusers`, no accounts → 100,000 / `index rebuild` that writes the index of the same files alone",
        ours,
        alone,
        3,
        "accounts and directories are to cost no more than twice what the index does",
    )
    no_accounts()

    def put_aside(numbers: Sequence[int]) -> str:
        """Publishes these accounts, all with the client's key. Returns the name of the publication."""
        say(f"{len(numbers):,} account{'s' if len(numbers) > 1 else ''}")
        shutil.rmtree(KEYS)
        os.makedirs(KEYS)
        Path(f"{WORK}/key-file").write_text(f"{bench.client_key}\n")
        for number in numbers:
            os.link(f"{WORK}/key-file", f"{KEYS}/{name_of(number)}")
        run("/usr/local/bin/index", "rebuild")
        name = f"of-{len(numbers)}"
        os.rename(f"{STATE}/{os.readlink(f'{STATE}/current')}", f"{STATE}/{name}")
        return name

    client = name_of(500_000)
    make_repository_directory(f"/repos/{client}")  # index rebuild, unlike update-borgusers, makes none

    def with_publication(publication: str, action: Action) -> Action:
        def published() -> dict[str, float]:
            os.symlink(publication, f"{STATE}/current.new")
            os.rename(f"{STATE}/current.new", f"{STATE}/current")
            return action()

        return published

    publications = [put_aside(range(1_000_000)), put_aside([500_000])]
    for what, action in [
        ("a whole session", program(*session(client, 22))),
        # Without what borg takes.
        ("a login, until a request that is not borg's is refused", program(*session(client, 22, ("true",)), code=1)),
    ]:
        many, one = in_turn(*(with_publication(name, action) for name in publications), least=15, budget=60)
        bench.row(
            f"{what}, 1,000,000 accounts / 1 account",
            many,
            one,
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

    os.makedirs(f"{WORK}/none")  # not what parts before this one left in /repos

    def start(repositories: str) -> dict[str, float]:
        """
        From the start of a new container, which has host keys but neither index nor accounts, to the answer of a
        session. The session is refused, because a borg would be timed as well.
        """
        shutil.rmtree("/run/borgserver", ignore_errors=True)
        run("/bin/sh", "-c", f"rm -rf {STATE}/*")
        os.rename("/repos", f"{WORK}/empty")
        os.rename(repositories, "/repos")
        begin = time.perf_counter()
        server = start_ours()
        words = session(client, 22, ("true",))
        done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        wall = time.perf_counter() - begin
        server.stop()
        os.rename("/repos", repositories)
        os.rename(f"{WORK}/empty", "/repos")
        if "only borg can use this account" not in done.stderr:
            sys.exit(f"bench: no login after the start: {done.stderr}")
        return {"wall": wall}

    few, many = in_turn(lambda: start(f"{WORK}/none"), lambda: start(f"{WORK}/full"), budget=25)
    bench.line(
        "start of the server to the first accepted login, 1,000 accounts",
        few["wall"],
        "",
        few["wall"].median,
        1.5,
        "{:.2f} s",
        "a restart keeps new logins out for about a second",
    )
    bench.row(
        "the same, 200,000 files in the repositories / none",
        many,
        few,
        1.10,
        "a start does not wait for a look at every file",
    )
    bench.ours = start_ours()
    no_accounts()


def measure_burst(bench: Bench) -> None:
    sessions = 200
    client = bench.accounts_of(1000)

    def burst(server: Server, account: str) -> Action:
        def action() -> dict[str, float]:
            before = server.cpu()
            wall = timed(
                lambda: end_sessions(server, start_sessions(server, account, sessions, subprocess.DEVNULL)),
            )
            time.sleep(0.5)  # the last of the server's processes end
            return {"wall": wall, "cpu": (server.cpu() - before) / sessions}

        return action

    ours, theirs = in_turn(burst(bench.ours, client), burst(bench.peers, "peer"), least=5, budget=0, warm=False)
    bench.row(
        f"{sessions} sessions at once, 1,000 accounts",
        ours,
        theirs,
        0.55,
        "what a session saves is saved too where many begin at the same minute",
    )
    bench.row(
        "the same, the server's processor time per session",
        ours,
        theirs,
        0.40,
        "the same, without what the clients cost",
        "cpu",
    )


def measure_memory(bench: Bench) -> None:
    sessions = 50
    client = bench.accounts_of(1)
    # The first call of a client, in msgpack: with its answer, borg is loaded and waits for more.
    negotiate = b"\x83\xa1i\x01\xa1m\xa9negotiate\xa1a\x81\xabclient_data\x81\xaeclient_version\x93\x01\x02\x04"

    def idle(server: Server, account: str) -> Action:
        def action() -> dict[str, float]:
            clients = start_sessions(server, account, sessions, subprocess.PIPE)
            answered = []
            for one in clients:
                assert one.stdin and one.stdout
                one.stdin.write(negotiate)
                answered.append(len(one.stdout.read(1)))
            memory = server.session_memory() / sessions
            end_sessions(server, clients)
            if not all(answered):
                sys.exit(f"bench: sessions on port {server.port} ended without an answer:\n{server.last_words()}")
            return {"memory": memory}

        return action

    ours, theirs = in_turn(idle(bench.ours, client), idle(bench.peers, "peer"), least=5, budget=0)
    bench.row(
        f"memory of an idle session, {sessions} open, of all processes that serve them (PSS)",
        ours,
        theirs,
        0.60,
        "what borg loads is the same for all sessions, and can be shared; sshd's part is given",
        "memory",
    )


def measure_keeper(bench: Bench) -> None:
    """What is renamed into the key folder, until the next login goes by it; and what watching the folder costs."""
    changes = 50
    for accounts, most in [(10, 1), (100_000, 3)]:
        client = bench.accounts_of(accounts)
        restart(bench, "30s")
        taken_up = Sample("wall", [change_key(bench, client, KEYS) for _ in range(changes)])
        bench.line(
            f"a key file renamed into place → the next login, {accounts:,} accounts, worst of {changes}",
            taken_up,
            "",
            max(taken_up.values),
            most,
            "{:.2f} s",
            "whoever adds a key tries it at once" if accounts == 10 else "the index is written anew as a whole",
        )
        time.sleep(95)  # what follows the last change is over, after a minute and the look behind it
        keeper = next(process for process in bench.ours.processes() if words_of(process) == [PROGRAM, "keep"])
        before = keeper.cpu
        time.sleep(60)
        after = next(process for process in processes() if process.pid == keeper.pid)
        bench.line(
            f"the process that watches the key folder, {accounts:,} accounts, at rest: processor time in 60 s",
            "",
            "",
            after.cpu - before,
            0.03 if accounts == 10 else 0.6,
            "{:.2f} s",
            "two looks, at the folders alone"
            if accounts == 10
            else "and a share of one at all files, every few minutes",
        )
        memory = pss(keeper.pid) / 1e6
        bench.line("the same, memory (PSS)", "", "", memory, 60, "{:.0f} MB", "most of it is the runtime's")

    # A file system that tells of nothing: the files lie elsewhere, and are seen through FUSE.
    client = bench.accounts_of(10)
    far = f"{WORK}/far"
    os.rename(KEYS, far)
    os.mkdir(KEYS)
    run("/usr/bin/bindfs", far, KEYS)
    restart(bench, "2s")
    looked = Sample("wall", [change_key(bench, client, far) for _ in range(20)])
    run("/bin/umount", KEYS)
    bench.line(
        "the same by looking alone every 2 s, 10 accounts, worst of 20",
        looked,
        "",
        max(looked.values),
        3,
        "{:.2f} s",
        "no later than a second after the look",
    )
    restart(bench, "off")


def measure_status(bench: Bench) -> None:
    """What it costs to know the state of 10,000 repositories."""
    count = 10_000
    client = bench.accounts_of(count)
    run("/usr/local/bin/borg", "init", "-e", "none", f"/repos/{client}")
    run("/usr/local/bin/borg", "create", f"/repos/{client}::first", "/etc/hostname")
    for number in range(count):
        if name_of(number) != client:
            run("/bin/cp", "-a", f"/repos/{client}/.", f"/repos/{name_of(number)}")
    bench.ours.stop()
    Path(f"{STATE}/ledger.sqlite").unlink()
    begin = time.perf_counter()
    bench.ours = start_ours()
    while len(json.loads(run("/usr/local/bin/status", "--json"))) < count or '"size": null' in run(
        "/usr/local/bin/status", "--json"
    ):
        time.sleep(0.2)
    read = time.perf_counter() - begin
    shown = in_turn(program("/usr/local/bin/status"))[0]["wall"]
    bench.line(
        f"`status` of {count:,} repositories",
        shown,
        "",
        shown.median,
        1,
        "{:.2f} s",
        "whoever looks waits for no disk",
    )
    asked = "".join(json.dumps({"repository": name_of(number), "known": None}) + "\n" for number in range(count))
    answered = subprocess.run(
        ["/usr/local/lib/borgserver/borg", "read-state"], input=asked, capture_output=True, text=True, check=True
    )
    known = "".join(
        json.dumps({"repository": state["repository"], "known": state["commit"]}) + "\n"
        for state in map(json.loads, answered.stdout.splitlines())
    )

    def reader(lines: str) -> Action:
        def action() -> dict[str, float]:
            begin = time.perf_counter()
            subprocess.run(
                ["/usr/local/lib/borgserver/borg", "read-state"],
                input=lines,
                capture_output=True,
                text=True,
                check=True,
            )
            return {"wall": time.perf_counter() - begin}

        return action

    changed, unchanged = in_turn(reader(asked), reader(known))
    bench.notes.append(
        f"The keeper has read {count:,} repositories {read:.1f} s after a start without a ledger. Reading all takes"
        f" {seconds(changed['wall'].median)}, looking at them where nobody wrote {seconds(unchanged['wall'].median)}."
    )


def restart(bench: Bench, watch: str) -> None:
    bench.ours.stop()
    bench.ours = start_ours(watch)
    time.sleep(5)  # its first look is over


def words_of(process: Process) -> list[str]:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")[:-1]
    except FileNotFoundError:
        return []


def change_key(bench: Bench, account: str, folder: str) -> float:
    """
    Gives an account a key of its own beside our client's. Returns how long it took until an index with it was published,
    which every login that begins from then on goes by, and has one begin.
    """
    key = random_key()
    fingerprint = "SHA256:" + base64.b64encode(
        hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    ).decode().rstrip("=")
    Path(f"{WORK}/new").write_text(f"{bench.client_key}\n{key}\n")
    time.sleep((2 if len(os.listdir(folder)) < 1000 else 6) + random.random())  # what that does is over
    published = os.readlink(f"{STATE}/current")
    begin = time.perf_counter()
    os.rename(f"{WORK}/new", f"{folder}/{account}")
    while os.readlink(f"{STATE}/current") == published:
        time.sleep(0.002)
        if time.perf_counter() - begin > 60:
            sys.exit(f"bench: a change was not taken up within a minute:\n{bench.ours.last_words()}")
    wall = time.perf_counter() - begin
    program(PROGRAM, "authorized-keys", account, fingerprint, account="borgkeys", output=re.escape(key))()
    program(*session(account, 22))()
    return wall


def measure_delay(bench: Bench) -> None:
    client = bench.accounts_of(1)
    put_far_away(0.020)
    ours, theirs = in_turn(
        program(*session(client, 22, host=FAR)), program(*session("peer", PEER_PORT, host=FAR)), least=15, budget=40
    )
    bench.row(
        "a whole session, 1 key, with a server that is 20 ms away each way",
        ours,
        theirs,
        0.85,
        "the round trips of a login are ssh's; what is saved beside them is a smaller part",
    )


def put_far_away(delay: float) -> None:
    """
    Makes this machine a second one at FAR, so many seconds away each way: what is sent there comes back after that
    time, with its addresses exchanged. In place of tc-netem(8), which kernels of small virtual machines lack.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"far", 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
    # By netdevice(7), because the image has no ip(8).
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, address in [(0x8916, NEAR), (0x8918, FAR)]:  # SIOCSIFADDR, SIOCSIFDSTADDR
            words = struct.pack("16sHH4s16x", b"far", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, request, words)
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"far", 0x41))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING

    def forward() -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        while True:
            rest = max(0, waiting[0][0] - time.monotonic()) if waiting else None
            if select.select([tun], [], [], rest)[0]:
                packet = os.read(tun, 65536)
                if packet[0] >> 4 == 4:  # IPv4
                    # The checksums stay: they are sums of both addresses.
                    swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                    waiting.append((time.monotonic() + delay, swapped))
            while waiting and waiting[0][0] <= time.monotonic():
                os.write(tun, waiting.popleft()[1])

    # A process that ends with the machine: threads do not go with fork(2).
    if os.fork() == 0:
        forward()
    with socket.socket() as one:
        trip = timed(lambda: one.connect((FAR, 22)))
    if not 2 * delay <= trip < 3 * delay:
        sys.exit(f"bench: a round trip to {FAR} takes {seconds(trip)}, not {seconds(2 * delay)}")


def measure_transfer(bench: Bench) -> None:
    """Backups and restores of the same data into the same repository, through one server and then the other."""
    client = bench.accounts_of(1)
    few, small = make_few(), make_small()

    def transfers(server: Server, account: str, data: str) -> Action:
        return lambda: transfer(f"ssh://{account}@127.0.0.1:{server.port}", f"/repos/{client}", data)

    for what, data, pairs in [("1 GB in 4 files", few, 5), ("20,000 files of 2 kB", small, 11)]:
        say(what)
        ours, theirs = in_turn(
            transfers(bench.ours, client, data), transfers(bench.peers, "peer", data), least=pairs, budget=0
        )
        for operation in ours:
            bench.row(
                f"`borg {operation}`, {what}",
                ours,
                theirs,
                1.00,
                "a transfer is borg's and ssh's, and costs no more than with them alone",
                operation,
            )


def make_few() -> str:
    """Makes 1 GB of random bytes in 4 files."""
    few = f"{WORK}/few"
    os.makedirs(few, exist_ok=True)
    for number in range(4):
        with open(f"{few}/{number}", "wb") as file:
            for _ in range(256):
                file.write(os.urandom(2**20))
    return few


def make_small() -> str:
    """Makes 20,000 files of 2 kB of random bytes."""
    small = f"{WORK}/small"
    for number in range(20_000):
        folder = f"{small}/{number // 200}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{number}", "wb") as file:
            file.write(os.urandom(2000))
    return small


def borg(*words: str, cwd: str = "/") -> float:
    """Runs the client's borg. Returns the wall time."""
    environment = {
        **ENVIRONMENT,
        "BORG_BASE_DIR": f"{WORK}/client",
        "BORG_RSH": " ".join([*SSH, "-i", f"{WORK}/key"]),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_SELFTEST": "disabled",
    }
    start = time.perf_counter()
    done = subprocess.run(
        [BORG, *words], env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"bench: borg {words[0]} ended {done.returncode}: {done.stderr}")
    return wall


def new_repository(url: str, directory: str) -> str:
    """Makes an empty repository, for a client that knows none. Returns its address."""
    for path in [directory, f"{WORK}/client"]:
        shutil.rmtree(path, ignore_errors=True)
    make_repository_directory(directory)
    repository = f"{url}{directory}"
    borg("init", "--encryption", "none", repository)
    return repository


def transfer(url: str, directory: str, data: str) -> dict[str, float]:
    """One backup into an empty repository, one of the same data, one restore. Returns the wall time of each."""
    shutil.rmtree(f"{WORK}/restored", ignore_errors=True)
    os.makedirs(f"{WORK}/restored")
    repository = new_repository(url, directory)
    return {
        "create": borg("create", f"{repository}::first", data),
        "create, nothing new": borg("create", f"{repository}::second", data),
        "extract": borg("extract", f"{repository}::first", cwd=f"{WORK}/restored"),
    }


WITHOUT_RECORD = "/run/without-record"
# Behind record.py: a session keeps no record where that file is, but has the guard.
UNRECORDED = f"""
_recorded = begin


def begin(account: str, role: str, login: Login) -> None:
    if os.path.exists("{WITHOUT_RECORD}"):
        guard.install()
    else:
        _recorded(account, role, login)
"""


def measure_record(bench: Bench) -> None:
    """The same backups through one server, with a record of the session and without."""
    client = bench.accounts_of(1)
    bench.ours.stop()
    source = Path(f"{LIBRARY}/record.py")
    original = source.read_text()
    source.write_text(original + UNRECORDED)
    bench.ours = start_ours()
    url = f"ssh://{client}@127.0.0.1:{bench.ours.port}"

    def lines() -> int:
        return sum(len(path.read_text().splitlines()) for path in Path("/repos/.borgserver").glob("*/*.jsonl"))

    def backup(data: str, is_recorded: bool) -> Action:
        def action() -> dict[str, float]:
            repository = new_repository(url, f"/repos/{client}")
            if not is_recorded:
                Path(WITHOUT_RECORD).touch()
            time.sleep(0.2)  # the last session's line is written
            before, cpu = lines(), bench.ours.cpu()
            wall = borg("create", f"{repository}::first", data)
            time.sleep(0.2)
            Path(WITHOUT_RECORD).unlink(missing_ok=True)
            if lines() - before != is_recorded:
                sys.exit(f"bench: a backup left {lines() - before} lines, recorded or not: {is_recorded}")
            return {"wall": wall, "cpu": bench.ours.cpu() - cpu}

        return action

    for what, data in [("1 GB in 4 files", make_few()), ("20,000 files of 2 kB", make_small())]:
        say(what)
        recorded, plain = in_turn(backup(data, True), backup(data, False), least=20, budget=0)
        for figure, name in [("wall", f"`borg create`, {what}"), ("cpu", "the same, the server's processor time")]:
            ratios = sorted(
                one / other for one, other in zip(recorded[figure].values, plain[figure].values, strict=True)
            )
            low, high = median_interval(ratios)
            bench.line(
                f"{name}, with a record of the session / without ({len(ratios)} pairs, 95 %: {low:.3f} – {high:.3f})",
                recorded[figure],
                plain[figure],
                statistics.median(ratios),
                1.01,
                "{:.3f} ×",
                "a record is a few sums for each object",
            )
    bench.ours.stop()
    source.write_text(original)
    bench.ours = start_ours()


def median_interval(ordered: Sequence[float]) -> tuple[float, float]:
    """Between which of these values, in order, the median lies with 95 %: each value is below it as a coin falls."""
    count = len(ordered)
    outside, rank = 0.0, 0
    while outside + math.comb(count, rank) / 2**count <= 0.025:
        outside += math.comb(count, rank) / 2**count
        rank += 1
    rank = max(rank, 1)  # of five or fewer values none are as sure as that
    return ordered[rank - 1], ordered[count - rank]


# --- all of it

PARTS: dict[str, Callable[[Bench], None]] = {
    "session": measure_session,
    "login": measure_login,
    "rebuild": measure_rebuild,
    "update": measure_update,
    "accounts": measure_accounts,
    "start": measure_start,
    "burst": measure_burst,
    "memory": measure_memory,
    "keeper": measure_keeper,
    "status": measure_status,
    "delay": measure_delay,
    "transfer": measure_transfer,
    "record": measure_record,
}
# What sshd and borg decide, in the versions of the image.
IN_IMAGE = ["session", "burst", "memory", "delay"]


def first_line(*words: str) -> str:
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True)
    return (done.stdout + done.stderr).splitlines()[0].strip()


def section(bench: Bench) -> list[str]:
    """What a part has found."""
    return [
        f"Commit {os.environ['COMMIT']}, {time.strftime('%Y-%m-%d')}",
        "",
        "| what | ours | theirs | ratio | goal | | the reason of the goal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *bench.rows,
        *(f"\n{note}" for note in bench.notes),
    ]


def results(bench: Bench, sections: dict[str, list[str]]) -> str:
    """All tables in Markdown, with what has to be known to read them."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    confined = re.search(r"sessions are .*", bench.ours.log_file.read_text())
    versions = [
        first_line("/usr/bin/ssh", "-V"),
        first_line(BORG, "--version"),
        first_line("/usr/bin/python3", "--version"),
        *([] if LAYERS else ["Node " + first_line(os.environ["NODE"], "--version")]),
        "borgserver " + first_line(PROGRAM, "--version"),
    ]
    if LAYERS:
        executable = f"Our executable is in a layer of the image, on {LAYERS}"
    else:
        place = first_line("/usr/bin/findmnt", "-nv", "-o", "FSTYPE,SOURCE", "--target", PROGRAM)
        executable = (
            f"Our executable and the empty one are on {' of '.join(place.split())}, as cp(1) writes them and as a "
            "container has them"
        )
    lines = [
        f"# Results of scripts/bench{' --image' if LAYERS else ''}",
        "",
        f"- {platform.freedesktop_os_release()['PRETTY_NAME']}{', in a container of the image' if LAYERS else ''}",
        f"- {model[1] if model else platform.machine()}, {os.cpu_count()} processors, "
        f"Linux {'.'.join(platform.release().split('.')[:2])}",
        f"- {'; '.join(versions)}",
        f"- {executable}; keys, index and repositories are on a tmpfs. All are in memory when measured.",
        f"- In this machine {confined[0] if confined else 'nobody said how sessions are confined'}.",
        "",
        "*Theirs* is a second sshd with the same options in the same machine: one account, one `authorized_keys`",
        'file with a line `restrict,command="borg serve --restrict-to-path /repos/NAME"` for each client, the same',
        "borg with its self-test. The client's key is in the middle of all keys, its account in the middle of all",
        "accounts. A session is `ssh … borg serve` from start to end, without input, over loopback; the one with a",
        "server that is 20 ms away goes through a TUN device. An idle session has answered its client's first call.",
        "Processor time is that of all processes of a server. Everything runs in turn; medians, with quartiles (of",
        "under five runs: all) in brackets. A ratio is the median of the pairs' ratios; their quartiles are in the",
        "first column.",
        "",
        *(line for part, lines in sections.items() for line in [f"## {part}", "", *lines, ""]),
    ]
    return "\n".join(lines)


def make_key(name: str) -> str:
    """Makes a client's key pair. Returns its public line."""
    run("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{WORK}/{name}")
    return Path(f"{WORK}/{name}.pub").read_text().strip()


def main(parts: Sequence[str]) -> None:
    known = IN_IMAGE if LAYERS else list(PARTS)
    for part in parts:
        if part not in known:
            sys.exit(f"bench: there is no part {part} here; there are: {' '.join(known)}")
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
            for address in ["127.0.0.1", f"127.0.0.1:{PEER_PORT}", FAR, f"{FAR}:{PEER_PORT}"]:
                known_hosts.write(run(PROGRAM, "known-hosts", address))
        sections = {}
        for part in parts or known:
            bench.rows, bench.notes = [], []
            PARTS[part](bench)
            sections[part] = section(bench)
        print(results(bench, sections), flush=True)
    finally:
        for server in bench.ours, bench.peers:
            server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
