"""Law: what every peer is asked: the same five constraints, the same call, seen to be allowed."""

from __future__ import annotations

import datetime
import importlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.harness import Operation, constantly

TOOL: Final = "fs.read"
PATH: Final = "/data/team/x/report.txt"
FOREVER: Final = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
KEY: Final = os.urandom(32)
IDENTIFIER: Final = "tok-0123456789abcdef"
PREDICATES: Final = (
    f"exp < {int(FOREVER.timestamp())}",
    "path ^ /data/",
    "tool in fs.list,fs.read",
    "path ^ /data/team/",
    "tool in fs.read",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One library's two operations; not every library can narrow."""

    authorize: Operation
    attenuate: Operation | None = None

    @property
    def operations(self) -> list[Operation]:
        return [self.authorize] if self.attenuate is None else [self.authorize, self.attenuate]


def module(name: str) -> Any:
    """A peer's module: none of them is a dependency, and few of them are typed."""
    return importlib.import_module(name)


def holds(predicate: str) -> bool:
    """The constraints as strings, for libraries that leave their meaning to the caller."""
    kind, _, operand = predicate.partition(" ")
    operand = operand.partition(" ")[2]
    if kind == "exp":
        return time.time() < int(operand)
    if kind == "path":
        return PATH.startswith(operand)
    return kind == "tool" and TOOL in operand.split(",")


def peer(
    name: str,
    decide: Callable[[Any], bool],
    inputs: Callable[[int], Sequence[Any]],
    narrow: Callable[[Any], object] | None = None,
    text: str | None = None,
) -> Peer:
    """A peer, once it was seen to allow the call."""
    (one,) = inputs(1)
    if not decide(one):
        raise AssertionError(f"{name} does not allow the call")
    if narrow is None:
        return Peer(Operation(name, decide, inputs))
    narrow(text)
    return Peer(
        Operation(name, decide, inputs),
        Operation(f"{name}, attenuate", narrow, constantly(text)),
    )
