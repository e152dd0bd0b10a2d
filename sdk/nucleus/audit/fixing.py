"""Law: a client's servers are put behind `nucleus mcp`, once, and can be put back as they were.

Secrets go into the vault, and so does what the file was before: neither is written in clear
anywhere. A file that changed meanwhile is not touched. What a server that nobody could ask is for
is not guessed: it stays as it is, and the report says why.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nucleus.audit import credentials, drafting, live, packages, rewriting
from nucleus.audit.facts import Server, Tool
from nucleus.audit.rewriting import Road
from nucleus.audit.rules_servers import is_mediated
from nucleus.shapes import items, table
from nucleus.vault import Vault
from nucleus_issuer import files
from nucleus_tokens.errors import CallerError, WorldError

if TYPE_CHECKING:
    from nucleus.home import Home

_MOST: Final = 1024 * 1024
# What is fetched at each start, or reaches a network, cannot run in a cell that has none.
_REACHES: Final = frozenset((6, 7, 9, 10, 11))  # searches, fetches, pushes, publishes, pods


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to one file."""

    path: Path
    mediated: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()  # names of the secrets in the vault
    outside: tuple[str, ...] = ()  # servers that run outside of a cell
    denied: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    left: Mapping[str, str] = field(default_factory=dict[str, str])  # server -> why it stays


class Fixer:
    """Puts servers behind the proxy of one home."""

    def __init__(self, home: Home, program: Sequence[str]) -> None:
        """`program` is how `nucleus` is started. Raises CallerError `home.missing`."""
        self._home, self._program = home, tuple(program)
        self._secrets = Vault.secrets(home)
        self._before = Vault(home, home.state / "audit")

    def fix(
        self,
        path: Path,
        servers: Sequence[Server],
        tools: Mapping[str, tuple[Tool, ...] | str],
        *,
        token: Path,
        workspace: Path,
    ) -> Done:
        """Rewrite one file. `tools` are what each server listed, or why it was not asked. Raises
        CallerError `audit.*`, WorldError."""
        real, before, mode = _read(path)
        form = rewriting.form(real.name)
        said = form.value(before)
        left: dict[str, str] = {}
        changes: dict[Road, Any] = {}
        moved: list[str] = []
        outside: list[str] = []
        denied: dict[str, tuple[str, ...]] = {}
        for server in servers:
            why = _unfit(server, tools.get(server.name))
            listed = tools.get(server.name)
            keys: Road = tuple(server.place.what.split("/"))
            value = table(_at(said, keys))
            if why or value is None or isinstance(listed, str) or listed is None:
                left[server.name] = why or "it was not found again"
                continue
            base = f"{_slug(server.name)}-{_digest(chr(0).join((str(real), server.place.what)))}"
            secrets, passed, plain = self._environment(server, base)
            # Codex names there what it hands on of its own environment.
            passed += [each for each in items(value.get("env_vars")) or () if type(each) is str]
            moved += secrets.values()
            made = drafting.draft(
                listed,
                workspace=str(workspace),
                outside=_outside(server, listed),
                readable=_shown(server, workspace),
                env=plain,
                about=f"For {server.name}, which {server.client} starts",
            )
            if _outside(server, listed):
                outside.append(server.name)
            if made.denied:
                denied[server.name] = made.denied
            policy = self._policy(base, made.text)
            changes[keys] = rewriting.entry(
                value, server.argv, self._program,
                token=str(token), policy=str(policy), secrets=secrets, passed=passed,
            )  # fmt: skip
        if changes:
            try:
                after = _changed(form, real, before, changes)
            except CallerError:
                for name in moved:
                    self._secrets.remove(name)
                raise
            said = form.value(after)
            self._keep(real, before, after, {keys: _at(said, keys) for keys in changes}, moved)
            _write(real, before, after, mode)
        names = tuple(str(keys[-1]) for keys in changes)
        return Done(real, names, tuple(moved), tuple(outside), denied, left)

    def unfix(self, path: Path) -> Done | None:
        """Put a file back as it was; where it was edited since, its servers alone. None for one
        that was not changed here."""
        real, now, mode = _read(path)
        name = _record(real)
        if name not in self._before.names():
            return None
        record = json.loads(self._before.get(name))
        before = base64.b64decode(record["before"]).decode()
        kept = {tuple(keys): value for keys, value in record["entries"]}
        form = rewriting.form(real.name)
        left: dict[str, str] = {}
        back: dict[Road, Any] = {}
        for keys, value in kept.items():
            try:
                same = _at(form.value(now), keys) == value
            except ValueError:
                same = False
            if same:
                back[keys] = form.stood(before, keys)
            else:
                left[str(keys[-1])] = "it was edited since"
        whole = _sha(now) == record["after"]
        _write(real, now, before if whole else _changed(form, real, now, back), mode)
        if not left:
            for secret in record["secrets"]:
                self._secrets.remove(secret)
            self._before.remove(name)
        return Done(real, tuple(str(keys[-1]) for keys in back), left=left)

    def _environment(
        self, server: Server, base: str
    ) -> tuple[dict[str, str], list[str], dict[str, str]]:
        """Variables whose values are kept, are the client's to fill in, and are plain."""
        secrets: dict[str, str] = {}
        passed: list[str] = []
        plain: dict[str, str] = {}
        for variable, value in server.env.items():
            if credentials.is_one(variable, value):
                name = f"{base}.{_slug(variable)}"
                self._secrets.put(name, value.encode("utf-8", "surrogateescape"))
                secrets[variable] = name
            elif "$" in value or credentials.named(variable):
                passed.append(variable)
            else:
                plain[variable] = value
        return secrets, passed, plain

    def _policy(self, base: str, drafted: str) -> Path:
        """Where the server's policy stands. One that is there stays: somebody may have read it."""
        folder = self._home.config / "servers"
        files.private_directory(folder)
        path = folder / f"{base}.toml"
        if not path.exists():
            files.create(path, drafted.encode())
        return path

    def _keep(
        self, real: Path, before: str, after: str, changes: Mapping[Road, Any], moved: list[str]
    ) -> None:
        name = _record(real)
        record: dict[str, Any] = {"before": before, "entries": [], "secrets": []}
        if name in self._before.names():  # fixed before: what it was at first is kept
            record = json.loads(self._before.get(name))
            record["before"] = base64.b64decode(record["before"]).decode()
            form = rewriting.form(real.name)
            first = form.value(record["before"])
            known = {tuple(keys) for keys, _ in record["entries"]}
            new = [keys for keys in changes if keys not in known]
            if any(_at(first, keys) is None for keys in new):
                # Servers that came later: then the file before this time is what it was.
                now = form.value(before)
                record["before"] = _changed(form, real, before, {
                    keys: form.stood(record["before"], keys) for keys in known
                    if _at(first, keys) is not None and _at(now, keys)
                })  # fmt: skip
        entries = {tuple(keys): value for keys, value in record["entries"]} | dict(changes)
        made = {
            "path": str(real),
            "before": base64.b64encode(str(record["before"]).encode()).decode(),
            "after": _sha(after),
            "entries": [[list(keys), value] for keys, value in entries.items()],
            "secrets": sorted({*record["secrets"], *moved}),
        }
        self._before.put(name, json.dumps(made).encode())


