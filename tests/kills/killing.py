"""SIGKILL of the own process at a named point of the code: before a function runs, or once it has.

A point is `>Class.method` (before) or `<Class.method` (after), or `>module.function` of a function
written in C; `#n` at its end means the n-th time. `any#n` is the n-th step of all, whatever it
is. Of several, apart by spaces, each counts from where the one before it was passed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

ANY: Final = "any"
_EDGES: Final = {"call": ">", "return": "<", "c_call": ">", "c_return": "<"}


def die_at(points: str) -> None:
    """Be killed at the last of these points; every thread looks out."""
    waits = [_parsed(each) for each in points.split(" ")]
    counts = [0] * len(waits)
    lock = threading.Lock()

    def look(frame: FrameType, event: str, arg: Any) -> None:
        name, edge, nth = waits[0]
        if name != ANY and (_EDGES.get(event) != edge or _name(frame, event, arg) != name):
            return
        with lock:
            counts[0] += 1
            if counts[0] < nth:
                return
            if len(waits) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            del waits[0], counts[0]

    threading.setprofile(look)
    sys.setprofile(look)


def _parsed(point: str) -> tuple[str, str, int]:
    name, _, nth = point.partition("#")
    return (name, "", int(nth)) if name == ANY else (name[1:], name[0], int(nth or 1))


def _name(frame: FrameType, event: str, arg: Any) -> str:
    if event.startswith("c_"):
        return f"{getattr(arg, '__module__', None)}.{getattr(arg, '__name__', None)}"
    return frame.f_code.co_qualname
