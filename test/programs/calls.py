"""
A client that makes the calls it is told to, in borg's own protocol (serve in borg's remote.py), and nothing else.

    calls.py [PROGRAM ARGUMENT...] <CALLS

CALLS is a JSON array of [METHOD, {NAME: VALUE}]. A value {"hex": "00ff"} stands for bytes. The method "wait" is this
program's own: it says "waiting" and goes on when the file of its argument "for" is there. Prints a line of JSON for
each answer: {"result": …} or {"error": class, "text": what a client would show}. Ends with PROGRAM's exit code.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any

import msgpack


def to_wire(value: Any) -> Any:
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if set(value) == {"hex"} else {k: to_wire(v) for k, v in value.items()}
    return [to_wire(each) for each in value] if isinstance(value, list) else value


def from_wire(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, (list, tuple)):
        return [from_wire(each) for each in value]
    return {str(k): from_wire(v) for k, v in value.items()} if isinstance(value, dict) else value


calls = json.load(sys.stdin)
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert server.stdin and server.stdout
answers = msgpack.Unpacker(raw=True, max_buffer_size=2**30)
for number, (method, arguments) in enumerate(calls):
    if method == "wait":
        print('{"result": "waiting"}', flush=True)
        while not os.path.exists(arguments["for"]):
            time.sleep(0.02)
        continue
    call = {b"i": number, b"m": method, b"a": to_wire(arguments)}
    server.stdin.write(msgpack.packb(call, use_bin_type=False))
    server.stdin.flush()
    answer = None
    while answer is None:
        data = os.read(server.stdout.fileno(), 2**20)
        if not data:
            print('{"error": "end of file", "text": ""}')
            sys.exit(server.wait())
        answers.feed(data)
        answer = next(answers, None)
    if b"exception_class" in answer:
        text = b"\n".join(answer[b"exception_short"]).decode()
        print(json.dumps({"error": answer[b"exception_class"].decode(), "text": text}), flush=True)
    else:
        print(json.dumps({"result": from_wire(answer[b"r"])}), flush=True)
server.stdin.close()
sys.exit(server.wait())
