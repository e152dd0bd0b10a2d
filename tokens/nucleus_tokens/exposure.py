"""Law: what a session has seen only grows; when all three legs meet, nothing leaves unasked.

Three bits: private data was read, untrusted content came in, a way out was used. They join by
|, a monoid with unit 0. What a call leaves behind and what it could do is in `projection.py`; the
gate judges the projection, before the call.

This module stays inside the provable subset: functions over int, bool and tuple[int, ...].
"""

PRIVATE_DATA: int = 1
UNTRUSTED_CONTENT: int = 2
EXFIL_VECTOR: int = 4
NOTHING: int = 0
ALL: int = 7


def valid(e: int) -> bool:
    """Nothing but the three bits."""
    return e & ~ALL == 0


def join(a: int, b: int) -> int:
    """Seen in either."""
    return a | b


def leq(a: int, b: int) -> bool:
    """a has seen nothing that b has not."""
    return a & ~b == 0


def complete(e: int) -> bool:
    """All three legs stand: the state is uninhabitable."""
    return e & ALL == ALL


def gates(e: int, projected: int) -> bool:
    """The dynamic gate: all three legs would stand and this call is a way out."""
    return (e | projected) & ALL == ALL and projected & EXFIL_VECTOR != 0
