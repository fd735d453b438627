"""
Uses what an ssh client forwards: port 4001, the socket /client/local, and the SOCKS proxy at port 4002 (RFC 1928) to
port 22. Prints what comes back from each.
"""

import socket

port = socket.create_connection(("127.0.0.1", 4001))
path = socket.socket(socket.AF_UNIX)
path.connect("/client/local")
proxy = socket.create_connection(("127.0.0.1", 4002))
proxy.sendall(b"\5\1\0")
proxy.recv(2)
proxy.sendall(b"\5\1\0\1\x7f\0\0\1\0\x16")
for each in port, path, proxy:
    each.settimeout(60)
    try:
        print("got", each.recv(100))
    except ConnectionResetError:
        print("got", b"")
