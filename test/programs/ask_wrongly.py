"""
Asks the process that serves sessions what no session program asks, as an account that logged in. Prints an answer a line.

    ask_wrongly.py UID
"""

import os
import socket
import sys

null = [os.open("/dev/null", os.O_RDWR)]
os.chroot("/var/lib/borgserver/door")
os.setgroups([])
os.setgid(60902)
os.setuid(int(sys.argv[1]))
for message, count in [
    (b"", 0),
    (b"?" * 2, 3),
    (b"web", 3),
    (b"web\0borg serve", 3),
    (b"web\0borg serve\0\0\0", 3),
    (b"web\0borg serve --restrict-to-repository /repos/web\0\0", 0),
    (b"web\0borg serve --restrict-to-repository /repos/web\0\0", 2),
    (b"web\0borg serve --restrict-to-repository /repos/web\0\0", 9),
    (b"\xff\xfe\0\0\0", 3),
    (b"' OR 1 --\0borg serve\0\0", 3),
    (b"../web\0borg serve\0\0", 3),
    (b"web\0" + b"x" * 70_000 + b"\0\0", 3),
]:
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asking.settimeout(20)
    asking.connect("/run/borgserver/sessions")
    socket.send_fds(asking, [message], null * count)
    print(asking.recv(1000).decode(errors="replace"), flush=True)
