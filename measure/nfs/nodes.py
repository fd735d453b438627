"""
Starts three servers, each on a Linux of its own that mounts the export, backs up through all of them while one after the
other is killed, and says what came of it. Called by scripts/nfs.

    nodes.py SESSIONS KILLS
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SESSIONS, KILLS = (int(word) for word in sys.argv[1:3])
# In seconds, between kills. A Linux takes half of that to be back.
EVERY = 30
CLIENTS = 6
SSH = (
    "ssh -i /client/key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    " -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o ConnectTimeout=20"
)


class Node:
    """A server and its Linux."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.address = f"10.9.{number}.2"
        self.log = Path(f"/logs/{name}.log")

    def start(self) -> None:
        with self.log.open("w") as log:
            self.linux = subprocess.Popen(
                [
                    *("linux.uml", "mem=800M", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "rw"),
                    *(f"init={HERE}/node", f"vec0:transport=tap,ifname=tap{self.number},depth=128,gro=1"),
                    *(f"node={self.name}", f"network=10.9.{self.number}"),
                    *("con=null", "con0=null,fd:1", "ssl=null"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def serves(self, patience: int = 180) -> bool:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if subprocess.run(["ssh-keyscan", "-T", "3", self.address], capture_output=True).stdout:
                return True
            time.sleep(0.5)
        return False

    def kill(self) -> None:
        os.killpg(self.linux.pid, signal.SIGKILL)
        self.linux.wait()

    def said(self, text: str, patience: int = 90) -> bool:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if text in self.log.read_text(errors="replace"):
                return True
            time.sleep(1)
        return False

    def status(self) -> str:
        words = [*SSH.split(), f"boss@{self.address}", "status --json"]
        return subprocess.run(words, capture_output=True, text=True).stdout


nodes = [Node("north", 1), Node("east", 2), Node("west", 3)]
wrong: list[str] = []


def demand(is_right: bool, what: str) -> None:
    print(f"{'yes' if is_right else 'NO '}  {what}", flush=True)
    if not is_right:
        wrong.append(what)


def borg(client: int, words: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {
        **{"PATH": "/usr/bin:/bin", "HOME": "/client", "BORG_BASE_DIR": f"/client/{client}", "BORG_RSH": SSH},
        **{"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"},
    }
    return subprocess.run(["borg", "--lock-wait", "300", *words], env=environment, input=data, capture_output=True)


def url(node: Node, repository: int) -> str:
    return f"ssh://r{repository}@{node.address}/repos/r{repository}"


class Load:
    """Backups of several clients through all nodes. One that failed is tried again through the next."""

    def __init__(self) -> None:
        self.sessions = iter(range(SESSIONS))  # from which all clients take
        self.archives: list[tuple[int, str]] = []
        self.failed: list[tuple[Node, float, float, str]] = []
        self.lost: list[int] = []
        self.kills: list[tuple[Node, float, float]] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]
        threads.append(threading.Thread(target=self._kill))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, client: int) -> None:
        for session in self.sessions:
            repository = (client + session % 2) % CLIENTS
            for attempt in range(10):
                node = nodes[(session + attempt) % len(nodes)]
                began, archive = time.time(), f"{session}-{attempt}-{client}"
                done = borg(client, ["create", f"{url(node, repository)}::{archive}", "-"], os.urandom(40_000))
                if done.returncode == 0:
                    self.archives.append((repository, archive))
                    break
                self.failed.append((node, began, time.time(), done.stderr.decode()[-300:]))
                time.sleep(1)
            else:
                self.lost.append(session)

    def _kill(self) -> None:
        begun = time.time()
        for kill in range(KILLS):
            time.sleep(max(0.0, begun + (kill + 1) * EVERY - time.time()))
            node, at = nodes[kill % len(nodes)], time.time()
            node.kill()
            node.start()
            demand(node.serves(), f"{node.name} serves again after {time.time() - at:.0f} s")
            self.kills.append((node, at, time.time()))

    def unexplained(self) -> list[str]:
        """What failed although its server was not killed."""
        return [
            said
            for node, began, ended, said in self.failed
            if not any(node is killed and at <= ended and began <= to for killed, at, to in self.kills)
        ]


def main() -> None:
    begun = time.time()
    for node in nodes:
        node.start()
    for node in nodes:
        demand(node.serves(), f"{node.name} serves, {time.time() - begun:.0f} s after all began")
    for repository in range(CLIENTS):
        made = borg(repository, ["init", "-e", "none", url(nodes[repository % 3], repository)])
        demand(made.returncode == 0, f"init of r{repository} {made.stderr.decode()[-300:]}")

    begun, load = time.time(), Load()
    load.run()
    print(
        f"{SESSIONS} sessions in {time.time() - begun:.0f} s, {KILLS} kills,"
        f" {len(load.failed)} attempts ended with their server"
    )
    demand(not load.lost, f"no backup is lost {load.lost or ''}")
    demand(not load.unexplained(), f"nothing failed but with its server {load.unexplained() or ''}")

    missing: list[str] = []
    for repository in range(CLIENTS):
        node = nodes[repository % 3]
        listed = borg(0, ["list", "--short", url(node, repository)]).stdout.decode().split()
        missing += [name for of, name in load.archives if of == repository and name not in listed]
        checked = borg(0, ["check", "--repository-only", url(node, repository)])
        demand(checked.returncode == 0, f"r{repository} is sound {checked.stderr.decode()[-300:]}")
    demand(not missing, f"each backup that ended well is there {missing or ''}")

    files = Path("/export/.borgserver").glob("*/*.jsonl")
    kinds = [json.loads(line)["kind"] for file in files for line in file.read_text().splitlines()]
    demand("break-lock" not in kinds, "nobody broke a lock")

    ended, said = time.time(), [""]
    while time.time() < ended + 200 and not (len(set(said)) == 1 and said[0]):
        time.sleep(2)
        said = [node.status() for node in nodes]
    demand(len(set(said)) == 1 and bool(said[0]), f"status is the same on all, {time.time() - ended:.0f} s later")

    # A fourth, in the place of the third, with the first one's name.
    nodes[2].kill()
    again = Node("north", 3)
    again.log = Path("/logs/again.log")
    again.start()
    demand(again.said("another server on this storage is called north too"), "a second server called north is refused")
    for node in (*nodes[:2], again):
        node.kill()
    sys.exit(1 if wrong else 0)


main()
