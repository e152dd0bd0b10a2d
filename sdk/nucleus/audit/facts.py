"""Law: what a configuration says, and where; what it means is for the rules.

Values are as they stand in the file. Nothing here prints a value that may be a secret: that is
decided in `credentials`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. `what` names it so that it is found again when lines move."""

    path: str  # relative to what was scanned, with slashes
    line: int = 1
    what: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a file, with its place: an argument, a description, a line."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as its server lists it."""

    name: str
    description: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Server:
    """One MCP server of a client's configuration."""

    client: str
    name: str
    place: Place
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    signs_in: bool = False  # it says how it is authorised
    disabled: bool = False
    trusted: bool = False  # its calls are not asked about
    approved: tuple[str, ...] = ()  # tools that are not asked about
    cwd: str = ""
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])  # by key or env name
    tools: tuple[Tool, ...] | None = None  # where the server was asked

    @property
    def argv(self) -> tuple[str, ...]:
        return (self.command, *self.args) if self.command else ()

    def at(self, key: str) -> Place:
        """Where one of its keys stands."""
        return self.places.get(key, self.place)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an agent may do without asking, as its settings say."""

    client: str
    place: Place
    allow: tuple[Text, ...] = ()
    deny: tuple[Text, ...] = ()
    bypass: tuple[Text, ...] = ()  # switches that turn asking off
    unconfined: tuple[Text, ...] = ()  # switches that turn a sandbox off
    hooks: tuple[Text, ...] = ()  # commands that run by themselves
    env: tuple[tuple[str, Text], ...] = ()  # name and value


@dataclass(frozen=True, slots=True)
class Instructions:
    """A file whose text an agent obeys, and what it puts into a prompt."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class EnvFile:
    """Names and values of a `.env` file; `ignored` is whether git leaves it out."""

    place: Place
    values: tuple[tuple[str, Text], ...]
    ignored: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job."""

    place: Place
    uses: str = ""
    run: str = ""
    values: tuple[Text, ...] = ()  # of `with` and `env`, whose names are in `what`


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `permissions` is None where nothing is said, and `{"*": "write"}` for write-all."""

    name: str
    place: Place
    permissions: Mapping[str, str] | None
    steps: tuple[Step, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """One GitHub workflow."""

    place: Place
    triggers: tuple[str, ...]
    permissions: Mapping[str, str] | None
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A Dockerfile or a devcontainer: what it runs while it is made, and what it is given."""

    place: Place
    agent: bool  # an agent is installed or started in it
    user: Text | None
    runs: tuple[Text, ...] = ()
    env: tuple[tuple[str, Text], ...] = ()
    options: tuple[Text, ...] = ()  # of `docker run`
    mounts: tuple[Text, ...] = ()
    is_image: bool = True  # a Dockerfile, whose user is its own affair


@dataclass(frozen=True, slots=True)
class NucleusPolicy:
    """A policy file of ours: its bytes, read by the proxy's own parser."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be read as what it is, and why."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Doubled:
    """A key that stands twice: two programs may read two different files."""

    place: Place


Fact = (
    Server
    | Settings
    | Instructions
    | EnvFile
    | Workflow
    | Container
    | NucleusPolicy
    | Unread
    | Doubled
)
