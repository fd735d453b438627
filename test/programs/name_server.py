"""
A name server that changes its mind: it answers each question for an IPv4 address with the next of these, in turn, for no
longer than the moment; there is no IPv6 address of any name.

    name_server.py ADDRESS...
"""

import itertools
import socket
import sys

answers = itertools.cycle(sys.argv[1:])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 53))
    while True:
        asked, client = server.recvfrom(512)
        # RFC 1035, 4.1: a header of 12 bytes, then the name, its type and class.
        end = asked.index(b"\0", 12) + 5
        is_ipv4 = asked[end - 4 : end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1" + bytes(4) + b"\0\4" + socket.inet_aton(next(answers)) if is_ipv4 else b""
        counts = b"\0\1\0\1" if is_ipv4 else b"\0\1\0\0"
        server.sendto(asked[:2] + b"\x81\x80" + counts + bytes(4) + asked[12:end] + answer, client)
