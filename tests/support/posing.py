"""Law: what a value is, its class says and not what the class is equal to."""

from __future__ import annotations


class _Posing(type):
    """A class equal to every other, as a metaclass may have it."""

    def __eq__(cls, other: object) -> bool:
        return True

    __hash__ = type.__hash__


class Poser(metaclass=_Posing):
    """No text and no JSON. Its class is equal to whichever one it is compared with, itself to the
    text it poses as."""

    def __init__(self, text: str = "posing") -> None:
        self._text = text

    def __eq__(self, other: object) -> bool:
        return self._text == other

    def __hash__(self) -> int:
        return hash(self._text)
