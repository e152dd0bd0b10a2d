"""Law: labels and evidence are made here, from what the proxy itself saw; claims are ignored.

Between parsing and deciding, `look` says what is vouched for in a call and what label its payload
has. After the effect and before the first byte of its result is released, `saw` labels the result,
raises what the session has seen, and gives it a reference. An argument that is passed by reference
is compared with the value that was held: then it has that value's label, whatever else the session
has seen. So one page from the web taints what the agent writes itself, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from nucleus_proxy import declassify, evidence, fieldlabels
from nucleus_proxy.binding import BoundCall
from nucleus_proxy.fieldlabels import Field, Parts, labelled
from nucleus_proxy.flowstate import FlowState
from nucleus_proxy.flowtracker import MOST_PARENTS, FlowTracker, Labelled
from nucleus_proxy.held_values import Held, References
from nucleus_proxy.knowledge import MOST_FACTS, Known, learned
from nucleus_proxy.origins import Sources
from nucleus_proxy.rules import Believed
from nucleus_proxy.toolrules import ToolBinding
from nucleus_proxy.words import Words
from nucleus_tokens import exposure, label_names, labelling, labels, lattice, releases
from nucleus_tokens.authority import MISSING, fixed_by_ceil, lookup
from nucleus_tokens.caveats import Caveat
from nucleus_tokens.errors import CallerError, WorldError
from nucleus_tokens.sinks import PR_COMMENT_WRITE, secret_to_exfil
from nucleus_verifier import gather
from nucleus_verifier.asking import Origin
from nucleus_verifier.authenticate import VerifiedCredential
from nucleus_verifier.choosing import payload_label
from nucleus_verifier.decision import Ask, Spend
from nucleus_verifier.facts import Selector

_TREES: Final = 64  # whose values are held in memory at a time
# What these move stands in the workspace and not in their arguments.
_BEYOND: Final = frozenset(
    (lattice.RUN_BASH, lattice.GIT_COMMIT, lattice.GIT_PUSH, lattice.SPAWN_AGENT)
)


@dataclass(frozen=True, slots=True)
class Looked:
    """What the proxy knows of one call before it is decided."""

    tree: str
    wall: str
    evidence: frozenset[str]
    more: tuple[Selector, ...]
    payload: Labelled
    spends: tuple[Spend, ...]
    bad_declassification: bool
    given: tuple[tuple[int, Labelled], ...]  # what is passed by reference
    binding: ToolBinding | None
    bound: BoundCall


@dataclass(frozen=True, slots=True)
class Kept:
    """A result that was labelled: the reference by which it can be passed on, and its label."""

    reference: str
    label: Labelled
    fields: Mapping[str, int] = field(default_factory=dict)  # declared pointer -> packed label


@dataclass(slots=True)
class _Tree:
    """One delegation tree in memory."""

    tracker: FlowTracker
    held: Held
    known: Known = field(default_factory=Known)
    sources: Sources = field(default_factory=Sources)
    releases: tuple[releases.UnverifiedRelease, ...] = ()
    seen: dict[str, Labelled] = field(default_factory=dict)
    version: int = -1


class Flow:
    """The labels and the evidence of one proxy. Called from several threads."""

    def __init__(
        self,
        state: FlowState,
        *,
        believed: Believed,
        releasers: Mapping[str, bytes],
        draw: Callable[[int], bytes],
        cwd: str,
    ) -> None:
        """`believed` is what the policy file says of evidence; `releasers` are the Ed25519 keys,
        by id, that the verifier's bundle lists for releases; `cwd` is where relative paths of a
        prompt start; `draw(n)` gives n random bytes."""
        self._state = state
        self._also = believed.also
        self._releasers = dict(releasers)
        self._draw = draw
        self._cwd = cwd
        self._trees: dict[str, _Tree] = {}
        self._lock = threading.RLock()

    # Before a decision ------------------------------------------------------------------------

    def counters(self, credential: VerifiedCredential) -> tuple[str, ...]:
        """The durable counters that `look` needs to know besides the credential's own."""
        with self._lock:
            tree = self._tree(gather.tree_cell(credential))
            return tuple(declassify.counter(each.id) for each in tree.releases)

    def look(
        self,
        credential: VerifiedCredential,
        bound: BoundCall,
        binding: ToolBinding | None,
        *,
        wall: str,
        cells: int,
        spent: Mapping[str, int],
        now: int,
    ) -> Looked:
        """What is known of a call. `cells` is what the session has seen, `spent` the counters as
        they are now. Raises WorldError `flow.poisoned` when what was seen could not be followed."""
        name = gather.tree_cell(credential)
        with self._lock:
            tree = self._tree(name)
            seen = self._seen(tree, name).join(self._seen(tree, wall))
            _open(tree)
            ceiling = Labelled(payload_label(cells)).join(seen)
            given = tree.held.resolve(bound.references, bound.args)
            if binding is None:
                return Looked(name, wall, frozenset(), (), ceiling, (), False, (), None, bound)
            if binding.given:
                binding = binding.called(bound.args)
            today = datetime.fromtimestamp(now, UTC).date().isoformat()
            found = evidence.vouched(
                binding, bound.args, bound.selectors, tree.known,
                also=self._also, cwd=self._cwd, today=today,
            )  # fmt: skip
            vouched = found.pointers
            if tree.known.words:
                vouched |= {at for at, (_, label) in given.items() if _vouches(label)}
            payload, spends, bad = self._payload(
                bound, binding, given, vouched, ceiling, tree,
                name=name, ceil=credential.prefix.opened.header.ceil,
                holders=_holders(credential), spent=spent, now=now,
            )  # fmt: skip
            return Looked(
                name, wall, vouched, found.more, payload, spends, bad,
                tuple(given.values()), binding, bound,
            )  # fmt: skip

    def _payload(
        self,
        bound: BoundCall,
        binding: ToolBinding,
        given: References,
        vouched: frozenset[str],
        ceiling: Labelled,
        tree: _Tree,
        *,
        name: str,
        ceil: tuple[Caveat, ...],
        holders: frozenset[bytes],
        spent: Mapping[str, int],
        now: int,
    ) -> tuple[Labelled, tuple[Spend, ...], bool]:
        """The join of everything in a call that nobody vouches for."""
        parts: list[Labelled] = []
        spends: tuple[Spend, ...] = ()
        claimed = False
        if bound.operation in _BEYOND or bound.sink == PR_COMMENT_WRITE:
            parts.append(ceiling)
        for pointer, kind, value in bound.selectors:
            if pointer not in vouched and not fixed_by_ceil(
                ceil, bound.tool, bound.args, pointer, kind, value
            ):
                # A selector that nothing fixes could carry anything.
                parts.append(_of(given, pointer, ceiling))
        for pointer in sorted(binding.payload):
            value = lookup(bound.args, pointer)
            if value is MISSING or value is None or value == binding.defaults.get(pointer):
                continue
            part = _of(given, pointer, ceiling)
            done = declassify.release(
                part.label, releases.commitment(value), bound.sink, tree.releases,
                tree=name, keys=self._releasers, holders=holders, spent=spent, now=now,
            )  # fmt: skip
            spends += done.spends
            claimed = claimed or done.claimed
            parts.append(part._replace(label=done.label))
        made = Labelled(labelling.OUTBOUND_ACTION)
        for part in parts:
            made = made.join(part)
        bad = claimed and secret_to_exfil(made.label, bound.sink)
        return made, tuple(dict.fromkeys(spends)), bad

    # After an effect --------------------------------------------------------------------------

    def entered(self, looked: Looked, *, now: int) -> None:
        """A call is about to run whose answer passes piece by piece: raise what the session has
        seen by what such an answer is. Raises WorldError `flow.state`: then it must not run."""
        with self._lock:
            own = self._own(looked, None, now)
            worst, _ = self._labels(looked, fieldlabels.UNKNOWN, own, now)
            self._raise(self._tree(looked.tree), looked, worst)

    def _raise(self, tree: _Tree, looked: Looked, what: Labelled) -> None:
        for cell in (looked.tree, looked.wall):
            before = self._seen(tree, cell)
            if before.join(what) != before:
                self._state.saw(cell, what)
                tree.seen[cell] = before.join(what)

    def saw(
        self,
        looked: Looked,
        value: Any,
        *,
        now: int,
        label: int | None = None,
        parts: Parts = fieldlabels.UNKNOWN,
        seq: int = 0,
    ) -> Kept:
        """Label a result; call it before the first byte is released. `value` is what the agent
        will read, `label` the effect's own knowledge of it, else the binding says, `parts` what it
        is made of, `seq` the record of its decision. Raises WorldError `flow.state`: then the
        result must be withheld."""
        with self._lock:
            tree = self._tree(looked.tree)
            own = self._own(looked, label, now)
            whole, each = self._labels(looked, parts, own, now)
            try:
                node, made = self._observed(tree, looked, whole)
                apart = {what: self._observed(tree, looked, its) for what, its in each.items()}
            except CallerError as error:
                for cell in (looked.tree, looked.wall):
                    self._state.saw(cell, Labelled(labels.TOP), poisoned=True)
                raise WorldError(
                    "flow.poisoned", "A result could not be followed: this session is closed."
                ) from error
            self._raise(tree, looked, made)
            self._learn(tree, looked, value)
            places = {at: apart[one.what] for at, one in parts.found.items() if apart}
            fields = {what: its for what, (_, its) in apart.items()}
            tree.sources.shown(seq, looked.bound.tool, value, parts, made, fields)
            return Kept(
                tree.held.keep(node, value, made, places),
                made,
                {one.name: fields[one.what].label for one in parts.found.values() if fields},
            )

    def _observed(self, tree: _Tree, looked: Looked, own: Labelled) -> tuple[int, Labelled]:
        """A new value made from what was given by reference. Raises CallerError."""
        for _, each in looked.given:
            own = own.join(each)
        parents = {node for node, _ in looked.given if tree.tracker.label(node) is not None}
        node = tree.tracker.observe(own, sorted(parents)[:MOST_PARENTS])
        return node, tree.tracker.label(node) or Labelled(labels.TOP)

    def _labels(
        self, looked: Looked, parts: Parts, own: Labelled, now: int
    ) -> tuple[Labelled, dict[Field, Labelled]]:
        """The label of a result as a whole, and of each of its fields. `own` is its tool's."""
        declared = looked.bound.fields
        each: dict[Field, Labelled] = {}
        if declared is not None:
            own = parts.label(declared, own, now)
            each = {one.what: one.what.labelled(now) for one in parts.found.values()}
        if lattice.with_level(looked.bound.operation, 2) & (lattice.READS | lattice.NETWORK):
            return own, each
        # What is no read may say again what it was given.
        said = looked.payload
        return own.join(said), {what: its.join(said) for what, its in each.items()}

    def _own(self, looked: Looked, label: int | None, now: int) -> Labelled:
        """The label that a result has by its tool."""
        binding = looked.binding
        if label is not None:
            return Labelled(label)
        brings = looked.bound.records | looked.bound.later
        if binding is not None and binding.label:
            kind, ttl = label_names.node_label(binding.label)
            return Labelled(labelled(kind, brings), now if ttl else 0, ttl)
        return _by_exposure(brings, now)

    def _learn(self, tree: _Tree, looked: Looked, value: Any) -> None:
        if looked.binding is None or not looked.binding.results or tree.known.full:
            return
        mine = evidence.by_users_words(looked.binding, looked.bound.args, tree.known)
        facts = learned(looked.binding.results, value, by_users_words=mine)
        self._state.teach(looked.tree, facts)
        tree.known.learn(facts)

    def origins(self, looked: Looked, ask: Ask) -> tuple[Origin, ...]:
        """Where the arguments that a person is asked about were seen first."""
        with self._lock:
            tree = self._tree(looked.tree)
            return tree.sources.of(ask, looked.bound.args, tree.known.words)

    def forget(self) -> None:
        """Read everything anew: this process itself has given a prompt or a release."""
        with self._lock:
            for tree in self._trees.values():
                tree.version = -1

    # One tree in memory -----------------------------------------------------------------------

    def _tree(self, name: str) -> _Tree:
        """Raises WorldError `flow.poisoned`."""
        tree = self._trees.get(name)
        if tree is None:
            while len(self._trees) >= _TREES:
                del self._trees[next(iter(self._trees))]
            tree = _Tree(FlowTracker(), Held(self._draw(6).hex()))
            self._trees[name] = tree
        version = self._state.version()
        if tree.version != version:
            self._read(tree, name)
            tree.version = version
        _open(tree)
        return tree

    def _read(self, tree: _Tree, name: str) -> None:
        """What other processes may have changed."""
        known = Known(Words(self._state.prompts(name)))
        known.learn(self._state.facts(name, MOST_FACTS + 1))
        tree.known = known
        tree.releases = declassify.read(self._state.releases(name))
        tree.seen.clear()
        seen, poisoned = self._state.seen(name)
        tree.tracker.raise_ceiling(seen)
        if poisoned:
            tree.tracker.poison()

    def _seen(self, tree: _Tree, cell: str) -> Labelled:
        if cell not in tree.seen:
            tree.seen[cell], poisoned = self._state.seen(cell)
            if poisoned:
                tree.tracker.poison()
        return tree.seen[cell]


