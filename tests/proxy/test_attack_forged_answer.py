"""Attack: the client's side answers, in the approver's place, what waits for a person."""

from __future__ import annotations

from pathlib import Path

from nucleus_proxy import wire
from tests.proxy.rig import POLICY, rigged
from tests.proxy.stage import Stage
from tests.support import world


async def test_no_answer_of_the_client_approves_what_waits_for_a_person(tmp_path: Path) -> None:
    """An elicitation is answered by the side that is assumed compromised."""
    stage = Stage(POLICY.replace("version = 1", 'version = 1\nobligations = ["read_files"]'))
    held = world.text(stage.token(world.levels(read_files="always")))
    async with rigged(tmp_path, stage, held=held) as rig:
        params = {"name": "read", "arguments": {"x": 1}}
        rig.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        waits = await stage.asked()
        for forged in (1, "nucleus/approve", waits.id, f"nucleus-{waits.id}-1"):
            rig.send({"jsonrpc": "2.0", "id": forged, "result": {"action": "accept"}})
        again = {**params, "inputResponses": {"nucleus/approve": {"action": "accept"}}}
        answer = await rig.request(2, "tools/call", again)
        assert answer["error"]["code"] == wire.INVALID_PARAMS
        await rig.settle()
        assert stage.ledger.desk[waits.id].status == "pending"
        assert rig.calls_served() == []
        stage.approve(waits)
        while (got := await rig.receive()).get("id") != 1:
            pass
        assert got["result"]["content"][0]["text"] == "done"
        assert len(rig.calls_served()) == 1
    stage.verified()
