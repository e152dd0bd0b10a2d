"""Law: a URL has one reading or none; what is requested is what was judged.

`parse` accepts http and https with a host, an optional port, a path and a query in the characters
of RFC 3986, and nothing that two readers could read differently: no user, no backslash, no blank,
no IPv4 address in another spelling, no dot segment in any encoding. A fragment is never sent, so it
is dropped. It is pure.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes, urljoin

from nucleus_tokens.errors import CredentialError
from nucleus_verifier import resources

MOST_CHARS: Final = 8192
PORTS: Final = {"http": 80, "https": 443}
_PCHAR: Final = r"[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
    rf"(?P<path>(?:/(?:{_PCHAR})*)*)(?P<query>\?(?:{_PCHAR}|[/?])*)?(?:\#(?:{_PCHAR}|[/?])*)?",
    re.IGNORECASE | re.ASCII,
)
# What a server may take for a separator or an end once it has decoded a path.
_NEVER_IN_PATH: Final = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """One request's destination. `host` is lower case, without brackets; `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """The host as a URL spells it: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """What a Host header says, and what a host scope is matched against."""
        return self.name if self.port == PORTS[self.scheme] else f"{self.name}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        """The canonical spelling."""
        return self.origin + self.path

    @property
    def literal(self) -> bool:
        """Whether the host is an address and no name."""
        return is_address(self.host)


def _refuse(why: str) -> NoReturn:
    raise CredentialError("net.url", f"This URL cannot be used: {why}.")


def is_address(host: str) -> bool:
    """Whether a host is an IP address in its one spelling."""
    try:
        return str(ipaddress.ip_address(host)) == host
    except ValueError:
        return False


def parse(text: object) -> Target:
    """Read a URL. Raises CredentialError `net.url`."""
    if type(text) is not str:
        _refuse("it is not a text")
    if len(text) > MOST_CHARS:
        _refuse(f"it has more than {MOST_CHARS} characters")
    match = _URL.fullmatch(text)
    if match is None:
        if "@" in text.partition("://")[2].partition("/")[0]:
            _refuse("it names a user before the host")
        _refuse("only http and https, and every other character in %XX form")
    scheme, port = match["scheme"].lower(), match["port"]
    host = _host(match["host"].lower())
    number = PORTS[scheme] if port is None else int(port)
    if number > 65535:
        _refuse("there is no such port")
    _check_path(match["path"])
    return Target(scheme, host, number, (match["path"] or "/") + (match["query"] or ""))


def host_and_port(text: object) -> tuple[str, int]:
    """Read the authority of a CONNECT (RFC 9110 section 9.3.6): a name and a port, both there.
    Raises CredentialError `net.url`."""
    if type(text) is not str or len(text) > 300:
        _refuse("a CONNECT names HOST:PORT")
    name, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) or int(port) > 65535:
        _refuse("a CONNECT names HOST:PORT")
    return _host(name.lower()), int(port)


def join(base: Target, location: str) -> Target:
    """Where a redirect from `base` leads. Raises CredentialError `net.url`."""
    # urljoin cleans away what parse must see.
    if not 0 < len(location) <= MOST_CHARS or not location.isprintable() or " " in location:
        _refuse("the redirect leads to no URL")
    try:
        return parse(urljoin(base.url, location))
    except ValueError:
        _refuse("the redirect leads to no URL")


def _host(name: str) -> str:
    if name.startswith("["):
        inner = name[1:-1]
        if not name.endswith("]") or ":" not in inner or not is_address(inner):
            _refuse("an IPv6 address has one spelling (RFC 5952)")
        return inner
    labels = name.split(".")
    if resources.host(name) != name or ":" in name:
        _refuse("the host is not a name, or an address in another spelling")
    if any(not 0 < len(label) <= 63 or label[0] == "-" or label[-1] == "-" for label in labels):
        _refuse("the host is not a name")
    return name


def _check_path(path: str) -> None:
    """A path that leads up, once or twice decoded, is not under the prefix it seems to be."""
    seen = path.encode()
    for _ in range(3):
        if _NEVER_IN_PATH.search(seen):
            _refuse("the path holds a control character")
        if {b".", b".."} & set(re.split(rb"[/\\;]", seen)):
            _refuse("the path holds a dot segment")
        seen = unquote_to_bytes(seen)
