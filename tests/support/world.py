"""A small world for tests: keys, an issuer, an audience, tokens, calls and facts.

Everything follows from fixed seeds and the arguments given; only the seals in a header differ from
run to run, because libsodium draws a key for each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from nucleus_issuer.mint import Audience, Signer
from nucleus_issuer.mint import mint as issue
from nucleus_tokens import approvals, crypto, flow, holding, names, projection, writing
from nucleus_tokens.chain import UnverifiedToken
from nucleus_tokens.errors import CredentialError
from nucleus_tokens.header import Holder
from nucleus_verifier import gather
from nucleus_verifier.authenticate import VerifiedCredential, authenticate
from nucleus_verifier.decide import decide
from nucleus_verifier.decision import Decision, Deny
from nucleus_verifier.facts import Approver, Call, Cell, Facts, Keys, Selector

NOW: Final = 1_800_000_000
EVERY_OPERATION: Final = (1 << len(names.OPERATIONS)) - 1
INSTANCE: Final = "verifier:test"
WALL: Final = "wall:test"


def secret(name: str) -> bytes:
    """32 bytes that follow from a name: the private key, seed or root key called so."""
    return hashlib.sha256(b"nucleus test world\0" + name.encode()).digest()


def public(name: str) -> bytes:
    """The Ed25519 public key of the holder, approver or issuer called so."""
    return crypto.public_of(secret(name))


def hex16(name: str) -> str:
    """16 bytes in hex that follow from a name: a tid, a nonce, a link."""
    return secret(name)[:16].hex()


# Who there is ---------------------------------------------------------------------------------

SIGNER: Final = Signer(
    "issuer:test", "k1", secret("issuer"), crypto.exchange_public_of(secret("exchange"))
)
AUDIENCE: Final = Audience("proxy:test", "a1", crypto.exchange_public_of(secret("audience")))
AGENT: Final = Holder(None, public("agent"))
BEARER: Final = Holder(None, None)
ELSEWHERE: Final = Audience("proxy:elsewhere", "e1", crypto.exchange_public_of(secret("elsewhere")))
KEYS: Final = Keys(
    audience=AUDIENCE.name,
    audience_keys={AUDIENCE.akid: secret("audience")},
    issuers={(SIGNER.iss, SIGNER.kid): public("issuer")},
    approvers={
        "person": Approver(public("person"), EVERY_OPERATION),
        "second": Approver(public("second"), EVERY_OPERATION),
        "reader": Approver(public("reader"), 1 << names.operation("read_files")),
    },
)
# The same issuers and approvers, believed by another audience.
KEYS_ELSEWHERE: Final = replace(
    KEYS, audience=ELSEWHERE.name, audience_keys={ELSEWHERE.akid: secret("elsewhere")}
)


def levels(**given: str) -> list[Any]:
    """An `only` caveat: the named operations at these levels, the rest never."""
    return ["only", given]


def all_levels(level: str = "always") -> list[Any]:
    """An `only` caveat with all thirteen operations at one level."""
    return ["only", dict.fromkeys(names.OPERATIONS, level)]


# Tokens ---------------------------------------------------------------------------------------


def mint(
    *ceil: list[Any],
    tid: str = hex16("tid"),
    root_key: bytes = secret("root"),
    sub: str = "agent",
    holder: Holder = AGENT,
    iat: int = NOW - 60,
    exp: int = NOW + 3600,
    depth: int = 4,
    signer: Signer = SIGNER,
    audience: Audience = AUDIENCE,
    **rest: Any,
) -> UnverifiedToken:
    """A token. Without a ceiling it permits every operation `always`."""
    return issue(
        signer,
        audience,
        tid=tid,
        root_key=root_key,
        sub=sub,
        holder=holder,
        ceil=ceil or (all_levels(),),
        iat=iat,
        exp=exp,
        depth=depth,
        **rest,
    )


def narrow(token: UnverifiedToken, *caveats: list[Any]) -> UnverifiedToken:
    """The token with caveats appended, through the holder's own door."""
    return holding.attenuate(token, *caveats)


