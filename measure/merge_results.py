"""
Puts the parts of new results of bench.py in the place of the same parts of older ones. What is said of the machine is that
of the new ones.

    merge_results.py OLDER NEW    changes OLDER
"""

import re
import sys
from pathlib import Path


def parts_of(text: str) -> tuple[str, dict[str, str]]:
    """@returns what stands before the first part, and each part by its name"""
    head, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    return head, {part.split("\n", 1)[0]: f"{part.rstrip()}\n\n" for part in parts}


def main(older: Path, new: Path) -> None:
    head, found = parts_of(new.read_text())
    _, known = parts_of(older.read_text())
    older.write_text(head + "".join({**known, **found}.values()).rstrip() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
