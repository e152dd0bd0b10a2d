"""From behind the wall: the model route is there, the rest is what the token and policy say."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.cli.command import Desk
from tests.egress.fake_provider import provider
from tests.egress.model_stage import ROUTES
from tests.egress.out_stage import KEY
from tests.vmhost.cells import PYTHON
from tests.walled.place import Place

AGENT = """
import json, os, urllib.error, urllib.request

def ask(url, body=None, direct=True):
    handlers = [urllib.request.ProxyHandler({})] if direct else []
    opener = urllib.request.build_opener(*handlers)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": "Bearer agents-own"})
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)

proxy = os.environ["http_proxy"]
chat = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
found = {
    "model": ask(proxy + "/model/openai/v1/chat/completions", chat),
    "stream": ask(proxy + "/model/openai/v1/chat/completions", {**chat, "stream": True}),
    "files": ask(proxy + "/model/openai/v1/files", chat),
    "page": ask("http://site.test/", direct=False),
    "tunnel": ask("https://site.test/", direct=False),
    "around": ask("http://93.184.215.14/"),
    "keys": [name for name in os.environ if "KEY" in name or "TOKEN" in name],
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("outward"))
    made.init()
    (made.root / "work").mkdir()
    made.issue("agent", "--bearer", "--path", made.root / "work")
    return made


async def test_an_agent_reaches_its_model_and_nothing_else(desk: Desk) -> None:
    folder = desk.root / "work" / "w"
    folder.mkdir()
    (folder / "agent.py").write_text(AGENT)
    async with provider(KEY) as far:
        _open(desk, far.port)
        done = await asyncio.to_thread(Place(desk, folder).run, "--", PYTHON, "agent.py")
    found = json.loads(done.ok().out)
    status, text = found["model"]
    assert (status, json.loads(text)["choices"][0]["message"]["content"]) == (200, "one two three")
    assert "[DONE]" in found["stream"][1]
    assert found["files"][0] == 400
    # The profile has no web: the token says no, whatever the policy opens.
    assert "level.never" in found["page"][1]
    assert found["tunnel"][0] == 0
    assert found["around"][0] == 0
    assert [each["path"] for each in far.asked] == ["/v1/chat/completions"] * 2
    assert "agents-own" not in json.dumps(far.asked)
    assert KEY not in done.out + done.err + json.dumps(found)
    trace = desk.run("trace", "verify").ok()
    assert KEY not in trace.out


def _open(desk: Desk, port: int) -> None:
    (policy,) = desk.home.rglob("policy.toml")
    key = policy.parent / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    section = ROUTES.replace("{port}", str(port)).replace("{operation}", "read_files")
    pins = '[egress.pins]\n"site.test" = ["127.0.0.1"]\n'
    policy.write_text(policy.read_text() + "\n" + pins + section)
