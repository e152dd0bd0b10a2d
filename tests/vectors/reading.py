"""From the JSON of the vectors to the values this implementation decides over.

Every field must be known: a misspelt one in a vector would otherwise test nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nucleus_tokens import arguments, chain, label_names, names
from nucleus_verifier.facts import Approver, Call, Cell, Facts, Keys, Policy, Selector

HERE: Final = Path(__file__).parent
FILES: Final = ("valid", "invalid", "malleable", "approvals", "revocation")


@functools.cache
def document(name: str) -> dict[str, Any]:
    """One file of vectors."""
    made: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text(encoding="ascii"))
    return made


def keys(bundle: Mapping[str, Any]) -> Keys:
    return Keys(
        audience=bundle["audience"],
        audience_keys={k: bytes.fromhex(v) for k, v in bundle["audience_keys"].items()},
        issuers={(iss, kid): bytes.fromhex(key) for iss, kid, key in bundle["issuers"]},
        approvers={
            name: Approver(bytes.fromhex(value["key"]), names.obligation_bits(value["operations"]))
            for name, value in bundle["approvers"].items()
        },
    )


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def merged(default: Mapping[str, Any], change: Mapping[str, Any] | None) -> dict[str, Any]:
    """The file's own call or facts, with what a case changes; no field may be new."""
    unknown = set(change or {}) - set(default)
    if unknown:
        raise KeyError(f"no such field: {sorted(unknown)}")
    return {**default, **(change or {})}


def call(spelled: Mapping[str, Any]) -> Call:
    label, observed, ttl = spelled["label"]
    return Call(
        tool=spelled["tool"],
        operation=names.operation(spelled["operation"]),
        # Through the strict reader, as arguments arrive.
        args=arguments.parse(json.dumps(spelled["args"]).encode()),
        sink=label_names.SINK_NUMBER[spelled["sink"]],
        resources={
            kind: None if values is None else tuple(map(_value, values))
            for kind, values in spelled["resources"].items()
        },
        selectors=tuple(Selector(p, k, _value(v)) for p, k, v in spelled["selectors"]),
        records=names.exposure_bits(spelled["records"]),
        projects=names.exposure_bits(spelled["projects"]),
        label=label,
        observed=observed,
        ttl=ttl,
        costs=spelled["costs"],
        bad_declassification=spelled["bad_declassification"],
    )


def _cell(spelled: list[Any]) -> Cell:
    name, version, exposure = spelled
    return Cell(name, version, names.exposure_bits(exposure))


def facts(spelled: Mapping[str, Any], bundle: Keys) -> Facts:
    policy = spelled["policy"]
    return Facts(
        keys=bundle,
        now=spelled["now"],
        arrived=spelled["arrived"],
        instance=spelled["instance"],
        channel=spelled["channel"],
        peer=spelled["peer"],
        clock_ok=spelled["clock_ok"],
        lease_ok=spelled["lease_ok"],
        nonce_seen=spelled["nonce_seen"],
        revoked=frozenset(spelled["revoked"]),
        spent=spelled["spent"],
        wall=_cell(spelled["wall"]),
        tree=_cell(spelled["tree"]),
        approvals=tuple(map(chain.from_text, spelled["approvals"])),
        evidence=frozenset(spelled["evidence"]),
        policy=Policy(
            policy["gate"],
            names.obligation_bits(policy["obligations"]),
            frozenset(policy["tools"]),
            {names.operation(k): v for k, v in policy["quorum"].items()},
        ),
    )


def judged(file: Mapping[str, Any], case: Mapping[str, Any]) -> tuple[str, Call, Facts]:
    """What `decide` takes, for one case of one file."""
    bundle = keys(file["bundle"])
    return (
        case["credential"],
        call(merged(file["call"], case.get("call"))),
        facts(merged(file["facts"], case.get("facts")), bundle),
    )
