"""What a call returned is anything until somebody looked."""

from dataclasses import dataclass

from nucleus.labeled import Adversarial, Labeled, Public, Secret, Trusted, labeled


@dataclass(frozen=True)
class Bits:
    bits: int


@dataclass(frozen=True)
class Handle:
    value: str
    label: Bits
    exposure: frozenset[str]


def run(command: Labeled[str, Trusted, Public]) -> None: ...


def program(handle: Handle) -> None:
    text: Labeled[str, Adversarial, Secret] = labeled(handle)
    run(text.at_least(Trusted, Public))
