"""
Takes the place of the process that serves sessions: answers each that asks with the next of the given answers, and prints
what it asked for in JSON, a line each.

    answer_sessions.py ANSWER...    letters of libexec/session.c's answers, e.g. "S,E3", "Rwhy"; "-" closes without one;
                                    "ECHO" serves by sending the client back what it sends
"""

import json
import os
import socket
import sys
import time

path = "/run/borgserver/sessions"
os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
if os.path.exists(path):
    os.remove(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(8)
print("listening", flush=True)
for answer in sys.argv[1:]:
    asking, _ = listener.accept()
    message, descriptors, _, _ = socket.recv_fds(asking, 65536, 8)
    account, command, options, connection = message.decode("latin1").split("\0")
    asked = {"account": account, "command": command, "options": options, "connection": connection}
    print(json.dumps({**asked, "descriptors": len(descriptors)}), flush=True)
    if answer == "ECHO":
        asking.send(b"S")
        while sent := os.read(descriptors[0], 4096):
            os.write(descriptors[1], sent)
        asking.send(b"E\0")
    elif answer != "-":
        for part in answer.split(","):
            asking.send(b"E" + bytes([int(part[1:])]) if part[0] == "E" else part.encode())
            time.sleep(0.05)
    for each in descriptors:
        os.close(each)
    asking.close()
