"""
Sends one message, or calls one address, and says how it went. An order is a line of JSON on standard input, the answer one
on standard output (src/teller/teller-process.ts). Addresses hold secrets: no part of one is ever printed, nor what the
libraries log.

What a settings file names must not become a way to what only this machine reaches, such as a cloud's metadata. So where an
order is not marked private, connections are refused by the address that is really connected to: neither a name whose
address changes nor a redirect leads around that.
"""

import contextlib
import ipaddress
import json
import logging
import os
import re
import resource
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import apprise
import certifi
import requests
from apprise.manager_plugins import NotificationManager

sys.path.insert(0, "/usr/local/lib/borgserver")
import wall  # noqa: E402

sys.path.pop(0)

# In seconds: for all of a message, and for an address that is called.
MESSAGE, PING = 30, 10

MOST_REDIRECTS = 3

# The system's certificates, where it has some; otherwise those that come with requests.
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

MEMORY = 512 << 20  # bytes; it takes a tenth of that

KINDS = {
    "info": apprise.NotifyType.INFO,
    "success": apprise.NotifyType.SUCCESS,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
}

# Kinds of address that reach this machine alone: its desktop, its log, what is plugged into it.
HERE = {"dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows", "syslog", "blink1"}

NEAR = "it is an address of this machine or of its link, which settings files may name with PING_PRIVATE=1 alone"
LATE = "it did not answer in time"
UNREACHABLE = "it could not be reached"

# Where nobody else can be: this machine, its link, groups, and what is not assigned (RFC 6890). Clouds answer their machines
# at some that could be anybody's, each by its own documentation: Azure's wire server, Alibaba, Oracle (192.0.0.192), EC2,
# Google, Oracle, Scaleway, Linode.
NEAR_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("168.63.129.16/32", "100.100.100.200/32"),
        *("fd00:ec2::/32", "fd20:ce::/32", "fd00:c1::/32", "fd00:42::/32", "fd00:a9fe:a9fe::/48"),
    )
]
# All that can be another machine's in IPv6: global unicast and unique local addresses (RFC 4291, RFC 4193).
FAR_IPV6 = [ipaddress.ip_network(network) for network in ("2000::/3", "fc00::/7")]
# An IPv4 address in the last 32 bits: mapped and compatible (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052, RFC 8215).
CARRIES_IPV4 = [
    ipaddress.ip_network(network)
    for network in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
]


def is_near(host: str) -> bool:
    """Whether an address is this machine's own, its link's, or a cloud's metadata service."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in NEAR_NETWORKS)
    carried = [ipaddress.ip_address(int(address) & 0xFFFFFFFF) for network in CARRIES_IPV4 if address in network]
    if carried:
        return is_near(str(carried[0]))
    tunnelled = [address.sixtofour, *(address.teredo or ())]
    if any(end is not None and is_near(str(end)) for end in tunnelled):
        return True
    return not any(address in network for network in FAR_IPV6) or any(address in network for network in NEAR_NETWORKS)


def is_own(host: str) -> bool:
    """Whether an address is one of this machine's: only those can be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return True
    return False


class Guard:
    """Judges each connection of this process (an audit hook, PEP 578), whichever library makes it."""

    def __init__(self) -> None:
        self.keeps_away = False
        self.refused = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.keeps_away or event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            return
        connection, address = arguments
        if address is not None and self._is_refused(connection.family, address):
            self.refused = True
            raise PermissionError("not to this address")

    @staticmethod
    def _is_refused(family: int, address: Any) -> bool:
        if family not in (socket.AF_INET, socket.AF_INET6):
            return True
        try:
            return is_near(address[0]) or is_own(address[0])
        except ValueError:
            return True  # a name, whose address nobody has looked at


guard = Guard()


class Heard(logging.Handler):
    """What went wrong, in our own words, as what the libraries say may hold the address."""

    def __init__(self) -> None:
        super().__init__()
        self._reason = ""
        self._text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self._text += f"{record.getMessage()}\n"

    def answered(self, answer: requests.Response) -> None:
        self._reason = "it answered, but took nothing" if answer.ok else f"it answered with {answer.status_code}"

    def failed(self, error: requests.RequestException) -> None:
        if isinstance(error, requests.exceptions.SSLError):
            self._reason = "its certificate is not one that is trusted"
        elif isinstance(error, requests.Timeout):
            self._reason = LATE
        elif isinstance(error, requests.TooManyRedirects):
            self._reason = "it redirects too often"
        elif isinstance(error, requests.ConnectionError):
            self._reason = NEAR if guard.refused else UNREACHABLE

    @property
    def why(self) -> str:
        if self._reason:
            return self._reason
        if guard.refused:
            return NEAR
        if re.search(r"timed? ?out", self._text, re.IGNORECASE):
            return LATE
        # A mail server's answer, as smtplib's errors show it.
        if code := re.search(r"\(([45][0-9]{2}), b['\"]", self._text):
            return f"it answered with {code[1]}"
        if re.search(r"connection|name resolution|socket", self._text, re.IGNORECASE):
            return UNREACHABLE
        return "it did not take the message"


