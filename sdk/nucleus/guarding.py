"""Law: a guarded function runs only after an Allow for exactly these arguments was recorded.

The permit stays with the proxy and is used up there; the function runs here, in the program's own
interpreter. So a guard keeps an honest program inside its policy, counts, asks and records what it
does. It does not hold code that is out to go around it: such code can call what the function calls.
What must hold against a compromised agent runs on the proxy's side of the wall.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, ParamSpec, TypeVar, cast

from nucleus import active, channel
from nucleus.aio.session import AsyncSession
from nucleus.approving import GUARDED
from nucleus.asks import Answered, Ask, Declared
from nucleus.handles import Text
from nucleus.session import Session
from nucleus_tokens.errors import CallerError, NucleusError
from nucleus_tokens.names import EXPOSURES, OPERATIONS

P = ParamSpec("P")
R = TypeVar("R")

PREFIX: Final = "guard:"


def guard(
    operation: str,
    *,
    selectors: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    name: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run a function, or coroutine function, only under a decision.

    `operation` is one of the thirteen. `selectors` names the parameters that choose what is acted
    on, and their kind: path, url, host, ref, argv, recipient, payee, amount, id. All other
    parameters are free text. `labels` are exposures that its result adds: private_data,
    untrusted_content, exfil_vector. `name` is the tool's name in tokens, policy and trace, after
    `guard:`; the function's if left out. A policy file that binds this tool overrides all of it.
    Arguments must be JSON. Raises CallerError `guard.*`; each call raises like any tool.
    """
    said = Declared(operation, dict(selectors or {}), tuple(labels))
    if operation not in OPERATIONS:
        raise CallerError("guard.operation", f"An operation is one of {', '.join(OPERATIONS)}.")
    if not set(labels) <= set(EXPOSURES):
        raise CallerError("guard.labels", f"A label is one of {', '.join(EXPOSURES)}.")

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        tool = PREFIX + (name or function.__name__)
        signature = inspect.signature(function)
        for parameter in said.selectors:
            if parameter not in signature.parameters:
                raise CallerError("guard.selectors", f"{tool} has no parameter {parameter!r}.")

        def asked(args: tuple[Any, ...], named: dict[str, Any]) -> Ask[int]:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            given = {key: _plain(value) for key, value in bound.arguments.items()}
            return Ask(tool, given, _decision, said)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **named: P.kwargs) -> Any:
                async with _let_run_async(asked(args, named)):
                    return await function(*args, **named)

            made = cast("Callable[P, R]", awaited)
        else:

            @functools.wraps(function)
            def called(*args: P.args, **named: P.kwargs) -> R:
                with _let_run(asked(args, named)):
                    return function(*args, **named)

            made = called
        setattr(made, GUARDED, tool)
        return made

    return wrap


@contextmanager
def _let_run(asked: Ask[int]) -> Generator[None]:
    session = _session(asked, Session)
    seq = session.run(asked)
    try:
        yield
    except BaseException:
        try:
            session.request(channel.GUARDED, {"decision": seq, "ok": False})
        except NucleusError:
            pass  # a decision without an outcome counts as having run
        raise
    session.request(channel.GUARDED, {"decision": seq, "ok": True})


@asynccontextmanager
async def _let_run_async(asked: Ask[int]) -> AsyncGenerator[None]:
    session = _session(asked, AsyncSession)
    seq = await session.run(asked)
    try:
        yield
    except BaseException:
        try:
            await session.request(channel.GUARDED, {"decision": seq, "ok": False})
        except NucleusError:
            pass  # as above
        raise
    await session.request(channel.GUARDED, {"decision": seq, "ok": True})


S = TypeVar("S")


def _session(asked: Ask[int], kind: type[S]) -> S:
    if active.asking():
        raise active.Asked(asked)
    found = active.innermost()
    if not isinstance(found, kind):
        raise CallerError(
            "session.other_kind",
            "A coroutine is guarded in a session of nucleus.aio, a function in a Session.",
        )
    return found


def _decision(got: Answered) -> int:
    return got.decision


def _plain(value: object) -> object:
    """An argument in JSON form; a labelled text is judged as the text it is."""
    if isinstance(value, Text):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in cast("Sequence[object]", value)]
    return value
