"""
Starts sshd with sockets that listen already and send without delay (tcp(7), TCP_NODELAY), which connections inherit.
sshd sets that option for sessions with a terminal alone, and so a login waits about four times for an acknowledgement
that the other side holds back. Debian's sshd takes such sockets from version 10.0 on, as systemd hands them over
(sd_listen_fds(3)). Another one is started as it is, and so is one whose addresses are not free: it says so itself.

    listen.py /usr/sbin/sshd OPTION...
"""

import contextlib
import mmap
import os
import re
import socket
import subprocess
import sys

FIRST = 3  # sd_listen_fds(3), SD_LISTEN_FDS_START
WAITING = 128  # as sshd has it (SSH_LISTEN_BACKLOG in sshd.h)


def takes_sockets(program: str) -> bool:
    with open(program, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"LISTEN_FDS") != -1


def addresses(words: list[str]) -> list[tuple[str, int]]:
    """Where sshd would listen with these options (sshd(8), -T)."""
    told = subprocess.run([*words, "-T"], capture_output=True, text=True, check=True).stdout
    return [(host, int(port)) for host, port in re.findall(r"^listenaddress \[?([^\s\]]+)\]?:(\d+)$", told, re.M)]


def listening(host: str, port: int) -> socket.socket:
    (family, kind, protocol, _, address), *_others = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(address)
    made.listen(WAITING)
    return made


def hand_over(words: list[str]) -> None:
    """Leaves this process sockets, and the words of the environment that say so, for the program that it becomes."""
    if not takes_sockets(words[0]):
        return
    sockets = [listening(*address) for address in addresses(words)]
    high = [os.dup(each.detach()) for each in sockets]
    for number, each in enumerate(high):
        os.dup2(each, FIRST + number)
    os.closerange(FIRST + len(high), 256)
    os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()))


# Without them sshd opens its own, or says why it cannot.
with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
    hand_over(sys.argv[1:])
os.execv(sys.argv[1], sys.argv[1:])
