"""A port for a program that can only be told one, free when it comes to listen there."""

from __future__ import annotations

import itertools
import os
import random
import socket
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_random: Final = random.Random(os.urandom(16))  # not what a test run seeds: two would meet


def free_port() -> int:
    """Below those the kernel gives out, which another's connection may hold a moment later."""
    below = int(_EPHEMERAL.read_text().split()[0])
    for _ in itertools.repeat(None, 1000):
        port = _random.randrange(_FIRST, below)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port from {_FIRST} to {below} is free")
