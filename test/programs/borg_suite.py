"""
A plugin for pytest: borg's tests of remote repositories use the server on this machine, where they would start a
`borg serve` of their own. Only what they take for the repository's location is replaced; from there on it is a client's
borg, its ssh, and the account `suite`.

    PYTEST_PLUGINS=borg_suite pytest borg/testsuite/archiver.py::RemoteArchiverTestCase ...
"""

import argparse
import os
import sys
import tempfile
from typing import Any

from borg.helpers import Location
from borg.remote import RemoteRepository

SERVER = "ssh://suite@127.0.0.1:2222"
LOCAL = "__testsuite__:"  # before a path: where borg's tests want a `borg serve` of their own
TEMPORARY = tempfile.gettempdir() + "/"


def on_server(path: str) -> str:
    """
    Where the server has the repository that a test wants in its temporary folder: /tmp/X/repository is
    /repos/X_repository. A link is left in its place, because some tests look into repositories, or damage them.
    """
    folder, name, *below = path.removeprefix(TEMPORARY).split("/")
    link, there = f"{TEMPORARY}{folder}/{name}", f"/repos/{folder}_{name}"
    if not os.path.islink(link):
        os.symlink(there, link)
    return "/".join([there, *below])


def location_on_server(location: str) -> str:
    path, colons, archive = location.removeprefix(SERVER).removeprefix(LOCAL).partition("::")
    return SERVER + on_server(path) + colons + archive


def use_server_in_archiver_tests(cls: Any) -> None:
    borg_set_up, borg_cmd = cls.setUp, cls.cmd

    def set_up(test: Any) -> None:
        borg_set_up(test)
        test.repository_path = on_server(test.repository_path)
        test.repository_location = SERVER + test.repository_path

    def cmd(test: Any, *words: str, **options: Any) -> Any:
        """For the tests that make further repositories in their temporary folder."""
        local = SERVER + TEMPORARY
        words = tuple(location_on_server(word) if word.startswith(local) else word for word in words)
        return borg_cmd(test, *words, **options)

    cls.prefix, cls.setUp, cls.cmd = SERVER, set_up, cmd


def use_server_in_repository_tests(module: Any) -> None:
    def location(text: str) -> Location:
        return Location(location_on_server(text) if text.startswith(LOCAL) else text)

    module.Location = location


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for cls in {item.cls for item in items}:
        if cls.__name__ == "RemoteArchiverTestCase":
            use_server_in_archiver_tests(cls)
        else:
            use_server_in_repository_tests(sys.modules[cls.__module__])


borg_init = RemoteRepository.__init__


def init(repository: RemoteRepository, location: Location, *others: Any, args: Any = None, **options: Any) -> None:
    """Takes the place of RemoteRepository.__init__, which needs the command line's options where it starts ssh."""
    if args is None:
        args = argparse.Namespace(rsh=None, remote_path=None, debug_topics=[], upload_ratelimit=0, upload_buffer=0)
    borg_init(repository, location, *others, args=args, **options)


RemoteRepository.__init__ = init
