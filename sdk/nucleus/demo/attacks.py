"""Law: five steps of a bad day; each is tried for real, and what stops it is named.

A stranger, up to the point where a request is proven, is told one constant thing. What the operator
learns stands in the trace.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from nucleus.demo.clients import Answer, connected
from nucleus.demo.differs import Differs, expect, expect_in
from nucleus.demo.stage import DOOR, Stage
from nucleus.demo.wire import repeat

CONSTANT = "credential.refused"


async def mismatched(stage: Stage) -> str:
    """A token without its holder's key is worth nothing."""
    tell = stage.tell
    tell.say("The writer got hold of the reader's token and presents it, signed with its own key.")
    imposter = stage.connection("imposter", "reader", "writer")
    with tell.waiting("connecting"):
        await connected(imposter)
    answer = await imposter.call("git_status", {"repo_path": str(stage.world.repo)})
    await imposter.close()
    expect("the imposter's answer", seen=answer.code, wanted=CONSTANT)
    tell.call("imposter", "git_status", "refused")
    tell.because(answer.code, answer.sentence, answer.hint)
    told = sorted(answer.refusal)
    expect("what a stranger is told", seen=told, wanted=["code", "hint", "sentence"])
    await _recorded(stage, "proof.signature")
    stage.strangers_answer = answer.text
    tell.holds("It learns nothing more. The operator's trace says proof.signature.")
    return "a stolen token with another key: refused"


async def replayed(stage: Stage) -> str:
    """A request is good for one call."""
    tell, tap = stage.tell, stage.tap
    tell.say("A thief reads the wire between the reader and the proxy.")
    tap.lines.clear()
    await stage.allowed(stage.reader, "git_status", repo_path=str(stage.world.repo))
    stolen = [line for line in tap.lines if json.loads(line).get("method") == "tools/call"]
    expect("captured calls", seen=len(stolen), wanted=1)
    tell.say(
        f"It sends the very same line again: {len(stolen[0])} bytes, token and proof included."
    )
    frame = json.loads(stolen[0])
    # One connection takes each id once; nothing signs it.
    frame |= {"id": "again", "params": {**frame["params"], "name": "git_log"}}
    changed = json.dumps(frame).encode() + b"\n"
    with tell.waiting("sending it"):
        answer, other = await _repeated(stage, stolen[0], changed)
    tell.call("thief", "git_status", "refused")
    tell.because(answer.code, answer.sentence, answer.hint)
    await _recorded(stage, "request.replayed")
    tell.holds("Nothing ran. The operator's trace says request.replayed.")
    for each in (answer, other):
        expect("what every stranger is told", seen=each.text, wanted=stage.strangers_answer)
    tell.holds(
        "The same line with another tool in it is refused too: one answer for all strangers."
    )
    return "a captured request sent again: refused"


async def _repeated(stage: Stage, *lines: bytes) -> list[Answer]:
    from mcp.types import CallToolResult

    made: list[Answer] = []
    for value in await repeat(stage.world.socket(DOOR), *lines):
        if "result" not in value:
            raise Differs(f"the thief got an error of the protocol: {value}")
        made.append(Answer.of(CallToolResult.model_validate(value["result"])))
        expect("the thief's answer", seen=made[-1].code, wanted=CONSTANT)
    return made


async def revoked(stage: Stage) -> str:
    """Whoever held a link can cut it, and everything below it dies."""
    world, tell = stage.world, stage.tell
    repo = str(world.repo)
    tell.say(
        "The agent gives its power back. It reveals its token's preimage: a number that only a "
        "holder of that very token can compute, and that serves for nothing else."
    )
    preimage = world.agents / "agent.preimage"
    with tell.waiting("revoking"):
        await world.must("token", "preimage", str(world.token("agent")), "--out", str(preimage))
        await world.must("token", "revoke", "--preimage", str(preimage), "--reason", "done")
    tell.typed("nucleus token preimage agent.token -o agent.preimage")
    tell.typed("nucleus token revoke --preimage agent.preimage")
    for who in (stage.agent, stage.reader, stage.writer):
        await stage.denied(who, "git_status", "token.revoked", repo_path=repo)
    tell.holds("The parent and both sub-agents are dead, in connections that were open.")
    return "the parent and both sub-agents: dead at once"


async def verified(stage: Stage) -> str:
    """Everything is on record, and every decision follows from its record."""
    tell = stage.tell
    tell.say("The trace holds every decision with its facts. Verifying decides each one again.")
    with tell.waiting("verifying the trace"):
        found = await stage.world.must("trace", "verify")
    tell.typed("nucleus trace verify")
    decisions = int(found["decisions"])
    expect("decisions computed again", seen=int(found["recomputed"]), wanted=decisions)
    expect("the trace holds this demo's decisions", seen=decisions >= 25, wanted=True)
    tell.holds(
        f"{found['records']} records, unbroken; {decisions} decisions computed again, the same."
    )
    return f"{decisions} decisions computed again"


async def altered(stage: Stage) -> str:
    """One byte is enough to be found."""
    world, tell = stage.world, stage.tell
    copy = world.root / "trace.jsonl"
    await world.must("trace", "export", "--out", str(copy))
    tell.typed("nucleus trace export --out trace.jsonl")
    number, changed = await asyncio.to_thread(_alter, copy.read_bytes())
    copy.write_bytes(changed)
    tell.say(f"In record {number} one byte is changed: a refusal becomes something else.")
    done = await world.nucleus("trace", "verify", str(copy))
    expect("verification of the changed trace ends with", seen=done.code, wanted=1)
    expect_in("verification names the record", part=f"Record {number}:", whole=done.out)
    tell.typed("nucleus trace verify trace.jsonl")
    for line in done.out.strip().splitlines()[-2:]:
        tell.said(line)
    tell.holds(f"Verification fails, and names record {number}.")
    return f"found, and record {number} named"


def _alter(data: bytes) -> tuple[int, bytes]:
    """The number of the first record about the replay, and the trace with one byte changed."""
    lines = data.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if b"request.replayed" in line:
            lines[place] = line.replace(b"request.replayed", b"request.replayes", 1)
            return int(json.loads(line)["seq"]), b"".join(lines)
    raise Differs("the trace does not hold the replayed request")


async def _recorded(stage: Stage, code: str) -> None:
    """The trace says that a call was refused for this reason, and that nothing ran since."""
    found: list[dict[str, Any]] = await stage.world.must("trace", "show")
    said = [json.dumps(each["record"]) for each in found]
    places = [place for place, text in enumerate(said) if f'"{code}"' in text]
    expect(f"the trace says {code}", seen=bool(places), wanted=True)
    ran = [each["seq"] for each in found[places[0] :] if each["record"]["type"] == "outcome"]
    expect("what ran since", seen=ran, wanted=[])
