"""Prints the options of the installed borg that take a value, but for those of borg serve."""

import argparse
from collections.abc import Iterator

from borg.archiver import Archiver


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, commands_parser in action.choices.items():
                if command != "serve":
                    yield from options(commands_parser)
        elif action.option_strings and action.nargs != 0:
            yield from action.option_strings


print(*sorted(set(options(Archiver(prog="borg").build_parser()))))