def trusted() -> str:
    return CERTIFICATES if os.path.exists(CERTIFICATES) else certifi.where()


def listen() -> Heard:
    """Takes what the libraries log away from standard error, and looks at what they ask for."""
    heard = Heard()
    logging.root.handlers = [heard]
    logging.root.setLevel(logging.DEBUG)
    for name in ("apprise", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.DEBUG)

    def request(self: requests.Session, *words: Any, **options: Any) -> requests.Response:
        self.trust_env = False
        self.max_redirects = MOST_REDIRECTS
        if options.get("verify") in (None, True):
            options["verify"] = trusted()
        try:
            answer = plain_request(self, *words, **options)
        except requests.RequestException as error:
            heard.failed(error)
            raise
        heard.answered(answer)
        return answer

    requests.Session.request = request  # type: ignore[method-assign]
    return heard


plain_request = requests.Session.request


def send(url: str, title: str, body: str, level: str) -> str | None:
    """@returns why it was not taken, or None"""
    heard = listen()
    scheme = urlsplit(url).scheme.lower()
    plugins = NotificationManager()
    if scheme in HERE:
        return "addresses of this kind reach this machine alone"
    if scheme in plugins and not plugins[scheme].enabled:
        return "what Apprise needs for addresses of this kind is not installed"
    asset = apprise.AppriseAsset(plugin_paths=[], storage_mode=apprise.PersistentStoreMode.MEMORY, app_id="borgserver")
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return "this is not an address that Apprise knows"
    kind = KINDS.get(level, apprise.NotifyType.INFO)
    taken = service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    return None if taken else heard.why


def ping(url: str, failed: bool) -> str | None:
    """@returns why it was not taken, or None"""
    heard = listen()
    parts = urlsplit(url)
    if failed:
        parts = parts._replace(path=f"{parts.path.rstrip('/')}/fail")
    try:
        answer = requests.post(urlunsplit(parts), timeout=PING, stream=True)
    except requests.RequestException:
        return heard.why
    return None if answer.ok else heard.why


def within(seconds: float, action: Callable[[], str | None]) -> str | None:
    """Does something, and waits for it no longer than that, whatever it waits for: a name server, or single bytes."""
    result: str | None = LATE

    def act() -> None:
        nonlocal result
        try:
            result = action()
        except Exception as error:  # noqa: BLE001 - whatever it says may hold the address
            result = NEAR if guard.refused else f"sending failed ({type(error).__name__})"

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    return result


def obey(order: dict[str, Any]) -> list[str | None]:
    guard.keeps_away = order.get("private") is not True
    if "ping" in order:
        return [within(PING, partial(ping, order["ping"]["url"], order["ping"]["failed"] is True))]
    message = order["send"]
    results = []
    for url in message["urls"]:
        guard.refused = False
        action = partial(send, url, message["title"], message["body"], message["level"])
        results.append(within(MESSAGE / len(message["urls"]), action))
    return results


def main() -> None:
    # As the teller, but without programs and without what the page shows: the one who gets a message is not to get that.
    rules = [("read" if rights == "run" else rights, path) for rights, path in wall.NETWORK]
    wall.close_in([*rules, ("read", "/opt/apprise")], narrow=False)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))  # whatever an answer is long
    sys.addaudithook(guard)
    os.environ["SSL_CERT_FILE"] = trusted()  # for mail
    answer = os.dup(1)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for a library that prints
    identity = None
    try:
        order = json.loads(sys.stdin.readline())
        identity = order["id"]
        results = obey(order)
    except (ValueError, LookupError, TypeError, AttributeError):
        results = ["the order is not one that is known"]
    os.write(answer, f"{json.dumps({'id': identity, 'results': results})}\n".encode())
    os._exit(0)  # without waiting for what did not answer in time


if __name__ == "__main__":
    main()
