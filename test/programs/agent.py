"""
An agent in front of the ssh-agent at /client/agent that runs a shell command before each signature. It listens on
/client/agent.front (draft-ietf-sshm-ssh-agent), for one client.

    agent.py COMMAND
"""

import socket
import subprocess
import sys

SIGN_REQUEST = 13  # SSH_AGENTC_SIGN_REQUEST


def message(source: socket.socket) -> bytes:
    """The next message; the end of the program where there is none."""
    length = source.recv(4, socket.MSG_WAITALL)
    if len(length) < 4:
        sys.exit(0)
    return length + source.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)


listener = socket.socket(socket.AF_UNIX)
listener.bind("/client/agent.front")
listener.listen()
print("ready", flush=True)
client, _ = listener.accept()
agent = socket.socket(socket.AF_UNIX)
agent.connect("/client/agent")
while True:
    request = message(client)
    if request[4] == SIGN_REQUEST:
        subprocess.run(sys.argv[1], shell=True, check=True, stdout=sys.stderr)
    agent.sendall(request)
    client.sendall(message(agent))
