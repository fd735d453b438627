"""
Gives the session program that was built with sanitizers whatever sshd might give it, random requests of all lengths, and
an answer of random bytes. Exits 1 with what a sanitizer reported.

    fuzz_session.py PROGRAM RUNS SEED
"""

import os
import random
import socket
import subprocess
import sys
import threading

program, runs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
path = "/run/borgserver/sessions"
os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path)
listener.listen(8)
answers: list[bytes] = []


def answer() -> None:
    while True:
        asking, _ = listener.accept()
        _, descriptors, _, _ = socket.recv_fds(asking, 65536, 8)
        try:
            for message in answers:
                asking.send(message)
        except OSError:
            pass
        for descriptor in descriptors:
            os.close(descriptor)
        asking.close()


threading.Thread(target=answer, daemon=True).start()
words = [
    "borg",
    "serve",
    "--rest",
    "--info",
    "--debug-topic=",
    "--debug-topic=a.b",
    "--debug-topic=;",
    "A=1",
    "/",
    "/x/borg",
]
words += [
    "sudo",
    "-v",
    "--verbose",
    "x" * 5000,
    "é",
    "\t",
    "\n",
    "=",
    "_=",
    "serve=serve",
    "'",
    "--restrict-to-repository",
]


def text(longest: int) -> str:
    kind = chance.random()
    if kind < 0.6:
        return " ".join(chance.choices(words, k=chance.randrange(12)))
    length = chance.randrange(longest) if kind < 0.9 else chance.choice([0, 1, longest - 1])
    return "".join(chr(chance.randrange(1, 256)) for _ in range(length))


for run in range(runs):
    environment = {
        name: text(longest) for name, longest in (("SSH_ORIGINAL_COMMAND", 60_000), ("SSH_CONNECTION", 3000))
    }
    environment |= {
        "USER": text(300),
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=99",
        "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99",
    }
    # Any exit code of a session but the one by which a sanitizer is known.
    code = chance.choice([each for each in range(256) if each != 99])
    answers[:] = [
        chance.choice([b"S", b"R" + text(1500).encode(), os.urandom(chance.randrange(1, 1500))]),
        b"E" + bytes([code]),
    ]
    given = chance.choice([b"", b"\x94", b"\x86" + os.urandom(40), os.urandom(40)])
    command = text(40_000)
    ended = subprocess.run(
        [program, "-c", command],
        input=given,
        env=environment,
        capture_output=True,
        timeout=60,
        errors=None,
        check=False,
    )
    if ended.returncode == 99 or ended.returncode < 0 or b"Sanitizer" in ended.stderr:
        print(f"run {run} of seed {seed}: exit {ended.returncode}\n{ended.stderr.decode(errors='replace')}")
        print(repr((command, environment, answers, given))[:4000])
        sys.exit(1)
print(f"{runs} runs")
