"""Law: a call that did not happen raises, and the exception says why and what would be enough.

All are `NucleusError`, the family of the whole project: `code` is stable, `message` one sentence,
`hint` the smallest approval or token that would pass. A refusal says besides which step of the
decision refused, which restriction decided and who added it. What ran and failed is `EffectFailed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nucleus import shapes
from nucleus_tokens.errors import CallerError, CredentialError, NucleusError, WorldError

__all__ = [
    "ApprovalRequired",
    "BudgetExceeded",
    "CallerError",
    "CredentialError",
    "EffectFailed",
    "NucleusError",
    "PolicyDenied",
    "Refused",
    "StateBlocked",
    "WorldError",
    "refused",
]

_ASK_STEP: Final = 13


class Refused(NucleusError):
    """A call that was judged and did not run. Steps are those of docs/spec/decide.md, 1 to 14."""

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        hint: str = "",
        tool: str = "",
        step: int = 0,
        caveat: str = "",
        added_by: str = "",
        obligations: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code, reason, hint=hint)
        self.reason = reason
        self.tool = tool
        self.step = step
        self.caveat = caveat
        self.added_by = added_by
        self.obligations = obligations

    def __str__(self) -> str:
        said = f"{self.tool}: {self.reason}" if self.tool else self.reason
        parts = [f"{said} [{self.code}]"]
        if self.step:
            parts.append(f"(step {self.step})")
        if self.caveat:
            by = f", added by {self.added_by}" if self.added_by else ""
            parts.append(f"because of {self.caveat}{by}.")
        if self.hint:
            parts.append(self.hint)
        return " ".join(parts)


class PolicyDenied(Refused):
    """The token, the policy file or a person says no to this call. Asking again changes nothing."""


class ApprovalRequired(Refused):
    """A person must answer for this call first: see `obligations`, and wrap it in `approve`."""


class BudgetExceeded(Refused):
    """The calls, tokens, bytes or money of this token's tree are used up."""


class StateBlocked(Refused):
    """What the session has seen, or the state of its token, stands against this call."""


class EffectFailed(NucleusError):
    """The call was allowed and run, and did not succeed. It counts as having run."""

    def __init__(self, code: str, message: str, *, hint: str = "", tool: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.tool = tool


_STATE: Final = frozenset(
    (
        "clock.stepped_back", "commit.lost_race", "credential.refused", "exposure.exceeded",
        "flow.bad_declassification", "flow.secret", "revocation.stale", "token.expired",
        "token.not_yet_valid", "token.revoked",
    )
)  # fmt: skip
_POLICY: Final = frozenset(("approval.denied", "tool.unclassified"))


def refused(fields: Mapping[str, Any], tool: str) -> NucleusError:
    """The exception for a refusal as the proxy spells it; unknown fields are of no account."""
    code = shapes.text(fields.get("code")) or "proxy.refused"
    reason = shapes.text(fields.get("sentence")) or "The call was refused."
    hint = shapes.text(fields.get("hint")) or ""
    step = fields.get("step")
    number = step if type(step) is int else 0
    kind: type[Refused]
    if code in _STATE:
        kind = StateBlocked
    elif code.startswith("budget."):
        kind = BudgetExceeded
    elif code in _POLICY or 0 < number < _ASK_STEP:
        kind = PolicyDenied
    elif number == _ASK_STEP:
        kind = ApprovalRequired
    else:
        # Nobody judged it: the world failed before anything was decided.
        return WorldError(code, reason, hint=hint)
    return kind(
        code,
        reason,
        hint=hint,
        tool=tool,
        step=number,
        caveat=shapes.text(fields.get("caveat")) or "",
        added_by=shapes.text(fields.get("added_by")) or "",
        obligations=tuple(map(str, shapes.items(fields.get("obligations")) or ())),
    )