def _unfit(server: Server, listed: tuple[Tool, ...] | str | None) -> str:
    """Why a server stays as it is; empty if it does not."""
    if is_mediated(server):
        return "it is behind the proxy already"
    if not server.command:
        return "it is remote: `nucleus mcp` starts servers"
    if server.disabled:
        return "it is switched off"
    if listed is None or isinstance(listed, str):
        return f"its tools are not known: {listed or 'it was not asked'}"
    return ""


def _changed(form: rewriting.Form, real: Path, source: str, changes: Mapping[Road, Any]) -> str:
    """Raises CallerError `audit.rewrite` for a file that cannot be changed in part."""
    try:
        return form.replaced(source, changes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CallerError(
            "audit.rewrite",
            f"{real} cannot be changed so that the rest of it stays as it is.",
            hint="Paste what this says: nucleus audit --live --suggest",
        ) from error


def _outside(server: Server, tools: Sequence[Tool]) -> bool:
    from nucleus.audit import knowing

    kinds = [knowing.tool(tool.name, tool.annotations) for tool in tools]
    return packages.of(server.argv) is not None or any(
        kind.operations & _REACHES for kind in kinds if kind is not knowing.OPAQUE
    )


def _shown(server: Server, workspace: Path) -> list[str]:
    """What the cell of a program must show besides the workspace: the files it is made of."""
    inside = str(workspace) + os.sep
    return [
        live.made_of(word)
        for word in server.args[:2]
        if word.startswith("/") and os.path.isfile(word) and not word.startswith(inside)
    ]


def _at(value: Any, keys: Road) -> Any:
    for key in keys:
        value = (table(value) or {}).get(str(key))
    return value


def _read(path: Path) -> tuple[Path, str, int]:
    real = Path(os.path.realpath(path))
    try:
        with open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MOST + 1)
        if not stat.S_ISREG(status.st_mode) or len(data) > _MOST:
            raise ValueError
        return real, data.decode("utf-8"), stat.S_IMODE(status.st_mode)
    except (OSError, ValueError) as error:
        raise WorldError("audit.unreadable", f"{path} cannot be read as it is.") from error


def _write(real: Path, before: str, after: str, mode: int) -> None:
    """Raises CallerError `audit.changed` when somebody wrote it since it was read."""
    if real.read_bytes() != before.encode():
        raise CallerError("audit.changed", f"{real} changed meanwhile; nothing was written to it.")
    files.replace(real, after.encode(), mode)


def _record(real: Path) -> str:
    return f"file-{_digest(str(real))}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _sha(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "server"


def program(found: str | None, home: str | None, interpreter: str) -> list[str]:
    """How a client starts `nucleus`, by its full path: clients have paths of their own."""
    words = [os.path.abspath(found)] if found else [interpreter, "-m", "nucleus.cli"]
    return words + (["--home", os.path.abspath(home)] if home else [])
