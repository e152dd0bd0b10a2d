"""Law: what can be wrong with one MCP server, by its configuration alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from nucleus.audit import commands, credentials, hidden, knowing, packages
from nucleus.audit.facts import Place, Server, Tool
from nucleus.audit.findings import Finding
from nucleus.audit.making import finding

_LOOPBACK: Final = re.compile(
    r"^(?:localhost|[\w.-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\]|host\.docker\.internal)$"
)
SENSITIVE: Final = re.compile(
    r"(?:^|[/\\~])(?:\.ssh|\.aws|\.gnupg|\.kube|\.docker|\.azure|\.netrc|\.npmrc|\.pypirc|\.password-store)"
    r"(?:[/\\*]|$)|/etc/(?:shadow|sudoers)|(?:^|/)\.config/gcloud"
)
ROOTS: Final = re.compile(
    r"^(?:/|~/?|\$\{?HOME\}?/?|\$\{?env:HOME\}?/?|\$\{userHome\}/?|/home/?|/Users/?|/home/[^/]+/?|"
    r"/Users/[^/]+/?|/(?:root)/?|[A-Za-z]:[\\/]*|%USERPROFILE%[\\/]*|[A-Za-z]:[\\/]+Users[\\/]+[^\\/]+[\\/]*)$"
)


def is_mediated(server: Server) -> bool:
    """Whether it stands behind `nucleus mcp`."""
    words = server.argv
    for index, word in enumerate(words[:6]):
        if packages.base(word) == "nucleus" or word == "nucleus.cli":
            return "mcp" in words[index + 1 : index + 5]
    return False


def behind(server: Server) -> Server:
    """What stands behind `nucleus mcp`, or the server itself."""
    if is_mediated(server) and "--" in server.args:
        rest = server.args[server.args.index("--") + 1 :]
        if rest:
            return replace(server, command=rest[0], args=rest[1:])
    return server


def judge(server: Server) -> Iterator[Finding]:
    """All findings of one server that may be started."""
    if server.disabled:
        return
    real = behind(server)
    yield from _credentials(server)
    yield from _package(real)
    yield from _remote(server)
    yield from _command(real)
    yield from _places(real)
    if server.trusted:
        yield finding(
            "safety-bypass", server.at("command"), "trust",
            f"{server.name}: no call of this server is asked about.",
        )  # fmt: skip
    for each in server.approved:
        if each == "*":
            yield finding("safety-bypass", server.place, "approved/*",
                          f"{server.name}: all its tools run without asking.")  # fmt: skip
    for tool in server.tools or ():
        yield from _described(server, tool)


def _place(server: Server, key: str, what: str) -> Place:
    return replace(server.at(key), what=f"{server.place.what}/{what}")


def _credentials(server: Server) -> Iterator[Finding]:
    for name, value in server.env.items():
        if credentials.is_one(name, value):
            yield finding(
                "plaintext-credential", server.at(f"env:{name}"), "",
                f"{server.name}: {name} is given in clear ({credentials.shown(value)}).",
            )  # fmt: skip
    for name, value in server.headers.items():
        bearer = re.match(r"(?i)(?:Bearer|Basic|token)\s+\S", value)
        if not credentials.refers(value) and (bearer or credentials.is_one(name, value)):
            yield finding(
                "plaintext-credential", server.at(f"hea:{name}"), "",
                f"{server.name}: the header {name} is given in clear.",
            )  # fmt: skip
    if server.url and credentials.inside(server.url):
        yield finding("plaintext-credential", _place(server, "url", "url"), "",
                      f"{server.name}: the address holds a credential.")  # fmt: skip
    for name, _ in credentials.in_words(behind(server).args):
        yield finding(
            "plaintext-credential", _place(server, "command", f"args/{name}"), "",
            f"{server.name}: {name.lstrip('-')} holds a credential, and every process of this "
            "machine can read a command line.",
        )  # fmt: skip


def _package(server: Server) -> Iterator[Finding]:
    package = packages.of(server.argv)
    if package is None:
        return
    place = _place(server, "command", f"package/{package.name}")
    if not package.pinned:
        said = f" (says {package.version})" if package.version else ""
        example = {"npm": f"{package.name}@1.2.3", "pypi": f"{package.name}==1.2.3"}.get(
            package.registry, f"{package.name}@sha256:…"
        )
        yield finding(
            "unpinned-server", place, "",
            f"{server.name}: {package.name} has no exact version{said}.",
            fix=f"Pin it, as in {example}.",
        )  # fmt: skip
    other = packages.lookalike(package)
    if other is not None:
        yield finding("lookalike-server", place, "",
                      f"{server.name}: {package.name} is not {other}, but nearly so.")  # fmt: skip


def _remote(server: Server) -> Iterator[Finding]:
    urls = [server.url] if server.url else []
    urls += [word for word in server.args if re.match(r"(?i)(?:http|ws|sse)s?://", word)]
    for url in urls:
        found = re.match(r"(?i)([a-z][a-z0-9+.-]*)://(?:[^/@]*@)?(\[[^\]]*\]|[^/:?#]*)", url)
        if found is None or _LOOPBACK.match(found[2].lower()):
            continue
        if found[1].lower() in ("http", "ws") and (
            url == server.url or "mcp-remote" in server.args
        ):
            yield finding("remote-without-tls", _place(server, "url", "url"), "",
                          f"{server.name}: {found[2]} is reached without TLS.")  # fmt: skip
        elif url == server.url and not server.headers and not server.signs_in:
            if not credentials.inside(url):
                yield finding("remote-without-auth", _place(server, "url", "auth"), "",
                              f"{server.name}: {found[2]} is given no authorisation.")  # fmt: skip


def _command(server: Server) -> Iterator[Finding]:
    for why in commands.argv_dangers(server.argv):
        yield finding("dangerous-command", _place(server, "command", f"command/{why}"), "",
                      f"{server.name}: {why}.")  # fmt: skip
    for name in server.env:
        if name in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONSTARTUP"):
            yield finding("dangerous-command", server.at(f"env:{name}"), "",
                          f"{server.name}: {name} loads code into it.")  # fmt: skip
        if name == "NODE_TLS_REJECT_UNAUTHORIZED" and server.env[name] == "0":
            yield finding("remote-without-tls", server.at(f"env:{name}"), "",
                          f"{server.name}: certificates are not checked.")  # fmt: skip


def writes_files(server: Server) -> bool:
    """Whether it is one that reads and writes the folders in its arguments."""
    kind = packages.known(server.argv, server.url)
    return kind is not None and 1 in kind.operations and kind == knowing.SERVERS["mcp/filesystem"]


def _places(server: Server) -> Iterator[Finding]:
    for index, word in enumerate(server.args):
        value = word.partition("=")[2] if word.startswith("-") and "=" in word else word
        if SENSITIVE.search(value):
            yield finding("sensitive-path", _place(server, "command", f"args/{word}"), "",
                          f"{server.name}: it is given {value}.")  # fmt: skip
        elif index and writes_files(server) and ROOTS.match(value):
            yield finding("broad-filesystem", _place(server, "command", f"args/{word}"), "",
                          f"{server.name}: it may read and write all of {value}.")  # fmt: skip


def _described(server: Server, tool: Tool) -> Iterator[Finding]:
    texts = [tool.description, *_descriptions(tool.schema)]
    for text in texts:
        seen = hidden.characters(text)
        if seen:
            yield finding("hidden-unicode", _place(server, "command", f"tools/{tool.name}"), "",
                          f"{server.name}: the tool {tool.name} describes itself with {seen}."
                          )  # fmt: skip
        said = hidden.steering(text, everywhere=True)
        if said:
            yield finding("hidden-instruction", _place(server, "command", f"tools/{tool.name}"), "",
                          f"{server.name}: the tool {tool.name} tells the agent: {said!r}."
                          )  # fmt: skip


def _descriptions(value: object, depth: int = 0) -> Iterator[str]:
    from nucleus.shapes import items, table

    if depth < 8:
        found = table(value) or {}
        for key, each in found.items():
            if key == "description" and type(each) is str:
                yield each
            else:
                yield from _descriptions(each, depth + 1)
        for each in items(value) or ():
            yield from _descriptions(each, depth + 1)
