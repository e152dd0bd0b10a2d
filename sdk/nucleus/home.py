"""Law: everything of one host is put together here and handed down; no other module builds it.

A home is three places: configuration (policy files), data (keys and the bundle) and state (the
store, and the reveals of the trace). By default they are where XDG says; `--home DIR` or
NUCLEUS_HOME puts all of them under one directory. Nothing is opened before it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nucleus import places
from nucleus_issuer import files, keys
from nucleus_issuer.desk import ApprovalDesk, DeskStore
from nucleus_issuer.exchanging import Exchanger
from nucleus_issuer.issuing import Issuer
from nucleus_issuer.keyring import TRACE, KeyRing
from nucleus_issuer.keys import Key, Passphrase, Strength
from nucleus_issuer.opening import AudienceOpener
from nucleus_issuer.revoking import Revoker
from nucleus_issuer.store import FILE_NAME, Store, wall_clock
from nucleus_tokens.errors import CallerError, CredentialError
from nucleus_verifier import trace
from nucleus_verifier.decision import Deny
from nucleus_verifier.facts import Keys

if TYPE_CHECKING:
    from nucleus.pins import PinStore
    from nucleus_proxy.flowstate import FlowState
    from nucleus_proxy.mediator import Mediator
    from nucleus_proxy.policy import PolicyFile
    from nucleus_proxy.tracefile import RevealFile
    from nucleus_verifier.authenticate import VerifiedCredential
    from nucleus_verifier.ports import Ledger

POLICY: Final = "policy.toml"
REVEALS: Final = "reveals.jsonl"
LABELS: Final = "labels.db"


@dataclass(frozen=True, slots=True)
class Home:
    """One host's places. `clock` gives unix seconds, `random` as many bytes as asked for."""

    config: Path
    data: Path
    state: Path
    clock: Callable[[], int] = field(default=wall_clock, repr=False)
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)

    @classmethod
    def find(cls, given: Path | None, environ: Mapping[str, str]) -> Home:
        """The home at `given`, at NUCLEUS_HOME, or where XDG says. Raises CallerError
        `home.nowhere` when there is no home directory either."""
        return cls(*places.find(given, environ))

    # Where things stand -----------------------------------------------------------------------

    @property
    def keys_directory(self) -> Path:
        return self.data / "keys"

    @property
    def policy_path(self) -> Path:
        return self.config / POLICY

    @property
    def store_path(self) -> Path:
        return self.state / FILE_NAME

    @property
    def reveals_path(self) -> Path:
        return self.state / REVEALS

    @property
    def socket_path(self) -> Path:
        """Where `nucleus session serve` listens."""
        return places.Places(self.config, self.data, self.state).socket

    @property
    def exists(self) -> bool:
        """Whether `create` was carried out here, to its end."""
        return (self.keys_directory / "bundle.json").exists()

    # Making -----------------------------------------------------------------------------------

    def create(
        self,
        *,
        issuer: str,
        audience: str,
        approver: str,
        key_id: str,
        policy: bytes,
        issuer_passphrase: Passphrase,
        approver_passphrase: Passphrase,
        strength: Strength = "moderate",
    ) -> KeyRing:
        """Make the store, a policy file and all keys. `issuer` is this issuer's name in tokens,
        `key_id` the name of its keys. Raises CallerError `home.exists`; nothing is overwritten."""
        if self.exists:
            raise CallerError(
                "home.exists",
                f"There is a home at {self.data} already.",
                hint="Use it, or choose another one with --home.",
            )
        # Asked for first: a mistyped passphrase must not leave half a home behind.
        issuers = _asked(issuer_passphrase, "issuer's keys")
        approvers = _asked(approver_passphrase, f"approver {approver}")
        for place in (self.config, self.data, self.state):
            files.private_directory(place)
        Store.open(self.store_path, create=True, clock=self.clock).close()
        if not self.policy_path.exists():
            files.create(self.policy_path, policy)
        # The bundle is written last of all: with it, the home exists.
        return KeyRing.initialise(
            self.keys_directory,
            iss=issuer,
            kid=key_id,
            audience=audience,
            akid=key_id,
            approver=approver,
            random=self.random,
            issuer_passphrase=lambda _: issuers,
            approver_passphrase=lambda _: approvers,
            strength=strength,
        )

    # Opening ----------------------------------------------------------------------------------

    def keyring(self) -> KeyRing:
        """The keys of this home. Raises CallerError `home.missing`."""
        if not self.exists:
            raise CallerError(
                "home.missing",
                f"There is no home at {self.data}.",
                hint="Make one with `nucleus init`, or name another one with --home.",
            )
        return KeyRing(self.keys_directory)

    def verifier_keys(self) -> Keys:
        """What this host's verifier believes, with its audience's keys. No passphrase is asked
        for. Raises CallerError `home.missing` or WorldError."""
        return self.keyring().verifier_keys()

    def store(self) -> Store:
        """The state of this home; close it. Raises WorldError or CallerError `home.missing`."""
        self.keyring()
        return Store.open(self.store_path, clock=self.clock)

    def issuer(self, store: Store, passphrase: Passphrase) -> Issuer:
        """Whoever mints. Raises WorldError, or CallerError `keys.passphrase_missing`."""
        opened = self.keyring().issuer(self.issuer_key_id(), passphrase)
        return Issuer(opened.signer, store, clock=self.clock, random=self.random)

    def exchanger(self, store: Store, passphrase: Passphrase) -> Exchanger:
        """Whoever exchanges tokens of this issuer. Raises as `issuer` does."""
        ring = self.keyring()
        opened = ring.issuer(self.issuer_key_id(), passphrase)
        return Exchanger(
            opened.signer,
            opened.opener(),
            store,
            ring.bundle().audience_named,
            clock=self.clock,
            random=self.random,
        )

    def issuer_key_id(self) -> str:
        """The latest issuer key that is here. Raises CallerError `home.no_issuer`."""
        ring = self.keyring()
        here = [i.kid for i in ring.bundle().issuers if ring.issuer_path(i.kid).exists()]
        if not here:
            raise CallerError(
                "home.no_issuer", "No issuer's key is here: tokens are issued on another host."
            )
        return max(here)

    def approver(self, name: str | None, passphrase: Passphrase) -> Key:
        """An approver's key; the only one there is if no name is given. Raises CallerError
        `home.which_approver`, or WorldError."""
        ring = self.keyring()
        here = [a.id for a in ring.bundle().approvers if ring.approver_path(a.id).exists()]
        if name is None:
            if len(here) != 1:
                raise CallerError(
                    "home.which_approver",
                    f"Say who approves: {', '.join(here) or 'nobody'} can, here.",
                    hint="Give --approver NAME.",
                )
            (name,) = here
        return ring.approver(name, passphrase)

    def desk(self, store: DeskStore) -> ApprovalDesk:
        """Where people answer."""
        return ApprovalDesk(store, clock=self.clock, random=self.random)

    def revoker(self, store: Store) -> Revoker:
        """Lists, draws and revokes what this host's audience can open. No passphrase."""
        return Revoker(store, AudienceOpener(self.verifier_keys()))

    def trace_public(self) -> bytes:
        """The public key of this host's checkpoints. Raises WorldError."""
        return keys.read_public(self.keyring().directory / TRACE, "trace").public

    # Mediating --------------------------------------------------------------------------------

    def reveals(self) -> RevealFile:
        """Keeps what the trace only digests; close it. Raises WorldError or CallerError."""
        from nucleus_proxy.tracefile import RevealFile

        return RevealFile(self.reveals_path)

    def labels(self) -> FlowState:
        """What the proxy remembers of values, prompts and releases; close it. Raises WorldError."""
        from nucleus_proxy.flowstate import FlowState

        self.keyring()
        return FlowState.open(self.state / LABELS)

    def pins(self) -> PinStore:
        """What was accepted of servers' tools."""
        from nucleus.pins import PinStore

        return PinStore(self.data / "pins")

    def tree_of(self, token: str) -> str:
        """The delegation tree of a token or credential, which prompts and releases belong to.
        Raises CredentialError `credential.refused` for one this host does not believe."""
        from nucleus_verifier import gather

        return gather.tree_cell(self.believed(token))

    def ids_of(self, token: str) -> tuple[str, str]:
        """The tid of a token or credential, which all that descends from it shares, and the rid,
        which is its own. Raises as `tree_of`."""
        prefix = self.believed(token).prefix
        return prefix.opened.header.tid, prefix.rids[-1]

    def believed(self, token: str) -> VerifiedCredential:
        """Who it is about, by this host's verifier. Raises as `tree_of`."""
        from nucleus_verifier.authenticate import authenticate

        found = authenticate(token, self.verifier_keys())
        if isinstance(found, Deny):
            raise CredentialError(
                "credential.refused", "The credential was refused.", hint=f"See: {found.code}"
            )
        return found

    def mediator(
        self,
        store: Store,
        policy: PolicyFile,
        reveals: Callable[[Mapping[str, object]], None],
        *,
        ledger: Ledger | None = None,
        labels: FlowState | None = None,
        run: str | None = None,
        ask_seconds: int | None = None,
        one_client: bool = False,
    ) -> Mediator:
        """The decisions of one verifier instance. `run` names what a person started, and with it
        the session's exposure where no wall stands; without it the run is a new one.
        With `labels` values carry their own, and the user's prompt vouches; without, every value
        is as tainted as its session. `one_client` says that nobody else waits for this process:
        it then works without threads. `ledger` is the store as somebody watches it, if they do.
        """
        from nucleus_proxy.flow import Flow
        from nucleus_proxy.mediator import Mediator
        from nucleus_proxy.offload import in_thread, inline
        from nucleus_proxy.waiting import ASK_SECONDS
        from nucleus_verifier.caching import CachingVerifier

        believed = self.verifier_keys()
        flow = None
        if labels is not None:
            flow = Flow(
                labels,
                believed=policy.believed,
                releasers=self.keyring().bundle().releasers(),
                draw=self.random,
                cwd=policy.server.cwd,
            )
        return Mediator(
            verifier=CachingVerifier(believed),
            ledger=store if ledger is None else ledger,
            desk=store,
            policy=policy,
            instance=f"{believed.audience}:{self.random(8).hex()}",
            run=run or self.random(8).hex(),
            clock=self.clock,
            draw=self.random,
            reveals=reveals,
            ask_seconds=ASK_SECONDS if ask_seconds is None else ask_seconds,
            offload=inline if one_client else in_thread,
            flow=flow,
            pins=self.pins(),
        )

    def checkpoint(self, store: Store) -> dict[str, object] | None:
        """Sign the end of the trace and record that; None for an empty trace. Raises WorldError."""
        seq, digest = store.trace_head()
        if seq == 0:
            return None
        made = trace.checkpoint(seq, digest, self.keyring().trace().private)
        store.append(made)
        return made


def _asked(passphrase: Passphrase, what: str) -> bytes:
    given = passphrase(what)
    if not given:
        raise CallerError("keys.passphrase_empty", "An empty passphrase protects nothing.")
    return given