def forge(token: UnverifiedToken, *raw: bytes) -> UnverifiedToken:
    """The token with raw caveats appended under a tag that holds, whatever they say: what
    anybody can do who holds it."""
    return writing.append(token, *raw)


def hand(
    token: UnverifiedToken, giver: str = "agent", taker: str = "sub", *, depth: int = 1
) -> UnverifiedToken:
    """The token delegated by one named holder to another."""
    return holding.delegate(
        token, secret(giver), to=taker, key=public(taker), purpose="test", depth=depth
    )


def text(token: UnverifiedToken, proof: bytes | None = None) -> str:
    """The credential as it travels."""
    return writing.write_credential(token, proof)


def request(
    token: UnverifiedToken,
    call: Call,
    holder: str = "agent",
    *,
    time: int = NOW,
    nonce: str = hex16("nonce"),
    instance: str = INSTANCE,
) -> str:
    """The credential for one call, with the proof of the named holder."""
    return holding.request(
        token,
        secret(holder),
        tool=call.tool,
        args=call.args,
        time=time,
        nonce=nonce,
        instance=instance,
    )


def opened(credential: str | UnverifiedToken, keys: Keys = KEYS) -> VerifiedCredential:
    """A credential that must authenticate, authenticated."""
    shown = credential if isinstance(credential, str) else text(credential)
    verified = authenticate(shown, keys)
    assert not isinstance(verified, Deny), verified
    return verified


# Calls ----------------------------------------------------------------------------------------


def call(
    tool: str,
    operation: str,
    args: Any = None,
    *,
    resources: Mapping[str, tuple[Any, ...] | None] | None = None,
    selectors: Sequence[Selector] = (),
    sink: int | None = None,
    records: int | None = None,
    projects: int | None = None,
    label: int = 0,
    **rest: Any,
) -> Call:
    """A call; sink and exposure default to what the tables say of the operation."""
    op = names.operation(operation)
    return Call(
        tool=tool,
        operation=op,
        args={} if args is None else args,
        sink=flow.default_sink(op) if sink is None else sink,
        resources={} if resources is None else resources,
        selectors=tuple(selectors),
        records=projection.records(op) if records is None else records,
        projects=projection.projects(op, False, False, 0) if projects is None else projects,
        label=label,
        **rest,
    )


def read(path: str = "/srv/data/a.txt", tool: str = "fs.read", **rest: Any) -> Call:
    """A file is read."""
    return _path_call(tool, "read_files", {"path": path}, path, rest)


def write(
    path: str = "/srv/data/a.txt", content: str = "x", tool: str = "fs.write", **rest: Any
) -> Call:
    """A file is written."""
    return _path_call(tool, "write_files", {"content": content, "path": path}, path, rest)


def _path_call(tool: str, operation: str, args: Any, path: str, rest: dict[str, Any]) -> Call:
    rest = {
        "resources": {"path": (path,)},
        "selectors": (Selector("/path", "path", path),),
        **rest,
    }
    return call(tool, operation, args, **rest)


def fetch(host: str = "example.org", tool: str = "net.fetch", **rest: Any) -> Call:
    """A host is asked for a page."""
    rest = {
        "resources": {"host": (host,)},
        "selectors": (Selector("/host", "host", host),),
        **rest,
    }
    return call(tool, "web_fetch", {"host": host}, **rest)


def bash(*argv: str, tool: str = "shell.run", **rest: Any) -> Call:
    """A command is run; what else it touches is known only where `resources` says so."""
    rest = {"resources": {"cmd": (argv,)}, "selectors": (Selector("/argv", "cmd", argv),), **rest}
    return call(tool, "run_bash", {"argv": list(argv)}, **rest)


def push(
    ref: str = "refs/heads/main",
    host: str = "git.example.org",
    path: str = "/srv/data",
    tool: str = "git.push",
    **rest: Any,
) -> Call:
    """A ref is pushed to a host."""
    rest = {
        "resources": {"ref": (ref,), "host": (host,), "path": (path,)},
        "selectors": (Selector("/ref", "ref", ref), Selector("/host", "host", host)),
        **rest,
    }
    return call(tool, "git_push", {"host": host, "ref": ref}, **rest)


