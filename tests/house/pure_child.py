"""Run by test_kernel_runs_pure.py in a process of its own: decide once, watched.

    pure_child.py make FILE     write one world to FILE, so that several runs judge the same call
    pure_child.py judge FILE    decide it and print the decision

An audit hook sees every file, socket, process and import; the usual doors to clocks, randomness and
the environment are bricked up as well.
"""

from __future__ import annotations

import datetime
import importlib
import os
import pickle
import random
import secrets
import sys
import time
from pathlib import Path
from typing import NoReturn

import nacl.bindings
import nacl.utils

# Python's own, and of no consequence outside the process.
HARMLESS = {"object.__getattr__", "builtins.id", "sys._getframe", "gc.get_objects"}


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("decide() asked for a clock, for randomness or for the environment")


def brick_up() -> None:
    for module, names in (
        (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
        (os, ("urandom", "getenv", "getpid", "open", "stat")),
        (random, ("random", "getrandbits", "randbytes")),
        (secrets, ("token_bytes", "token_hex", "randbelow")),
        (nacl.utils, ("random",)),
        (nacl.bindings, ("randombytes", "crypto_box_seal", "crypto_box_keypair")),
    ):
        for name in names:
            setattr(module, name, refuse)
    datetime.datetime = refuse  # type: ignore[assignment, misc]


def main() -> int:
    _, job, name = sys.argv
    if job == "make":
        Path(name).write_bytes(
            pickle.dumps(importlib.import_module("tests.support.world").small_world())
        )
        return 0
    world = pickle.loads(Path(name).read_bytes())  # noqa: S301  our own file, of a moment ago
    warm = repr(world.decide())  # what is cached or imported late is so by now
    seen: list[str] = []
    watching = False

    def hook(event: str, args: tuple[object, ...]) -> None:
        if watching and event not in HARMLESS:
            seen.append(f"{event} {args!r}"[:200])

    sys.addaudithook(hook)
    brick_up()
    watching = True
    decision = repr(world.decide())
    watching = False
    if seen:
        sys.stderr.write("decide() touched the world:\n" + "\n".join(seen) + "\n")
        return 1
    if decision != warm:
        sys.stderr.write(f"two calls, two answers:\n{warm}\n{decision}\n")
        return 1
    sys.stdout.write(decision + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
