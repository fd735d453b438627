"""
Connects from addresses of this machine, as clients that never say a word, until standard input ends. Prints how many
were answered and how many refused.

    idle.py PORT [ADDRESS COUNT]...
"""

import socket
import sys


def connect(address: str, port: int) -> socket.socket:
    is_ipv6 = ":" in address
    client = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET)
    client.bind((address, 0))
    client.connect(("::1" if is_ipv6 else "127.0.0.1", port))
    return client


def is_answered(client: socket.socket) -> bool:
    client.settimeout(20)
    try:
        return client.recv(4) == b"SSH-"
    except OSError:
        return False


port = int(sys.argv[1])
clients = [
    connect(address, port)
    for address, count in zip(sys.argv[2::2], sys.argv[3::2], strict=True)
    for _ in range(int(count))
]
answers = [is_answered(client) for client in clients]
print("answered", answers.count(True), "refused", answers.count(False), flush=True)
sys.stdin.read()
