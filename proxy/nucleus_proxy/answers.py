"""Law: a refusal is an answer the agent can act on, and tells a stranger nothing.

Denials are results of the tool with `isError`, so that a model reads them; a client that looks for
a machine-readable form finds the same in `_meta["nucleus/refusal"]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from nucleus_proxy.binding import BoundCall
from nucleus_proxy.flow import Looked
from nucleus_proxy.methods import LABEL, REFUSAL
from nucleus_tokens import label_names
from nucleus_tokens.authority import Authority
from nucleus_tokens.errors import NucleusError
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.commit import Permit
from nucleus_verifier.decision import LAST_SILENT_STEP, REFUSED, Ask, Deny
from nucleus_verifier.facts import Call, Facts
from nucleus_verifier.hints import STEPS, added_by, caveat_text, demanding, hint, public_detail
from nucleus_verifier.ports import Snapshot
from nucleus_verifier.repairs import Repair, repairs


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call did not run. `step` is the kernel's, or 0 where the kernel did not decide.
    `caveat` is the restriction that was enough for it, as JSON text, if one was."""

    code: str
    step: int
    sentence: str
    hint: str
    caveat: str = ""
    added_by: str = ""
    obligations: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()

    @classmethod
    def denied(cls, deny: Deny, credential: VerifiedCredential | None = None) -> Refusal:
        """What the caller may know of a Deny."""
        if deny.step <= LAST_SILENT_STEP:
            return cls(REFUSED, 0, public_detail(deny), hint(deny))
        source = deny.source
        return cls(
            deny.public_code,
            deny.step,
            public_detail(deny),
            hint(deny),
            caveat_text(credential, source),
            "" if source is None else added_by(credential, source),
            repairs=repairs(deny),
        )

    @classmethod
    def asked(cls, ask: Ask, credential: VerifiedCredential) -> Refusal:
        """The answer to a caller who does not wait for a person."""
        source = demanding(ask, credential)
        why = "; ".join(f"{o.id}: {o.why}" for o in ask.obligations)
        owed = tuple(o.id for o in ask.obligations)
        return cls(
            "approval.required", 13, f"A person must approve this: {why}.", hint(ask),
            caveat_text(credential, source),
            "" if source is None else added_by(credential, source), owed, repairs(ask),
        )  # fmt: skip

    @classmethod
    def failed(cls, error: NucleusError) -> Refusal:
        """The world failed: nothing was recorded, so nothing ran."""
        return cls(error.code, 0, error.message, error.hint)

    def line(self) -> str:
        """In one line, for an error of the protocol."""
        return f"{self.sentence} [{self.code}] {self.hint}".strip()

    def bytes(self) -> bytes:
        """What an outcome of a call is digested from that came to this."""
        return self.line().encode()

    def fields(self) -> dict[str, Any]:
        """The machine-readable form."""
        made: dict[str, Any] = {"code": self.code, "sentence": self.sentence}
        if self.step:
            made["step"] = self.step
        if self.hint:
            made["hint"] = self.hint
        if self.caveat:
            made |= {"caveat": self.caveat, "added_by": self.added_by}
        if self.obligations:
            made["obligations"] = list(self.obligations)
        if self.repairs:
            made["repairs"] = [repair.fields() for repair in self.repairs]
        return made

    def text(self) -> str:
        """The form a model reads."""
        lines = [f"Refused by nucleus: {self.sentence}", f"code: {self.code}"]
        if self.step:
            lines.append(f"step: {self.step} ({STEPS[self.step]})")
        if self.caveat:
            lines.append(f"because of: {self.caveat} (added by {self.added_by})")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def result(self, *, new_era: bool) -> dict[str, Any]:
        """The result of a tools/call."""
        made: dict[str, Any] = {
            "content": [{"type": "text", "text": self.text()}],
            "isError": True,
            "_meta": {REFUSAL: self.fields()},
        }
        return {**made, "resultType": "complete"} if new_era else made


@dataclass(frozen=True, slots=True)
class Standing:
    """Who asked, the facts at arrival, and where the facts of now are read."""

    credential: VerifiedCredential
    arrival: Facts
    look: Callable[[], Snapshot]


@dataclass(frozen=True, slots=True)
class Granted:
    """A call that may run now, once. `authority` is what its credential still permits: what an
    effect finds on its way is judged by the same scopes. `standing` is what an effect that goes
    on is judged by again (`live`)."""

    permit: Permit
    call: Call
    authority: Authority
    standing: Standing
    salt: bytes = field(repr=False)  # of the decision's reveal, and of what is digested after it
    looked: Looked | None = None
    presented: Presented | None = field(default=None, repr=False)
    bound: BoundCall | None = None

    @property
    def exposure(self) -> int:
        """What both cells have seen once this call is let run."""
        wall, tree = self.permit.intent.cells
        return wall.bits | tree.bits | self.call.records


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The caller no longer waits: nothing ran, nothing is answered."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A credential as it came in, and by what road. `private` is its holder's key, where the proxy
    holds that too."""

    text: str = field(repr=False)
    channel: Literal["held", "carried"]
    peer: str | None = None
    private: bytes = field(default=b"", repr=False)


def labelled(packed: int) -> dict[str, Any]:
    """The label of a whole result, for its `_meta`."""
    return {LABEL: label(packed)}


def label(packed: int) -> dict[str, Any]:
    """A label as `_meta` says it: packed, and in words."""
    return {"bits": packed, **label_names.describe_label(packed)}


UNCLASSIFIED: Final = Refusal(
    "tool.unclassified",
    9,
    "The operator's policy does not say what this tool is.",
    "Name the tool in the policy file.",
)
INPUT_CLOSED: Final = Refusal(
    "input.closed",
    0,
    "The server asked the client for something that policy does not open.",
    "The call may have run in part; the operator can open the method in the policy file.",
)
TOO_LARGE: Final = Refusal(
    "answer.too_large",
    0,
    "The answer is larger than a message may be, so it is withheld.",
    "Ask for less at once; a call that was let run has run.",
)
UNRECORDED: Final = Refusal(
    "outcome.unrecorded",
    0,
    "The call ran, but its outcome could not be recorded, so its result is withheld.",
    "Tell the operator; the call counts as having run.",
)
