"""
Puts the parts of new results of bench.py in the place of the same parts of older ones, in the chapter of the system that
they were measured on. What is said of that system is that of the new ones.

    merge_results.py OLDER NEW    changes OLDER
"""

import re
import sys
from pathlib import Path


def sections(text: str, marks: str) -> tuple[str, dict[str, str]]:
    """@returns what stands before the first heading with these marks, and each section by its heading"""
    head, *found = re.split(rf"^(?={marks} )", text, flags=re.MULTILINE)
    return head, {section.split("\n", 1)[0]: f"{section.rstrip()}\n\n" for section in found}


def merged(older: str, new: str) -> str:
    """A chapter of which some parts are new."""
    head, found = sections(new, "##")
    _, known = sections(older, "##")
    return head + "".join({**known, **found}.values())


def main(older: Path, new: Path) -> None:
    _, chapters = sections(older.read_text(), "#")
    for title, chapter in sections(new.read_text(), "#")[1].items():
        chapters[title] = merged(chapters.get(title, ""), chapter)
    older.write_text("".join(chapters.values()).rstrip() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
