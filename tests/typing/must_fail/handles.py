"""What a call returned is used as if somebody had looked."""

from dataclasses import dataclass

from nucleus.labeled import Internal, Labeled, Public, Secret, Trusted, Untrusted, labeled


@dataclass(frozen=True)
class Bits:
    bits: int


@dataclass(frozen=True)
class Handle:
    value: str
    label: Bits
    exposure: frozenset[str]


def run(command: Labeled[str, Trusted, Secret]) -> None: ...


def share(text: Labeled[str, Untrusted, Internal]) -> None: ...


def program(handle: Handle) -> None:
    run(labeled(handle))  # E: arg-type reportArgumentType: nobody looked at its integrity
    share(labeled(handle))  # E: arg-type reportArgumentType: nobody looked at its confidentiality
    looked = labeled(handle).at_least(Untrusted, Public)
    run(looked)  # E: arg-type reportArgumentType: it was asked for less
    labeled("text")  # E: arg-type reportArgumentType: a bare text carries no label
