"""
A server that takes whatever is posted, as ntfy, a webhook and healthchecks.io do, and writes a line of JSON for each request
into a file. Where the path ends in a number of three digits, it answers with that; /slow never answers; /drip answers a byte
a second; /to/URL leads there.

    sink.py PORT FILE
"""

import contextlib
import http.server
import json
import re
import socket
import sys
import time
from urllib.parse import unquote


class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802 - its name is http.server's
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps({"path": self.path, "body": body}) + "\n")
        if self.path == "/slow":
            time.sleep(600)
        if self.path == "/drip":
            with contextlib.suppress(OSError):
                for byte in b"HTTP/1.0 200 " + b"x" * 600:
                    self.wfile.write(bytes([byte]))
                    time.sleep(1)
            return
        code = re.search(r"/([1-5][0-9]{2})$", self.path)
        there = re.fullmatch(r"/to/(.*)", self.path)
        self.send_response(307 if there else int(code[1]) if code else 200)
        if there:
            self.send_header("Location", unquote(there[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and IPv4


if __name__ == "__main__":
    Server(("::", int(sys.argv[1])), Sink).serve_forever()
