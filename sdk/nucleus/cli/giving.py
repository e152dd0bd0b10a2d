"""Law: an agent acts with what a person gave it, and the keys that made it are gone by then.

For `nucleus run`: a profile or a token, the user's words, and what is approved ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus import granting, minting
from nucleus.cli import ahead as words_ahead
from nucleus.granting import Grant
from nucleus.walled import Held

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_proxy.policy import PolicyFile


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives an agent: a profile or a token, their words, and approvals ahead."""

    profile: str | None
    token: str = field(repr=False)
    prompt: str
    ahead: Sequence[Grant]
    approver: str | None
    wall: str  # its kind: local or vm


def held(
    place: Home,
    given: Given,
    workspace: Path,
    issuers: Callable[[str], bytes],
    approvers: Callable[[str], bytes],
) -> Held:
    """What the agent acts with. The keys that mint and approve are opened in another process."""
    wall = f"{given.wall}:{place.random(8).hex()}"
    chosen = None if given.profile is None else minting.profiles([given.profile])[0]

    def work() -> tuple[str, bytes]:
        text, private = given.token, b""
        with place.store() as store:
            if chosen is not None:
                issuer, memo = place.issuer(store, issuers), f"run in {workspace}"
                minted, private = minting.mint(place, issuer, chosen, workspace, memo=memo)
                text = minted.text
            if given.ahead:
                key = place.approver(given.approver, approvers)
                whom = granting.Whom(*place.ids_of(text), Held(wall, text).cell)
                for each in given.ahead:
                    granting.grant(place, store, key, whom, each)
        return text, private

    needs_keys = chosen is not None or given.ahead
    text, private = minting.apart(work) if needs_keys else (given.token, b"")
    if given.prompt:
        with place.labels() as labels:
            labels.give_prompt(place.tree_of(text), given.prompt)
    return Held(wall, text, private)


def ahead(rules: PolicyFile, workspace: Path, words: Sequence[str]) -> Sequence[Grant]:
    """What is approved before it starts. Raises CallerError `ahead.*`."""
    if not words:
        return []
    known = words_ahead.tools(rules, workspace)
    return [words_ahead.read(each, known) for each in words]