def _open(tree: _Tree) -> None:
    if tree.tracker.poisoned:
        raise WorldError(
            "flow.poisoned",
            "What this session has seen could not be followed.",
            hint="Start a new session with a new token.",
        )


def _vouches(label: Labelled) -> bool:
    """Whether a held value may choose: it is authentic, and has a say at all. That a list of ids is
    true does not make any of them the one that the user meant."""
    trusted = labels.integ(label.label) == labels.TRUSTED
    return trusted and labels.authority(label.label) != labels.NO_AUTHORITY


def _of(given: References, pointer: str, otherwise: Labelled) -> Labelled:
    return given[pointer][1] if pointer in given else otherwise


def _holders(credential: VerifiedCredential) -> frozenset[bytes]:
    """The keys of the token's own chain."""
    prefix = credential.prefix
    keys = (prefix.opened.header.holder.key, *(hop.key for hop in prefix.hops))
    return frozenset(key for key in keys if key is not None)


def _by_exposure(records: int, now: int) -> Labelled:
    """The label of a result that nobody described, by what a call of its kind leaves behind."""
    if records & exposure.UNTRUSTED_CONTENT:
        label = labelling.WEB_CONTENT
        if records & exposure.PRIVATE_DATA:
            label = labels.join(label, labelling.EXISTING_FILE)
        return Labelled(label, now, labelling.WEB_CONTENT_TTL)
    if records & exposure.PRIVATE_DATA:
        return Labelled(labelling.EXISTING_FILE)
    return Labelled(labelling.TOOL_RESPONSE)
