"""
Sends one message, or calls one address, and says how it went. An order is a line of JSON on standard input, the answer one
on standard output (src/keeper/teller-process.ts). Addresses hold secrets: no part of one is printed but its scheme, and
nothing that the libraries log.

What a settings file names must not become a way to what only this machine reaches, such as a cloud's metadata. So where an
order is not marked private, connections are refused by the address that is really connected to: neither a name whose
address changes nor a redirect leads around that.
"""

import ipaddress
import json
import logging
import re
import signal
import socket
import sys
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import apprise
import requests

# In seconds: for one order, and for one answer of an address that is called.
WHOLE, ANSWER = 40, 10

# Where clouds answer their machines, beside link-local addresses: EC2 (IPv6), Alibaba, Azure, Oracle.
METADATA = [ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")]

# What reaches this machine and nobody else, or starts programs on it.
HERE = {"dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows", "syslog"}

KINDS = {
    "info": apprise.NotifyType.INFO,
    "success": apprise.NotifyType.SUCCESS,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
}


class Refused(OSError):
    """An address of this machine, or of its link."""


def is_near(host: str) -> bool:
    """Whether an address is this machine's own, its link's, or a cloud's metadata service."""
    address: Any = ipaddress.ip_address(host.split("%")[0])
    forms = [address]
    if address.version == 6:
        # What carries an IPv4 address: mapped, 6to4, Teredo, NAT64 (RFC 6052), compatible (RFC 4291).
        forms += [each for each in (address.ipv4_mapped, address.sixtofour) if each]
        forms += list(address.teredo or [])
        low = int(address) & 0xFFFFFFFF
        if address in ipaddress.ip_network("64:ff9b::/96") or int(address) >> 32 == 0:
            forms.append(ipaddress.ip_address(low))
    return any(
        each.is_loopback
        or each.is_link_local
        or each.is_unspecified
        or each.is_multicast
        or (each.is_reserved and each.version == 4)
        or each in METADATA
        for each in forms
    )


def _is_own(family: int, host: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host.split("%")[0], 0))
    except OSError:
        return False
    return True


def keep_away() -> None:
    """Has every connection of this process go to other machines alone."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def demand(self: socket.socket, address: Any) -> None:
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            raise Refused("it is not an address of the network")
        if is_near(address[0]) or _is_own(self.family, address[0]):
            raise Refused("it is an address of this machine or of its link")

    def guarded(self: socket.socket, address: Any) -> None:
        demand(self, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        demand(self, address)
        return connect_ex(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]
    socket.socket.connect_ex = guarded_ex  # type: ignore[method-assign, assignment]


class Heard(logging.Handler):
    """What the libraries said, which is never printed: only what kind of failure it was is taken from it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()}\n"

    def reason(self) -> str:
        if "of this machine or of its link" in self.text:
            return NEAR
        if code := re.search(r"\berror[ =:]+([1-5][0-9]{2})\b", self.text):
            return f"it answered with {code[1]}"
        if re.search(r"timed? ?out", self.text, re.IGNORECASE):
            return "it did not answer in time"
        if re.search(r"connection|name resolution|socket", self.text, re.IGNORECASE):
            return "it could not be reached"
        return "it did not take the message"


NEAR = "it is an address of this machine or of its link, which a settings file may name with PING_PRIVATE=1 alone"


def listen() -> Heard:
    """Takes what the libraries log away from standard error."""
    heard = Heard()
    logging.root.handlers = [heard]
    logging.root.setLevel(logging.DEBUG)
    for name in ("apprise", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.DEBUG)
    return heard


def send(url: str, title: str, body: str, level: str) -> str | None:
    """@returns why it was not taken, or None"""
    heard = listen()
    if urlsplit(url).scheme.lower() in HERE:
        return "addresses of this kind reach this machine alone"
    asset = apprise.AppriseAsset(plugin_paths=[], storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="borgserver")
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return "this is not an address that Apprise knows"
    kind = KINDS.get(level, apprise.NotifyType.INFO)
    taken = service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return None if taken else heard.reason()


def ping(url: str, failed: bool) -> str | None:
    """@returns why it was not taken, or None"""
    listen()
    parts = urlsplit(url)
    if failed:
        parts = parts._replace(path=f"{parts.path.rstrip('/')}/fail")
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.max_redirects = 3
            answer = session.post(urlunsplit(parts), timeout=ANSWER, stream=True)
    except requests.Timeout:
        return "it did not answer in time"
    except requests.RequestException as error:
        return NEAR if "of this machine or of its link" in str(error) else "it could not be reached"
    return None if answer.ok else f"it answered with {answer.status_code}"


def obey(order: dict[str, Any]) -> list[str | None]:
    if order.get("private") is not True:
        keep_away()
    if "ping" in order:
        return [ping(order["ping"]["url"], order["ping"]["failed"] is True)]
    message = order["send"]
    return [send(url, message["title"], message["body"], message["level"]) for url in message["urls"]]


def main() -> None:
    signal.alarm(WHOLE)
    order = json.loads(sys.stdin.readline())
    try:
        results = obey(order)
    except Exception as error:  # noqa: BLE001 - whatever it says may hold the address
        results = [f"sending failed ({type(error).__name__})"]
    print(json.dumps({"id": order.get("id"), "results": results}), flush=True)


if __name__ == "__main__":
    main()
