"""Law: an answer is a value. A stranger gets one constant; the reason is for the log alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nucleus_verifier.decision import LAST_SILENT_STEP, REFUSED, Deny
from nucleus_verifier.hints import hint, public_detail

PUBLIC: Final = "The credential was refused."


@dataclass(frozen=True, slots=True)
class Admitted:
    """The call may pass, once: `seq` is its decision in the trace."""

    seq: int
    tool: str
    sub: str
    rid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not pass. `why` is for the log and never leaves."""

    why: str
    code: str = REFUSED
    sentence: str = PUBLIC
    hint: str = ""

    def fields(self) -> dict[str, Any]:
        """What the caller is told."""
        made = {"code": self.code, "sentence": self.sentence}
        return {**made, "hint": self.hint} if self.hint else made


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person must approve; then the same call passes. `request` is its name at the desk."""

    request: str
    obligations: tuple[str, ...]
    hint: str

    def fields(self) -> dict[str, Any]:
        """What the caller is told."""
        return {
            "code": "approval.required",
            "sentence": "A person must approve this call; then send it again.",
            "request": self.request,
            "obligations": list(self.obligations),
            "hint": self.hint,
        }


Answer = Admitted | Refused | Waiting


def denied(deny: Deny, why: str = "") -> Refused:
    """A Deny as it is told; a stranger is told nothing of it."""
    if deny.step <= LAST_SILENT_STEP:
        return Refused(why or deny.code)
    return Refused(why or deny.code, deny.public_code, public_detail(deny), hint(deny))


def unavailable(why: str) -> Refused:
    """Nothing was decided."""
    return denied(Deny(14, "verifier.unavailable"), why)


# The one answer to whoever is not known to hold a valid credential.
STRANGER: Final = {"code": REFUSED, "sentence": PUBLIC}
