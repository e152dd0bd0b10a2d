"""Law: peers carry the same five constraints and decide the same call, each in its own words.

An expiry, two path prefixes, two tool lists. A peer that is not installed, or whose interface has
moved, is left out and named. None of them is asked for more than its documentation promises.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from bench.harness import constantly
from bench.peer import FOREVER, IDENTIFIER, KEY, PATH, PREDICATES, TOOL, Peer, holds, module, peer


def _macaroons(package: str) -> list[Peer]:
    library = module(package)
    token = library.Macaroon(location="https://issuer.example", identifier=IDENTIFIER, key=KEY)
    for predicate in PREDICATES:
        token.add_first_party_caveat(predicate)
    text = token.serialize()

    def decide(shown: str) -> bool:
        verifier = library.Verifier()
        verifier.satisfy_general(holds)
        return bool(verifier.verify(library.Macaroon.deserialize(shown), KEY))

    def narrow(shown: str) -> object:
        held = library.Macaroon.deserialize(shown)
        held.add_first_party_caveat(PREDICATES[3])
        return held.serialize()

    name = f"{package} {version(package)}, short identifier, string caveats"
    return [peer(name, decide, constantly(text), narrow, text)]


def _bakery() -> list[Peer]:
    bakery, checkers = module("macaroonbakery.bakery"), module("macaroonbakery.checkers")

    class Nowhere:
        def third_party_info(self, loc: str) -> Any:
            raise bakery.ThirdPartyInfoNotFound

    checker = checkers.Checker()
    checker.namespace().register("ns", "")
    for word in ("path", "tool"):
        checker.register(
            word,
            "ns",
            lambda _context, condition, argument: (
                None if holds(f"{condition} {argument}") else "refused"
            ),
        )
    oven = bakery.Oven(
        key=bakery.generate_key(),
        location="https://issuer.example",
        locator=Nowhere(),
        namespace=checker.namespace(),
    )
    operation = bakery.Op(entity="fs", action="read")
    constraints = [checkers.time_before_caveat(FOREVER)] + [
        checkers.Caveat(condition=predicate, namespace="ns") for predicate in PREDICATES[1:]
    ]
    minted = oven.macaroon(bakery.LATEST_VERSION, FOREVER, constraints, [operation])
    text = minted.serialize_json()
    context = checkers.AuthContext()

    def decide(shown: str) -> bool:
        judge = bakery.Checker(
            checker=checker, authorizer=bakery.ClosedAuthorizer(), macaroon_opstore=oven
        )
        held = bakery.Macaroon.deserialize_json(shown).macaroon
        return judge.auth([[held]]).allow(context, [operation]) is not None

    def narrow(shown: str) -> object:
        held = bakery.Macaroon.deserialize_json(shown)
        held.add_caveat(checkers.Caveat(condition=PREDICATES[3], namespace="ns"))
        return held.serialize_json()

    name = f"macaroonbakery {version('macaroonbakery')}"
    return [peer(name, decide, constantly(text), narrow, text)]


def _biscuit() -> list[Peer]:
    biscuit = module("biscuit_auth")

    root = biscuit.KeyPair()
    last = 'check if resource($r), $r.starts_with("/data/team/")'
    checks = [
        "check if time($t), $t < 2099-01-01T00:00:00Z",
        'check if resource($r), $r.starts_with("/data/")',
        'check if tool($t), ["fs.list", "fs.read"].contains($t)',
        last,
        'check if tool($t), ["fs.read"].contains($t)',
    ]
    text = biscuit.BiscuitBuilder(";\n".join(checks) + ";").build(root.private_key).to_base64()
    # Its default of one millisecond of wall time refuses valid tokens on a busy machine.
    patient = datetime.timedelta(seconds=1)

    def decide(shown: str) -> bool:
        token = biscuit.Biscuit.from_base64(shown, root.public_key)
        builder = biscuit.AuthorizerBuilder(
            "time({now}); resource({path}); tool({tool}); allow if true;",
            {"now": datetime.datetime.now(datetime.UTC), "path": PATH, "tool": TOOL},
        )
        limits = builder.limits()
        limits.max_time = patient
        builder.set_limits(limits)
        return int(builder.build(token).authorize()) == 0

    def narrow(shown: str) -> object:
        token = biscuit.Biscuit.from_base64(shown, root.public_key)
        return token.append(biscuit.BlockBuilder(last + ";")).to_base64()

    name = f"biscuit-python {version('biscuit-python')}"
    return [peer(name, decide, constantly(text), narrow, text)]


def _jwt() -> list[Peer]:
    jwt = module("jwt")
    ed25519 = module("cryptography.hazmat.primitives.asymmetric.ed25519")
    private = ed25519.Ed25519PrivateKey.generate()
    keys: list[tuple[str, Any, Any]] = [
        ("HS256", KEY, KEY),
        ("EdDSA", private, private.public_key()),
    ]
    claims = {
        "jti": IDENTIFIER,
        "iss": "https://issuer.example",
        "exp": int(FOREVER.timestamp()),
        "constraints": list(PREDICATES[1:]),
    }
    found = []
    for algorithm, signing, checking in keys:

        def decide(shown: str, key: Any = checking, name: str = algorithm) -> bool:
            return all(map(holds, jwt.decode(shown, key, algorithms=[name])["constraints"]))

        text = jwt.encode(claims, signing, algorithm=algorithm)
        name = f"PyJWT {version('PyJWT')}, {algorithm} (cannot be attenuated)"
        found.append(peer(name, decide, constantly(text)))
    return found


def _cedar() -> list[Peer]:
    cedarpy = module("cedarpy")

    policy = """permit(principal, action, resource) when {
        context.now < 4102444800 && context.path like "/data/*" &&
        ["fs.list", "fs.read"].contains(context.tool) &&
        context.path like "/data/team/*" && ["fs.read"].contains(context.tool) };"""
    request = {
        "principal": 'Agent::"a"',
        "action": 'Action::"call"',
        "resource": 'Server::"s"',
        "context": {"now": 1_800_000_000, "path": PATH, "tool": TOOL},
    }

    def decide(shown: str) -> bool:
        return bool(cedarpy.is_authorized(request, shown, []).decision == cedarpy.Decision.Allow)

    name = f"cedarpy {version('cedarpy')}, policy text (no token, no signature)"
    return [peer(name, decide, constantly(policy))]


def _tenuo() -> list[Peer]:
    tenuo = module("tenuo_core")

    root, holder, third = (tenuo.SigningKey.generate() for _ in range(3))
    rules = {
        "folder": tenuo.Subpath("/data"),
        "path": tenuo.Subpath("/data/team"),
        "n": tenuo.Range.max_value(100),
        "mode": tenuo.OneOf(["r", "x"]),
    }
    arguments = {"folder": PATH, "path": PATH, "n": 3, "mode": "r"}
    judge = tenuo.Authorizer()
    judge.add_trusted_root(root.public_key)
    warrant = tenuo.Warrant.issue(root, {TOOL: rules}, 3600, holder.public_key)
    text = warrant.to_base64()

    def inputs(count: int) -> Sequence[Any]:
        # A proof lives for two minutes: each block brings a new one.
        proof = warrant.sign(holder, TOOL, arguments, int(time.time()))
        return [(text, proof)] * count

    def decide(shown: tuple[str, Any]) -> bool:
        judge.authorize_one(tenuo.Warrant.from_base64(shown[0]), TOOL, arguments, shown[1])
        return True  # a refusal is an exception

    def narrow(shown: str) -> object:
        held = tenuo.Warrant.from_base64(shown)
        return held.attenuate({TOOL: rules}, holder, 60, third.public_key).to_base64()

    name = f"tenuo {version('tenuo')}, holder proof included"
    return [peer(name, decide, inputs, narrow, text)]


def _capnagent() -> list[Peer]:
    capnagent = module("capnagent")

    judge, auditor = capnagent.Verifier(KEY), capnagent.Auditor(os.urandom(32))
    # Its caveats address no string arguments, so the path stands in `caller`.
    rules = [
        "now <= @2099-01-01T00:00:00Z",
        'caller starts_with "/data/"',
        'tool starts_with "fs."',
        'caller starts_with "/data/team/"',
        'tool == "fs.read"',
    ]
    builder = capnagent.Issuer.from_key(KEY).issue("bench")
    for rule in rules:
        builder = builder.caveat(rule)
    text = builder.build().serialize()

    def decide(shown: str) -> bool:
        context = {"caller": PATH, "tool": TOOL, "args": {}, "nowMs": int(time.time() * 1000)}
        answer = judge.verify_with_context(
            capnagent.Capability.parse(shown), json.dumps(context), auditor
        )
        return bool(json.loads(answer)["outcome"]["kind"] == "allowed")

    def narrow(shown: str) -> object:
        return capnagent.Capability.parse(shown).attenuate(rules[3]).serialize()

    name = f"capnagent {version('capnagent')}, signed receipt included"
    return [peer(name, decide, constantly(text), narrow, text)]


PEERS: Final[dict[str, Callable[[], list[Peer]]]] = {
    "pymacaroons": lambda: _macaroons("pymacaroons"),
    "pymacaroons2": lambda: _macaroons("pymacaroons2"),
    "macaroonbakery": _bakery,
    "biscuit-python": _biscuit,
    "PyJWT": _jwt,
    "cedarpy": _cedar,
    "tenuo": _tenuo,
    "capnagent": _capnagent,
}


def load() -> tuple[list[Peer], list[str]]:
    """The peers that are here, and a note on each that is not."""
    found: list[Peer] = []
    notes = []
    for name, make in PEERS.items():
        try:
            found += make()
        except (ImportError, PackageNotFoundError):
            notes.append(f"{name} (not installed)")
        except Exception as error:  # noqa: BLE001  whatever a peer raises, the others are measured
            notes.append(f"{name} ({type(error).__name__})")
    return found, notes
