"""
A mail server that takes every message and writes what it was told into a file, a line of JSON each. A recipient "refused" is
answered with 550.

    mail_sink.py PORT FILE
"""

import json
import socketserver
import sys


class Mail(socketserver.StreamRequestHandler):
    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def heard(self) -> str:
        return self.rfile.readline().decode().rstrip("\r\n")

    def handle(self) -> None:
        self.say("220 sink")
        while command := self.heard():
            word = command[:4].upper()
            if word == "DATA":
                self.say("354 go on")
                message = "\n".join(iter(self.heard, "."))
                with open(sys.argv[2], "a") as file:
                    file.write(json.dumps({"path": "mail", "body": message}) + "\n")
            if word == "RCPT" and "<refused@" in command:
                self.say("550 nobody of this name")
            elif word == "QUIT":
                self.say("221 gone")
                return
            else:
                self.say("250 taken")


if __name__ == "__main__":
    socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Mail).serve_forever()
