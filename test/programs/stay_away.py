"""
Sixty connections that never log in, half of which greet. Prints "held" when all are there, and how many the server
ended.
"""

import socket

held = [socket.create_connection(("127.0.0.1", 22)) for _ in range(60)]
for client in held[::2]:
    client.sendall(b"SSH-2.0-idle\r\n")
print("held", flush=True)
ended = 0
for client in held:
    client.settimeout(90)
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    ended += 1
print("ended", ended)