# Facts ----------------------------------------------------------------------------------------


def facts(
    credential: str | UnverifiedToken | VerifiedCredential | None = None, **rest: Any
) -> Facts:
    """A good day: in time, nothing revoked, nothing seen. With a credential, every counter it
    needs stands at 0, and its tree cell has its name."""
    keys = rest.get("keys", KEYS)
    spent: dict[str, int] = {}
    tree = "tree:test"
    if credential is not None:
        verified = (
            credential if isinstance(credential, VerifiedCredential) else opened(credential, keys)
        )
        wanted = gather.wanted(verified, WALL)
        spent, tree = dict.fromkeys(wanted.counters, 0), wanted.tree
    given: dict[str, Any] = {
        "keys": keys,
        "now": NOW,
        "arrived": NOW,
        "instance": INSTANCE,
        "channel": "held",
        "peer": None,
        "clock_ok": True,
        "lease_ok": True,
        "nonce_seen": False,
        "revoked": frozenset(),
        "wall": Cell(WALL, 0, 0),
        "tree": Cell(tree, 0, 0),
        **rest,
        "spent": {**spent, **rest.get("spent", {})},
    }
    # An approval that is shown was never used, unless somebody says otherwise.
    for data in given.get("approvals", ()):
        with suppress(CredentialError):
            given["spent"].setdefault(f"approval:{approvals.parse(data).id}/uses", 0)
    return Facts(**given)


def seen(bits: int) -> dict[str, Any]:
    """For `facts`: both cells at this exposure."""
    return {"wall": Cell(WALL, 0, bits), "tree": Cell("tree:test", 0, bits)}


def carried(facts: Facts, **rest: Any) -> Facts:
    """The same facts for a credential that came with the call."""
    return replace(facts, channel="carried", **rest)


def approve(
    credential: str | UnverifiedToken | VerifiedCredential,
    what: Call | Sequence[list[Any]],
    obligations: Sequence[str],
    *,
    approver: str = "person",
    signer: str | None = None,
    name: str = "approval",
    **rest: Any,
) -> bytes:
    """An approval of one call, or of a pattern, for exactly this prefix."""
    verified = credential if isinstance(credential, VerifiedCredential) else opened(credential)
    body: dict[str, Any] = {
        "approver": approver,
        "cell": WALL,
        "count": 1,
        "digest": what.digest.hex() if isinstance(what, Call) else None,
        "id": hex16(name),
        "not_after": NOW + 600,
        "obligations": sorted(obligations),
        "pattern": None if isinstance(what, Call) else list(what),
        "rid": verified.prefix.rids[-1],
        "tid": verified.prefix.opened.header.tid,
        "v": 1,
        **rest,
    }
    return signed(body, approver if signer is None else signer)


def signed(body: Mapping[str, Any], signer: str) -> bytes:
    """An approval of any well-formed body, signed by whoever is named."""
    return writing.approval(dict(body), secret(signer))


# One of everything ----------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A credential, a call and facts, ready to be judged."""

    credential: str
    call: Call
    facts: Facts

    def decide(self) -> Decision:
        return decide(self.credential, self.call, self.facts)


def small_world() -> World:
    """A write by a sub-agent: a delegated, narrowed and request-bound token with a budget, an
    argument rule, and an approval that answers for what is owed. The answer is Allow."""
    token = mint(
        levels(read_files="always", write_files="low_risk", web_fetch="low_risk"),
        ["path", "in", ["/srv"]],
        account=("team", {"micro_usd": 1000}),
    )
    token = narrow(token, ["exp", NOW + 1800], ["budget", "calls", 10])
    token = hand(token)
    token = narrow(
        token,
        ["path", "in", ["/srv/data/*"]],
        ["arg", "fs.write", {"/content": ["length", 0, 100], "/path": ["any"]}],
        ["approve", ["write_files"]],
        ["exposure", ["private_data", "untrusted_content"]],
    )
    one = write(costs={"micro_usd": 5})
    credential = request(token, one, "sub")
    agreed = approve(credential, one, ["op:write_files"])
    return World(
        credential, one, facts(credential, channel="carried", approvals=(agreed,), **seen(1))
    )
