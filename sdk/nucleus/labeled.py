"""Law: a function that demands trusted or public input does not type-check with anything else.

`Labeled[T, I, C]` is a value with its integrity and confidentiality in its type. It is a lint for
developers, checked by mypy and pyright before the program runs and against the proxy's label while
it runs; it is no boundary: the proxy keeps its own account and ignores what this side says.

The tags are ordered by what may stand in for what: a trusted value wherever an untrusted one is
accepted, a public one wherever a secret one is. So combining two values gives the worse of both
tags, by the rules of subtyping alone.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar, final

from nucleus_tokens import labelling, labels
from nucleus_tokens.errors import CallerError


class Adversarial:
    """Somebody else may have written it, against us."""

    level: ClassVar[int] = labels.ADVERSARIAL


class Untrusted(Adversarial):
    """Not known to be right, and not known to be hostile."""

    level: ClassVar[int] = labels.UNTRUSTED


class Trusted(Untrusted):
    """The user's own, or checked."""

    level: ClassVar[int] = labels.TRUSTED


class Secret:
    """It must not leave."""

    level: ClassVar[int] = labels.SECRET


class Internal(Secret):
    """It may be used here."""

    level: ClassVar[int] = labels.INTERNAL


class Public(Internal):
    """Anybody may have it."""

    level: ClassVar[int] = labels.PUBLIC


T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)
I_co = TypeVar("I_co", bound=Adversarial, covariant=True)
C_co = TypeVar("C_co", bound=Secret, covariant=True)
I = TypeVar("I", bound=Adversarial)  # noqa: E741  the letter of the axis
C = TypeVar("C", bound=Secret)


# Why a value became better than it was --------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class HumanReview:
    """A person read it."""

    by: str
    note: str = ""


@final
@dataclass(frozen=True, slots=True)
class DeterministicVerification:
    """A program that cannot be talked to checked it: a signature, a schema, a checksum."""

    by: str


@final
@dataclass(frozen=True, slots=True)
class Sanitization:
    """A program took out what it knew to be dangerous. Enough for untrusted, never for trusted."""

    by: str


DeclassifyReason = HumanReview | DeterministicVerification | Sanitization


# The value ------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, slots=True)
class Labeled(Generic[T_co, I_co, C_co]):
    """A value, the proxy's label of it, and what the session had seen by then.

    Made by `labeled`, `own` and the functions here; the tags in its type never claim more than the
    label says.
    """

    dangerously_bare: T_co = field(repr=False)  # without a label nobody follows it
    label: int
    exposure: frozenset[str] = frozenset()
    reasons: tuple[DeclassifyReason, ...] = ()

    def at_least(self, integrity: type[I], confidentiality: type[C]) -> Labeled[T_co, I, C]:
        """The same value under these tags, if its label is as good. Raises CallerError
        `labeled.integrity` or `labeled.confidentiality`."""
        if labels.integ(self.label) < integrity.level:
            raise CallerError(
                "labeled.integrity",
                f"This value is not {integrity.__name__.lower()}.",
                hint="Promote it with a reason, or use another value.",
            )
        if labels.conf(self.label) > confidentiality.level:
            raise CallerError(
                "labeled.confidentiality",
                f"This value is not {confidentiality.__name__.lower()}.",
                hint="A person can let it out: nucleus declassify.",
            )
        return Labeled(self.dangerously_bare, self.label, self.exposure, self.reasons)

    def map(self, change: Callable[[T_co], V]) -> Labeled[V, I_co, C_co]:
        """The value changed by the program's own code; the label stays."""
        return Labeled(change(self.dangerously_bare), self.label, self.exposure, self.reasons)


class Carrier(Protocol[T_co]):
    """What an SDK call returns: a value with the proxy's label and the session's exposure."""

    @property
    def value(self) -> T_co: ...
    @property
    def label(self) -> HasBits: ...
    @property
    def exposure(self) -> Set[str]: ...


class HasBits(Protocol):
    """A packed label."""

    @property
    def bits(self) -> int: ...


def labeled(handle: Carrier[T]) -> Labeled[T, Adversarial, Secret]:
    """What a call returned, as tagged as long as nobody looked: anything. Narrow it with
    `at_least`, which asks the label, or promote it with a reason."""
    return Labeled(handle.value, handle.label.bits, frozenset(handle.exposure))


def own(value: T) -> Labeled[T, Trusted, Public]:
    """The program's own constant: its author vouches for it."""
    return Labeled(value, labels.BOTTOM)


def combine(
    a: Labeled[T, I, C], b: Labeled[U, I, C], make: Callable[[T, U], V]
) -> Labeled[V, I, C]:
    """A value made from two: as good as the worse of them."""
    return Labeled(
        make(a.dangerously_bare, b.dangerously_bare),
        labels.join(a.label, b.label),
        a.exposure | b.exposure,
        a.reasons + b.reasons,
    )


def promote_integrity(
    value: Labeled[T, Adversarial, C], reason: DeclassifyReason
) -> Labeled[T, Untrusted, C]:
    """Adversarial becomes untrusted, for a reason. On this side only: the proxy's label stays."""
    raised = labelling.raise_integ(value.label, labels.ADVERSARIAL, labels.UNTRUSTED)
    return Labeled(value.dangerously_bare, raised, value.exposure, (*value.reasons, reason))


def promote_to_trusted(
    value: Labeled[T, Untrusted, C], reason: HumanReview | DeterministicVerification
) -> Labeled[T, Trusted, C]:
    """Untrusted becomes trusted, because somebody or something that cannot be talked to checked
    it; that it was cleaned is no such reason. Raises CallerError `labeled.reason`."""
    # A program without a type checker is told here.
    if type(reason) not in (HumanReview, DeterministicVerification):
        raise CallerError(
            "labeled.reason", "Only a person's review or a verification makes a value trusted."
        )
    checked = value.at_least(Untrusted, Secret)
    raised = labelling.raise_integ(checked.label, labels.UNTRUSTED, labels.TRUSTED)
    return Labeled(value.dangerously_bare, raised, value.exposure, (*value.reasons, reason))
