"""Law: an agent acts with what a person gave it, and the keys that made it are gone by then.

For `nucleus run`: a profile or a token, the user's words, and what is approved ahead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nucleus import granting, identities, minting
from nucleus.cli import ahead as words_ahead
from nucleus.granting import Grant
from nucleus.walled import Held
from nucleus_issuer import keyring

if TYPE_CHECKING:
    from nucleus.home import Home
    from nucleus_proxy.policy import PolicyFile


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives an agent: a profile or a token, their words, and approvals ahead."""

    profile: str | None
    token: str = field(repr=False)
    holder_key: Path | None  # the file of the key that holds the token
    prompt: str
    ahead: Sequence[Grant]
    approver: str | None
    wall: str  # its kind: local or vm
    log: Callable[[str], None]


def held(
    place: Home,
    given: Given,
    workspace: Path,
    issuers: Callable[[str], bytes],
    approvers: Callable[[str], bytes],
) -> Held:
    """What the agent acts with. The keys that mint and approve are opened in another process, and
    so is that of a token's holder used."""
    name = place.random(8).hex()
    wall = f"{given.wall}:{name}"
    identity = identities.asked(identities.service(place, os.environ), given.wall, name, given.log)
    to = wall if identity is None else identity.id
    chosen = None if given.profile is None else minting.profiles([given.profile])[0]

    def work() -> tuple[str, bytes]:
        text, private = given.token, b""
        if given.holder_key is not None:
            private = keyring.read_holder(given.holder_key).private
        with place.store() as store:
            if chosen is not None:
                issuer, memo = place.issuer(store, issuers), f"run in {workspace}"
                # One hop is the wall's own.
                minted, private = minting.mint(
                    place, issuer, chosen, workspace, memo=memo, depth=minting.DEPTH + 1
                )
                text = minted.text
            text, private = minting.bound(place, text, private, to)
            if given.ahead:
                key = place.approver(given.approver, approvers)
                whom = granting.Whom(*place.ids_of(text), Held(wall, text).cell)
                for each in given.ahead:
                    granting.grant(place, store, key, whom, each)
        return text, private

    if chosen is None and given.holder_key is None and not given.ahead:
        text, private = minting.bound(place, given.token, b"", to)
    else:
        text, private = minting.apart(work)
    if given.prompt:
        with place.labels() as labels:
            labels.give_prompt(place.tree_of(text), given.prompt)
    return Held(wall, text, private, identity)


def ahead(rules: PolicyFile, workspace: Path, words: Sequence[str]) -> Sequence[Grant]:
    """What is approved before it starts. Raises CallerError `ahead.*`."""
    if not words:
        return []
    known = words_ahead.tools(rules, workspace)
    return [words_ahead.read(each, known) for each in words]
