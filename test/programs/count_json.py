"""Prints how many JSON documents standard input has, one behind the other, and fails where it has anything else."""

import json
import sys

text = sys.stdin.read().strip()
count = 0
while text:
    _, end = json.JSONDecoder().raw_decode(text)
    text = text[end:].strip()
    count += 1
print(count)
