"""Prints as JSON what the server offers in its first packet (RFC 4253, 7.1)."""

import json
import socket
import struct

server = socket.create_connection(("127.0.0.1", 22))
stream = server.makefile("rwb")
stream.readline()
stream.write(b"SSH-2.0-reader\r\n")
stream.flush()
length, padding = struct.unpack(">IB", stream.read(5))
packet = stream.read(length - 1)[: length - 1 - padding]
names = ["kex", "hostKeys", "ciphersIn", "ciphersOut", "macsIn", "macsOut", "compressionIn", "compressionOut"]
at = 17
offered = {}
for name in names:
    size = struct.unpack(">I", packet[at : at + 4])[0]
    offered[name] = packet[at + 4 : at + 4 + size].decode().split(",")
    at += 4 + size
print(json.dumps(offered))
