"""
Gives a file one of two contents and the other, in turn, until it is killed.

    alternate.py renamed|rewritten FILE CONTENT CONTENT

renamed: by a file beside it that is renamed into place; rewritten: emptied and written again.
"""

import itertools
import os
import sys
from pathlib import Path

way, path = sys.argv[1:3]
folder, name = os.path.split(path)
beside = f"{folder}/.{name}"
for content in itertools.cycle([Path(file).read_bytes() for file in sys.argv[3:]]):
    with open(beside if way == "renamed" else path, "wb", buffering=0) as file:
        file.write(content)
    if way == "renamed":
        os.rename(beside, path)
