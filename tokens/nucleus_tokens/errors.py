"""Law: every refusal is one of three kinds, by who is to blame, and carries a stable code.

`CredentialError`: the peer sent bytes that are not what they claim to be.
`CallerError`: our own caller, an operator or a policy file asked for something impossible.
`WorldError`: disk, clock, key store or transport failed; nothing was decided.

No foreign exception leaves a public function of Nucleus on bad input. The codes are listed in
`docs/spec/errors.md`; a test compares that list with the source.
"""

from __future__ import annotations


class NucleusError(Exception):
    """Base of the family: `code` is stable, `message` is one clear sentence."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]" + (f" {self.hint}" if self.hint else "")


class CredentialError(NucleusError):
    """A token, proof, approval or preimage from outside is malformed, forged or not for us."""


class CallerError(NucleusError):
    """The code, person or policy file that drives us asked for something that cannot be."""


class WorldError(NucleusError):
    """Something outside both parties failed: disk full, key file missing, clock stepped back."""
